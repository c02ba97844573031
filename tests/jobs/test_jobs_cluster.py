"""A cluster of somebody else's making: plain Dask, workers without resources, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

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
    with pytest.raises(pc.EngineError, match=r"has prune_core 0\..*, but this is prune_core 99.*; install the same"):
        Lab(scheduler=cluster.scheduler_address, store=store).attach()


def test_one_cluster_one_store(cluster, store, home: Path, tmp_path: Path):
    with Lab(scheduler=cluster.scheduler_address, store=store):
        pass
    with pytest.raises(pc.EngineError, match="This cluster works for the store"):
        Lab(scheduler=cluster.scheduler_address, store=f"sqlite:///{tmp_path}/other.db").attach()
