"""Run files in S3, on a real server: every machine (here: every home) finds the checkpoint that another one wrote."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fsspec.registry import _registry
from lab_processes import Other

import prune_core as pc
from prune_core import remote
from prune_core.events import STEP_FIELDS, Event
from prune_core.jobs.bench import source_key
from prune_core.jobs.question import PreviewRequest
from prune_core.tracking import Store, checkpoint_path, execute, executing, files, run_folder
from prune_core.training import load_checkpoint, restore_model
from prune_core.training.checkpoint import file_sha256
from prune_core.training.stream import events


def weights(experiment: pc.Experiment, path: Path) -> dict[str, torch.Tensor]:
    return restore_model(experiment, path)[0].state_dict()


def move(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Be another machine."""
    monkeypatch.setenv("PRUNE_LAB_HOME", str(home))
    files._seen.clear()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step."""
    monkeypatch.setattr(executing, "events", functools.partial(events, checkpoint_every_s=0.0))


def test_a_run_killed_on_one_machine_goes_on_bitwise_on_another(
    bucket: str,
    store: Store,
    experiment: pc.Experiment,
    slow_executor: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = experiment.with_(**{"train.steps": 120})
    run_id = store.create(experiment)
    victim = Other(slow_executor, store.url, run_id, "there", PRUNE_LAB_HOME=str(tmp_path / "there"))
    try:
        victim.go()
        began = time.monotonic()
        while store.run(run_id).step < 40 or not store.run(run_id).checkpoint:
            assert time.monotonic() - began < 100, store.run(run_id)
            time.sleep(0.01)
    finally:
        victim.kill()
    time.sleep(0.06)  # its last heartbeat may be of this very moment
    assert store.reap(older_than_s=0.05) == [run_id]
    known = store.run(run_id).checkpoint
    assert 0 < known < 120
    assert not checkpoint_path(run_id).exists()  # this machine never had it
    assert load_checkpoint(files.checkpoint(run_id, resume=True)).step >= known
    store.requeue(run_id)
    began_at: list[int] = []

    def seen(state: Any, *rest: Any) -> Iterator[Event]:
        began_at.append(state.step)
        return events(state, *rest)

    monkeypatch.setattr(executing, "events", seen)
    assert execute(store, run_id, "here") == "finished"
    assert began_at[0] >= known
    whole = pc.run(experiment, progress=False)
    history = store.history(run_id)
    assert history.equals(whole.history[["step", *STEP_FIELDS]].astype(history.dtypes))
    record = store.run(run_id)
    assert (record.accuracy, record.checkpoint, record.summary.get("warning")) == (whole.accuracy, 120, None)
    move(monkeypatch, tmp_path / "third")
    ours, theirs = weights(experiment, files.checkpoint(run_id)), whole.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.usefixtures("bucket", "often")
def test_no_step_waits_for_the_network(
    store: Store, experiment: pc.Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, sent, send = threading.Event(), [], remote.send

    def slow(source: Path, url: str) -> str:
        assert trained.wait(60), "the run waits for what it sends"
        sent.append(load_checkpoint(source).step)
        return send(source, url)

    def watched(*given: Any) -> Iterator[Event]:
        yield from events(*given, checkpoint_every_s=0.0)
        trained.set()

    monkeypatch.setattr(remote, "send", slow)
    monkeypatch.setattr(executing, "events", watched)
    run_id = store.create(experiment)
    assert execute(store, run_id) == "finished"
    assert sent[-1] == 60  # the last one always arrives before the run is said to have ended
    assert len(sent) <= 3  # those in between that were overtaken are not sent at all
    assert store.run(run_id).checkpoint == 60


@pytest.mark.usefixtures("bucket", "often")
@pytest.mark.parametrize("over", [True, False])
def test_what_cannot_be_sent_is_a_warning(
    store: Store, experiment: pc.Experiment, over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "RETRY_S", 0.05)
    monkeypatch.setattr(files, "PATIENCE_S", 10.0 if over else 0.2)
    failed, send = [], remote.send

    def failing(source: Path, url: str) -> str:
        if len(failed) < 2 or not over:
            failed.append(url)
            raise pc.StoreUnavailableError("the network is away.")
        return send(source, url)

    monkeypatch.setattr(remote, "send", failing)
    run_id = store.create(experiment)
    assert execute(store, run_id) == "finished"
    record = store.run(run_id)
    assert len(failed) >= 2
    assert "The newest checkpoint is on " in record.summary["warning"]
    assert record.summary["warning"].endswith("the network is away.")
    assert record.checkpoint == (60 if over else 0)  # what others can go on from
    assert load_checkpoint(checkpoint_path(run_id)).step == 60
    assert files.checkpoint(run_id, resume=True) == checkpoint_path(run_id)  # here it is not lost


@pytest.mark.usefixtures("often")
def test_readers_follow_whoever_wrote_last(
    bucket: str, store: Store, experiment: pc.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Path(os.environ["PRUNE_LAB_HOME"]), tmp_path / "there"
    request = PreviewRequest(run=(run_id := store.create(experiment)))
    with pytest.raises(pc.ConfigError, match="no checkpoint yet"):
        source_key(store.url, request)
    files._seen.clear()
    assert execute(store, run_id) == "finished"
    assert files.checkpoint(run_id) == checkpoint_path(run_id)  # not fetched: it is the one that was sent
    first = source_key(store.url, request)
    move(monkeypatch, there)
    assert source_key(store.url, request) == first  # one stamp everywhere
    copy = files.checkpoint(run_id)
    assert copy.parent == run_folder(run_id)
    assert copy.read_bytes() == (here / "runs" / run_id / "checkpoint.pt").read_bytes()
    at = copy.stat().st_mtime_ns
    assert files.checkpoint(run_id).stat().st_mtime_ns == at  # once
    pc.run(experiment, checkpoint=checkpoint_path(run_id), progress=False)
    files.upload(run_id)  # as if it had been trained on there
    move(monkeypatch, here)
    assert source_key(store.url, request) != first
    assert files.checkpoint(run_id, resume=True).name == "shared.pt"
    move(monkeypatch, there)
    assert files.checkpoint(run_id, resume=True) == checkpoint_path(run_id)
    # what was written here and not sent yet: a resumed run knows it, readers all see the same
    checkpoint_path(run_id).write_bytes(b"newer")
    assert files.checkpoint(run_id, resume=True).read_bytes() == b"newer"
    assert load_checkpoint(files.checkpoint(run_id)).step == 60
    store.delete([run_id])
    assert store.purge() == [run_id]
    assert remote.mark(f"{bucket}/runs/{run_id}/checkpoint.pt") is None
    assert not run_folder(run_id).exists()


def test_another_run_starts_from_a_shared_checkpoint_wherever_it_is(
    bucket: str, store: Store, experiment: pc.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.create(experiment)
    assert execute(store, run_id) == "finished"
    url, content = files.address(run_id), file_sha256(files.checkpoint(run_id))
    assert url == f"{bucket}/runs/{run_id}/checkpoint.pt"
    sample = store.samples()[0].id
    move(monkeypatch, tmp_path / "there")
    start = pc.FromCheckpoint(path=url, sha256=content)
    tuned = experiment.with_(start=start, prune=None, clip=None, **{"train.steps": 2, "train.eval_every": 2})
    assert execute(store, store.create(tuned)) == "finished"
    with pytest.raises(pc.CheckpointError, match=f"{url} must have the content 000"):
        pc.run(tuned.with_(start=pc.FromCheckpoint(path=url, sha256="0" * 64)), progress=False)
    with pytest.raises(pc.CheckpointError, match=f"There is no checkpoint at {bucket}/nothing"):
        pc.run(tuned.with_(start=pc.FromCheckpoint(path=f"{bucket}/nothing")), progress=False)
    copied = store.create(experiment, checkpoint=url)
    assert execute(store, copied) == "finished"  # at once: it knows all
    assert remote.read(files.address(copied)) == remote.read(url)
    Store(store.url).samples()
    assert remote.read(files.address(sample)) == checkpoint_path(sample).read_bytes()


def test_a_run_does_not_start_anew_because_its_files_cannot_be_reached(
    bucket: str, store: Store, experiment: pc.Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.create(experiment)
    monkeypatch.setenv("PRUNE_LAB_FILES", "gopher://nowhere/lab")
    assert execute(store, run_id) == "failed"
    assert store.run(run_id).reason.startswith("Files at gopher://nowhere/lab")
    assert store.run(run_id).reason.endswith("use a folder or s3://bucket/folder.")
    monkeypatch.setenv("PRUNE_LAB_FILES", bucket)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "s3fs", None)
        without.delitem(_registry, "s3", raising=False)  # it remembers what was imported
        remote._opened.cache_clear()
        with pytest.raises(pc.StoreUnavailableError, match="not installed: pip install s3fs"):
            files.stamp(run_id)


def test_a_folder_that_machines_share_will_do(
    store: Store, experiment: pc.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNE_LAB_FILES", str(tmp_path / "shared"))
    run_id = store.create(experiment)
    assert execute(store, run_id) == "finished"
    move(monkeypatch, tmp_path / "there")
    assert load_checkpoint(files.checkpoint(run_id)).step == 60
    assert load_checkpoint(files.address(run_id)).step == 60
    left = [path.name for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    assert left == ["checkpoint.pt"]
    with contextlib.suppress(pc.StoreError):
        files.remove(run_id)
    assert not list((tmp_path / "shared" / "runs").iterdir())
