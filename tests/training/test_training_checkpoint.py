"""Checkpoints: resuming is bitwise, half-written files are never read, and a killed process loses nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from lab_processes import Other

import prune_core as pc

SCRIPT = """
import sys, time, torch
torch.set_num_threads(1)
import prune_core as pc
exp = pc.Experiment.from_yaml(open(sys.argv[1]).read())
for event in pc.stream(exp, checkpoint=sys.argv[2], checkpoint_every_s=0.05):
    if isinstance(event, pc.StepEvent):
        time.sleep(0.005)
        print(event.step, flush=True)
"""


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_killed_run_resumes_and_ends_bitwise_equal(experiment: pc.Experiment, tmp_path: Path, optimizer: str) -> None:
    exp = experiment.with_(**{"train.optimizer": optimizer, "train.lr": 0.01, "train.steps": 150})
    settings, path = tmp_path / "exp.yaml", tmp_path / "run" / "checkpoint.pt"
    settings.write_text(exp.to_yaml())
    victim = Other(SCRIPT, str(settings), str(path))
    try:
        for line in victim.stdout:
            if int(line) >= 60 and path.exists():
                break
        os.kill(victim.pid, signal.SIGKILL)
    finally:
        victim.kill()
    at = pc.load_checkpoint(path).step
    assert 0 < at < 150
    resumed = pc.run(exp, checkpoint=path, progress=False)
    whole = pc.run(exp, progress=False)
    assert same_weights(resumed.model, whole.model)
    assert resumed.history.equals(whole.history)
    assert resumed.accuracy == whole.accuracy
    assert all(torch.equal(resumed.masks[k], whole.masks[k]) for k in whole.masks)


def test_stopped_then_resumed_equals_one_run(experiment: pc.Experiment, tmp_path: Path) -> None:
    control = pc.Control()
    for event in pc.stream(experiment, control, checkpoint=tmp_path / "c.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 25:
            control.stop()
    resumed = pc.run(experiment, checkpoint=tmp_path / "c.pt", progress=False)
    whole = pc.run(experiment, progress=False)
    assert same_weights(resumed.model, whole.model)
    assert resumed.history.equals(whole.history)
    again = pc.run(experiment, checkpoint=tmp_path / "c.pt", progress=False)  # finished: nothing is trained twice
    assert again.accuracy == whole.accuracy
    assert same_weights(again.model, whole.model)


def test_checkpoint_of_another_experiment_is_refused(experiment: pc.Experiment, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    pc.run(experiment, checkpoint=path, progress=False)
    with pytest.raises(pc.CheckpointError, match="belongs to experiment"):
        pc.stream(experiment.with_(**{"train.seed": 9}), checkpoint=path)
    other = experiment.with_(data=pc.Digits(), prune=None)
    with pytest.raises(pc.CheckpointError, match="another model"):
        pc.restore_model(other, path)
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(pc.CheckpointError, match="not a whole checkpoint"):
        pc.load_checkpoint(path)
    with pytest.raises(pc.CheckpointError, match="no checkpoint"):
        pc.load_checkpoint(tmp_path / "missing.pt")


def test_start_from_an_earlier_run_keeps_its_masks(experiment: pc.Experiment, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    first = pc.run(experiment, checkpoint=path, progress=False)
    tuned = pc.run(
        experiment.with_(
            start=pc.FromCheckpoint(path=str(path)),
            **{"train.steps": 5, "train.eval_every": 5, "prune.schedule": pc.OneShot(final=0.9, at=0)},
        ),
        progress=False,
    )
    assert tuned.sparsity == pytest.approx(0.9, abs=0.001)
    for name, mask in first.masks.items():
        assert not (tuned.masks[name] & ~mask).any()  # what was gone stays gone
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(pc.CheckpointError, match="changed"):
        pc.run(experiment.with_(start=pc.FromCheckpoint(path=str(path), sha256="0" * 64)), progress=False)


def test_an_unwritable_folder_is_a_warning(experiment: pc.Experiment, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    events = list(pc.stream(experiment, checkpoint=tmp_path / "file" / "c.pt"))
    assert isinstance(events[-1], pc.DoneEvent)
    assert events[-1].status == "finished"
    assert any("could not be written" in getattr(e, "message", "") for e in events)


def test_time_is_counted_over_both_parts(experiment: pc.Experiment, tmp_path: Path) -> None:
    control, began = pc.Control(), time.perf_counter()
    for event in pc.stream(experiment, control, checkpoint=tmp_path / "c.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 30:
            control.stop()
    result = pc.run(experiment, checkpoint=tmp_path / "c.pt", progress=False)
    assert 0 < result.seconds <= time.perf_counter() - began
