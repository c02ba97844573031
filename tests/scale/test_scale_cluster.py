"""A cluster of somebody else's making: plain Dask, workers without resources, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster
from distributed.comm import tcp

import prune_core as pc
from prune_core.jobs import Lab, PreviewRequest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        local_directory=str(tmp_path_factory.mktemp("scratch")),
        # no data set has been brought to this worker's machine, and no network is there to fetch one
        env={"PRUNE_LAB_DATA": str(tmp_path_factory.mktemp("data")), "https_proxy": "http://127.0.0.1:9"},
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/lab.db"


def test_the_same_code_runs_on_a_cluster(cluster, store, home: Path):
    exp = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=20, device="cpu"))
    with Lab(scheduler=cluster.scheduler_address, store=store) as lab:
        handles = [lab.launch(exp, name=f"run {i}") for i in range(2)]
        assert [h.wait(120) for h in handles] == ["finished", "finished"]
        assert list(lab.workers()["role"]) == ["train"]
        with pytest.raises(pc.EngineError, match="no worker for previews"):
            lab.preview(PreviewRequest(model=pc.MLP(), sparsity=0.5))
        with pytest.raises(pc.EngineError, match="end it where it was started"):
            lab.shutdown()


def test_other_versions_are_refused(cluster, store, home: Path, monkeypatch):
    monkeypatch.setattr(pc, "__version__", "99")  # here; the worker is a process of its own
    with pytest.raises(
        pc.EngineError, match=r"has prune_core 0\..*, but this process has prune_core 99.*; install the same"
    ):
        Lab(scheduler=cluster.scheduler_address, store=store).attach()


def test_one_cluster_one_store(cluster, store, home: Path, tmp_path: Path):
    with Lab(scheduler=cluster.scheduler_address, store=store):
        pass
    with pytest.raises(pc.EngineError, match="This cluster works for the store"):
        Lab(scheduler=cluster.scheduler_address, store=f"sqlite:///{tmp_path}/other.db").attach()


class Traffic:
    """What goes through the scheduler: in these tests it lives in this process, as do its clients."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[int] = []
        write, parts = tcp.TCP.write, tcp.from_frames

        async def counted(comm: Any, *given: Any, **named: Any) -> int:
            sent: int = await write(comm, *given, **named)
            self.messages.append(sent)
            return sent

        async def opened(frames: Any, *given: Any, **named: Any) -> Any:
            self.messages.append(sum(memoryview(frame).nbytes for frame in frames))
            return await parts(frames, *given, **named)

        monkeypatch.setattr(tcp.TCP, "write", counted)
        monkeypatch.setattr(tcp, "from_frames", opened)


def test_neither_data_nor_models_go_through_the_scheduler(
    cluster: LocalCluster, store: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pc.MLP(width=512, depth=3)
    exp = pc.Experiment(data=pc.Digits(), model=model, train=pc.Training(steps=30, device="cpu"))
    traffic = Traffic(monkeypatch)
    with Lab(scheduler=cluster.scheduler_address, store=store) as lab:
        handle = lab.launch(exp)
        assert handle.wait(60) == "finished"
        scan = lab.sensitivity(model, data=pc.Digits(), sparsities=(0.5,), examples=64)
        assert len(scan.result().cells) == 4
    assert sum(p.numel() for p in model.build((1, 8, 8), 10, 0).parameters()) * 4 > 2_000_000
    assert len(traffic.messages) > 20, "what is counted is what goes by"
    assert sum(traffic.messages) < 1_000_000
    assert max(traffic.messages) < 100_000


def test_a_data_set_that_is_not_there_is_named_with_its_files(cluster: LocalCluster, store: str, home: Path) -> None:
    exp = pc.Experiment(data=pc.MNIST(), model=pc.MLP(), train=pc.Training(steps=5, device="cpu"))
    with Lab(scheduler=cluster.scheduler_address, store=store) as lab:
        handle = lab.launch(exp)
        assert handle.wait(60) == "failed"
        assert "train-images-idx3-ubyte" in handle.record.reason
        assert "PRUNE_LAB_DATA" in handle.record.reason
