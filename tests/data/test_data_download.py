"""Downloads, from a server that the test plays itself."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
import time

import pytest
import torch

from prune_core.data import CIFAR10, MNIST, clear_cache
from prune_core.errors import DataMissingError
from prune_core.fetching import fetch


class Response(io.BytesIO):
    def __init__(self, body, length=None):
        super().__init__(body)
        self.headers = {"Content-Length": str(len(body) if length is None else length)}


@pytest.fixture
def server(monkeypatch):
    """Addresses and what they answer."""
    pages: dict[str, bytes] = {}

    def urlopen(url, timeout=None):
        for end, body in pages.items():
            if url.endswith(end):
                return Response(body)
        raise OSError(f"404 for {url}")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return pages


def files_in(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def mnist_server(server, written, data_folder, monkeypatch):
    """A server with the tiny MNIST, whose files are gone from the folder; what loading should give."""
    from torchvision.datasets import MNIST as Peer

    expected = MNIST().load()
    clear_cache()
    sums = []
    for path in sorted((data_folder / "MNIST/raw").iterdir()):
        server[f"{path.name}.gz"] = gzip.compress(path.read_bytes())
        sums.append((f"{path.name}.gz", hashlib.md5(server[f"{path.name}.gz"]).hexdigest()))
        path.unlink()
    monkeypatch.setattr(Peer, "resources", sums)
    return expected


def test_missing_files_are_fetched_and_nothing_else_is_left(mnist_server, data_folder):
    assert torch.equal(MNIST().load().train_x, mnist_server.train_x)
    assert files_in(data_folder / "MNIST") == sorted(MNIST.files)


def test_a_second_mirror_is_tried(mnist_server, server, data_folder, monkeypatch):
    from torchvision.datasets import MNIST as Peer

    monkeypatch.setattr(Peer, "mirrors", ["http://one.invalid/gone/", "http://two.invalid/"])
    for name in list(server):
        server[f"two.invalid/{name}"] = server.pop(name)
    assert MNIST().load().info.train == 60


@pytest.mark.parametrize("broken", ["missing", "other bytes"])
def test_one_file_that_fails_leaves_none_behind(broken, mnist_server, server, data_folder):
    name = "t10k-labels-idx1-ubyte.gz"
    if broken == "missing":
        del server[name]
    else:
        server[name] = server[name][:-1]
    with pytest.raises(DataMissingError):
        MNIST().load()
    assert files_in(data_folder / "MNIST") == []
    assert list((data_folder / "MNIST/raw").iterdir()) == []


def test_an_archive_is_fetched_and_unpacked(server, written, data_folder, monkeypatch):
    from torchvision.datasets import CIFAR10 as Peer

    expected = CIFAR10().load()
    clear_cache()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(data_folder / CIFAR10.folder, CIFAR10.folder)
    for path in (data_folder / CIFAR10.folder).iterdir():
        path.unlink()
    server[".tar.gz"] = packed.getvalue()
    monkeypatch.setattr(Peer, "tgz_md5", hashlib.md5(packed.getvalue()).hexdigest())
    assert torch.equal(CIFAR10().load().train_x, expected.train_x)
    assert files_in(data_folder / CIFAR10.folder) == sorted(CIFAR10.files)


def test_two_threads_read_one_data_set_once(written, monkeypatch):
    reads = []
    original = MNIST._read
    monkeypatch.setattr(
        MNIST, "_read", lambda self, seed: (reads.append(1), time.sleep(0.05), original(self, seed))[-1]
    )
    found = []
    threads = [threading.Thread(target=lambda: found.append(MNIST().load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1 and len({id(data) for data in found}) == 1


def test_fetch_refuses_a_short_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Response(b"half", length=8))
    with pytest.raises(OSError, match="ended after 4 of 8 bytes"):
        fetch("http://host.invalid/file", tmp_path / "new" / "file")
    assert files_in(tmp_path) == []


def test_fetch_gives_up_on_a_server_that_does_not_answer(tmp_path, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr("prune_core.fetching.CONNECT_S", 0.05)
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: released.wait(10))
    with pytest.raises(OSError, match="no answer within"):
        fetch("http://host.invalid/file", tmp_path / "new" / "file")
    released.set()
    assert not (tmp_path / "new").exists()


def test_fetch_reports_progress(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Response(bytes(600_000)))
    seen = []
    fetch("http://host.invalid/file", tmp_path / "file", progress=lambda *args: seen.append(args))
    assert seen[-1] == ("file", 600_000, 600_000) and len(seen) > 1
    assert (tmp_path / "file").read_bytes() == bytes(600_000)
