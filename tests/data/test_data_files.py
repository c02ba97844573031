"""Files that are missing, truncated, damaged or hostile."""

from __future__ import annotations

import gzip
import os
import pickle

import numpy as np
import pytest
import torch

from prune_core.data import CIFAR10, CIFAR100, MNIST, DataSource, FashionMNIST, clear_cache, data_root
from prune_core.errors import ConfigError, DataCorruptError, DataMissingError

DOWNLOADED = [MNIST, FashionMNIST, CIFAR10, CIFAR100]


@pytest.mark.parametrize("cls", DOWNLOADED)
@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_folder_offline_says_what_where_and_what_else(cls, exists, data_folder, no_network):
    folder = data_folder / cls.folder
    if exists:
        folder.mkdir(parents=True)
    with pytest.raises(DataMissingError) as error:
        cls().load()
    message = str(error.value)
    assert cls.__name__ in message and str(folder) in message and "choose Digits" in message
    assert all(name in message for name in cls.files)
    assert no_network
    assert [p for p in data_folder.rglob("*") if p.is_file()] == []


def test_only_the_missing_file_is_asked_for(written, data_folder, no_network):
    (data_folder / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataMissingError, match="needs t10k-labels-idx1-ubyte in"):
        MNIST().load()
    assert all("t10k-labels" in url for url in no_network)


def test_a_failure_is_not_remembered(data_folder, no_network, request):
    with pytest.raises(DataMissingError):
        MNIST().load()
    request.getfixturevalue("written")
    assert MNIST().load().info.train == 60


@pytest.mark.parametrize("size", [0, 3, 15, 16, 5000])
def test_a_truncated_idx_file_is_named_with_both_sizes(size, written, data_folder):
    path = data_folder / "MNIST/raw/train-images-idx3-ubyte"
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size)
    # a file too short for its header is measured against the published one
    expected = whole if size >= 16 else 16 + 60000 * 28 * 28
    with pytest.raises(DataCorruptError) as error:
        MNIST().load()
    assert f"{path} should hold {expected:,} bytes and holds {size:,}" in str(error.value)


def test_a_file_with_more_than_it_should_hold_is_refused(written, data_folder):
    with (data_folder / "MNIST/raw/t10k-labels-idx1-ubyte").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(DataCorruptError, match="should hold 38 bytes and holds 39"):
        MNIST().load()


def test_another_format_is_refused(written, data_folder):
    (data_folder / "MNIST/raw/t10k-labels-idx1-ubyte").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataCorruptError, match="t10k-labels-idx1-ubyte is not an IDX file"):
        MNIST().load()


def test_images_and_labels_must_belong_together(written, data_folder):
    written.write_idx(data_folder / "MNIST/raw/train-labels-idx1-ubyte", np.arange(59) % 10)
    with pytest.raises(DataCorruptError, match="60 images, 59 labels"):
        MNIST().load()
    written.write_idx(data_folder / "MNIST/raw/train-labels-idx1-ubyte", np.full(60, 10))
    with pytest.raises(DataCorruptError, match="labels up to 10 for 10 classes"):
        MNIST().load()


def test_packed_files_are_read_too_and_a_cut_one_is_refused(written, data_folder):
    plain = MNIST().load()
    path = data_folder / "MNIST/raw/train-images-idx3-ubyte"
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_name(path.name + ".gz").write_bytes(packed)
    assert torch.equal(MNIST(train_size=60).load().train_x, plain.train_x)
    path.with_name(path.name + ".gz").write_bytes(packed[:-20])
    clear_cache()
    with pytest.raises(DataCorruptError, match="cannot be unpacked"):
        MNIST().load()


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x80\x02}q\x00."])
def test_a_damaged_cifar_file_is_named_with_its_size(damage, written, data_folder):
    path = data_folder / "cifar-10-batches-py/data_batch_3"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataCorruptError) as error:
        CIFAR10().load()
    assert f"{path} ({path.stat().st_size:,} bytes)" in str(error.value)


def test_a_pickle_that_would_run_code_does_not(written, data_folder, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = data_folder / "cifar-10-batches-py/test_batch"
    path.write_bytes(pickle.dumps({"data": Hostile(), "labels": []}))
    with pytest.raises(DataCorruptError, match=r"it refers to \w+\.mkdir"):
        CIFAR10().load()
    assert not (tmp_path / "ran").exists()


def test_cifar_rows_become_channels(written, data_folder):
    data = CIFAR10().load()
    with (data_folder / "cifar-10-batches-py/data_batch_1").open("rb") as file:
        first = pickle.load(file)["data"][0]
    # the published order: 1024 red, 1024 green, 1024 blue, each row by row
    assert torch.equal(data.train_x[0, 1, 2], torch.from_numpy(first[1024 + 64 : 1024 + 96]))


def test_a_subset_is_checked_against_the_files_that_are_there(written):
    with pytest.raises(ConfigError, match="at most 60, the size of the training split, got 100"):
        MNIST(train_size=100).load()


def test_another_folder_is_another_data_set(written, data_folder, tmp_path, monkeypatch):
    first = MNIST().load()
    written.write_mnist(tmp_path / "other")
    monkeypatch.setenv("PRUNE_LAB_DATA", str(tmp_path / "other"))
    assert MNIST().load() is not first


def test_root_without_the_variable_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("PRUNE_LAB_DATA", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_root() == tmp_path / "prune-lab" / "data"


def test_real_mnist_has_its_known_statistics(mnist_root, monkeypatch):
    monkeypatch.setenv("PRUNE_LAB_DATA", str(mnist_root))
    data = MNIST().load()
    assert (data.info.train, data.info.test) == (60000, 10000)
    # the constants that every MNIST recipe uses
    assert data.mean.item() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert data.std.item() / 255 == pytest.approx(0.3081, abs=5e-5)
    assert data.train_y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_real_mnist_equals_torchvisions_reader(mnist_root, monkeypatch):
    from torchvision.datasets import MNIST as Peer

    monkeypatch.setenv("PRUNE_LAB_DATA", str(mnist_root))
    data = MNIST().load()
    for train, x, y in ((True, data.train_x, data.train_y), (False, data.test_x, data.test_y)):
        peer = Peer(str(mnist_root), train=train, download=False)
        assert torch.equal(x[:, 0], peer.data) and torch.equal(y, peer.targets)


def test_downloaded_sets_are_all_under_test():
    assert {c.cls for c in DataSource.registry if hasattr(c.cls, "files")} == set(DOWNLOADED)
