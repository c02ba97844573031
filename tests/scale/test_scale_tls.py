"""A cluster by address with certificates: who may come in, which workers get which runs, and which get none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from lab_cluster import TlsCluster, make_certificates, tls_cluster
from lab_services import until

import prune_core as pc
from prune_core.jobs import Lab, cluster

pytestmark = pytest.mark.slow
PLAIN = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=20, device="cpu"))
CUDA = PLAIN.with_(**{"train.device": "cuda"})


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsCluster]:
    with tls_cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.worker("plain", "train=1")
        made.worker("with-gpu", "train=1,GPU=1")
        # one of last year, which comes with the others
        made.worker("old", "train=1", "import prune_core; prune_core.__version__ = '0.0.1'")
        yield made


@pytest.fixture
def lab(tls: TlsCluster, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    store = f"sqlite:///{tls.folder}/lab.db"
    with tls.joined(), Lab(scheduler=tls.address, store=store) as lab:
        until(lambda: len(lab.workers()) == 3, "three workers")
        yield lab


def test_runs_go_to_workers_that_fit(lab: Lab) -> None:
    runs = [lab.launch(PLAIN) for _ in range(3)]
    on_gpu = [lab.launch(CUDA) for _ in range(2)]
    assert [run.wait(60) for run in runs] == ["finished"] * 3
    # there is none in truth: the worker says so, and which one it was is what is asked here
    assert [run.wait(60) for run in on_gpu] == ["failed"] * 2
    assert {run.record.worker for run in on_gpu} == {"with-gpu"}
    assert all("has no GPU" in run.record.reason for run in on_gpu)
    assert "old" not in {run.record.worker for run in runs}
    workers = lab.workers().set_index("name")
    assert workers["gpu"].to_dict() == {"old": False, "plain": False, "with-gpu": True}
    until(lambda: lab.workers().set_index("name")["state"]["old"] == "refused", "the old one is refused")
    problem = lab.workers().set_index("name")["problem"]
    assert problem["plain"] == problem["with-gpu"] == ""
    assert problem["old"].startswith(f"Worker old ({workers['address']['old']}) has prune_core 0.0.1, Python ")
    assert f"but the scheduler has prune_core {pc.__version__}" in problem["old"]
    assert problem["old"].endswith("install the same everywhere.")


def test_a_run_on_a_gpu_waits_for_one_and_holds_up_nobody(lab: Lab) -> None:
    long = PLAIN.with_(**{"train.steps": 100_000, "train.eval_every": 100_000, "train.snapshot_every": 100_000})
    first, second = lab.launch(long), lab.launch(long)  # both workers
    until(lambda: first.status == second.status == "running", "two runs at once")
    on_gpu, after = lab.launch(CUDA, priority=1), lab.launch(PLAIN)
    by_worker = {run.record.worker: run for run in (first, second)}
    by_worker["plain"].stop()
    assert after.wait(60) == "finished"
    assert (on_gpu.status, after.record.worker) == ("queued", "plain")
    by_worker["with-gpu"].stop()
    assert on_gpu.wait(60) == "failed"
    assert on_gpu.record.worker == "with-gpu"


def test_who_has_no_certificate_of_this_authority_is_refused(
    tls: TlsCluster, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 1.0)
    make_certificates(home / "others")

    def refused(address: str) -> None:
        with pytest.raises(pc.EngineError, match=r"No Dask scheduler .* certificates .*: whoever has none is refused"):
            Lab(scheduler=address, store=f"sqlite:///{home}/lab.db").attach()

    refused(tls.address)
    refused(tls.address.replace("tls://", "tcp://"))
    with tls.joined(home / "others"):
        refused(tls.address)


def test_nobody_listens_beyond_loopback(tls: TlsCluster) -> None:
    ours = [p for p in psutil.Process().children(recursive=True) if "dask" in " ".join(p.cmdline())]
    found = {c.laddr.ip for p in ours for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert len(ours) >= 4
    assert found == {"127.0.0.1"}
