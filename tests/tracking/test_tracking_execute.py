"""Executing a run: what is recorded is what happened, it can be steered, and nothing that befalls the store ends it."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import prune_core as pc
from prune_core.events import STEP_FIELDS, Event
from prune_core.measuring import count_parameters
from prune_core.tracking import Store, checkpoint_path, execute, recorder
from prune_core.tracking import executing as module
from prune_core.training import load_checkpoint, restore_model
from prune_core.training.stream import events

COLUMNS = ["step", *STEP_FIELDS]


class Gates:
    """Steps after which training waits until the test lets it go on."""

    def __init__(self, *steps: int) -> None:
        self._open = {step: threading.Event() for step in steps}

    def stream(self, *given: Any) -> Iterator[Event]:
        for event in events(*given):
            yield event
            if isinstance(event, pc.StepEvent) and event.step in self._open:
                assert self._open[event.step].wait(60)

    def open(self, step: int) -> None:
        self._open[step].set()


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> Gates:
    """Training waits after steps 20 and 40."""
    found = Gates(20, 40)
    monkeypatch.setattr(module, "events", found.stream)
    return found


def executing(store: Store, run_id: str) -> Callable[[], str]:
    """Execute in a thread; call the result to wait for its status."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(execute(store, run_id, "worker 1")))
    thread.start()

    def result() -> str:
        thread.join(60)
        return found[0]

    return result


def until(true: Callable[[], object], seconds: float = 60) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "this never came true"
        time.sleep(0.01)


def assert_recorded(store: Store, run_id: str, whole: pc.Result) -> None:
    """The store holds, bitwise and without a gap, what ``pc.run`` returned; the kept model is the same."""
    history = store.history(run_id)
    assert history["step"].tolist() == list(range(1, whole.step + 1))
    assert history.equals(whole.history[COLUMNS].astype(history.dtypes))
    looks = whole.history.dropna(subset="accuracy")
    evals = store.evals(run_id)
    assert evals["step"].tolist() == looks["step"].tolist()
    assert evals["accuracy"].tolist() == looks["accuracy"].tolist()
    record = store.run(run_id)
    assert (record.status, record.reason, record.step) == (whole.status, whole.reason, whole.step)
    assert (record.accuracy, record.loss, record.sparsity) == (whole.accuracy, whole.loss, whole.sparsity)
    model, masks = restore_model(whole.experiment, checkpoint_path(run_id))
    ours, theirs = model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert all(torch.equal(masks[name], whole.masks[name]) for name in whole.masks)


def test_what_is_recorded_is_what_a_notebook_gets(store: Store, experiment: pc.Experiment) -> None:
    run_id = store.create(experiment)
    assert execute(store, run_id, "worker 1") == "finished"
    whole = pc.run(experiment, progress=False)
    assert_recorded(store, run_id, whole)
    assert store.snapshot_steps(run_id) == [0, 20, 40, 60]
    shot = store.snapshot(run_id)
    assert shot is not None
    assert {layer.name for layer in shot.layers} >= set(whole.masks)
    assert store.masks(run_id)["step"].max() == 40  # the last step at which the schedule changes
    record = store.run(run_id)
    assert record.worker == "worker 1"
    assert record.started is not None
    assert record.ended is not None
    assert record.created <= record.started <= record.ended
    summary = record.summary
    count = count_parameters(whole.model, whole.masks)
    assert (summary["parameters"], summary["nonzero"]) == (count.total, count.nonzero)
    assert (summary["n"], summary["step"], summary["threads"]) == (experiment.data.info.test, 60, 1)
    assert summary["steps_per_second"] == pytest.approx(60 / summary["seconds"])
    assert "warning" not in summary
    assert record.publishing == "waiting"
    assert execute(store, run_id) == "refused"


def test_a_run_that_somebody_claimed_is_refused(
    store: Store, claimed: tuple[str, str], experiment: pc.Experiment
) -> None:
    assert execute(store, claimed[0]) == "refused"
    assert store.run(claimed[0]).worker == "worker 1"
    cancelled = store.create(experiment, owner="ann")
    store.cancel(cancelled, "ann")
    assert execute(store, cancelled) == "refused"
    assert execute(store, "nothing") == "refused"


def test_a_run_that_diverges_is_recorded_as_such(store: Store, experiment: pc.Experiment) -> None:
    wild = experiment.with_(clip=None, prune=None, **{"train.lr": 1000.0})
    run_id = store.create(wild)
    assert execute(store, run_id) == "diverged"
    record = store.run(run_id)
    assert "at step" in record.reason
    assert record.accuracy == pc.run(wild, progress=False).accuracy
    assert store.history(run_id)["loss"].notna().all()


# --- steering --------------------------------------------------------------------------------------------------------
def test_a_run_is_steered_from_elsewhere_and_replays_bitwise(store: Store, experiment: pc.Experiment) -> None:
    run_id, elsewhere = store.create(experiment), Store(store.url)
    elsewhere.send(run_id, "step", 7)  # before it started: seven steps, then it holds
    result = executing(store, run_id)
    until(lambda: elsewhere.run(run_id).status == "paused")
    until(lambda: elsewhere.run(run_id).checkpoint)  # safe on disk for as long as it holds
    held = elsewhere.run(run_id).step
    assert held == elsewhere.run(run_id).checkpoint == 7
    elsewhere.send(run_id, "step", 3)
    until(lambda: elsewhere.run(run_id).step == held + 3)
    elsewhere.send(run_id, "set:clip_threshold", 0.5, sender="ann")
    elsewhere.send(run_id, "set:lr", 0.02, sender="ann")
    elsewhere.send(run_id, "set:clip_threshold", -1.0, sender="bob")  # a sentence, and nothing else
    until(lambda: len(elsewhere.marks(run_id)) == 2)
    beat = elsewhere.run(run_id).heartbeat
    until(lambda: elsewhere.run(run_id).heartbeat != beat)  # it holds, and says that it lives
    elsewhere.send(run_id, "step", 10)
    until(lambda: elsewhere.run(run_id).step == held + 13)
    elsewhere.send(run_id, "set:sparsity", 0.9, sender="bob")
    until(lambda: len(elsewhere.marks(run_id)) == 3)
    elsewhere.send(run_id, "resume")
    assert result() == "finished"
    marks = store.marks(run_id)
    assert marks["field"].tolist() == ["clip_threshold", "lr", "sparsity"]
    assert marks["value"].tolist() == [0.5, 0.02, 0.9]
    assert marks["sender"].tolist() == ["ann", "ann", "bob"]
    assert marks["step"].tolist() == [held + 4, held + 4, held + 14]  # the first step to use them
    rate = store.history(run_id).set_index("step")["lr"]
    assert rate[held + 3] == pytest.approx(0.1)
    assert rate[held + 4] == pytest.approx(0.02)
    record = store.run(run_id)
    assert "threshold" in record.summary["warning"]
    assert record.sparsity == pytest.approx(0.9, abs=0.001)
    replay = [pc.InterventionEvent(int(m.step), m.field, m.value, m.sender) for m in marks.itertuples()]
    assert_recorded(store, run_id, pc.run(experiment, interventions=replay, progress=False))


def test_a_stopped_run_keeps_its_state_and_goes_on(store: Store, experiment: pc.Experiment) -> None:
    run_id = store.create(experiment)
    store.send(run_id, "pause")
    result = executing(store, run_id)
    until(lambda: store.run(run_id).status == "paused")
    store.send(run_id, "set:lr", 0.02)
    until(lambda: len(store.marks(run_id)))
    store.send(run_id, "step", 5)
    until(lambda: store.run(run_id).step == 5)
    store.send(run_id, "stop")
    assert result() == "stopped"
    record = store.run(run_id)
    assert load_checkpoint(checkpoint_path(run_id)).step == record.step == record.checkpoint == 5
    store.requeue(run_id)
    assert execute(store, run_id) == "finished"
    marks = [pc.InterventionEvent(int(m.step), m.field, m.value) for m in store.marks(run_id).itertuples()]
    assert len(marks) == 1
    whole = pc.run(experiment, interventions=marks, progress=False)
    history = store.history(run_id)
    assert history.equals(whole.history[COLUMNS].astype(history.dtypes))
    assert store.run(run_id).accuracy == whole.accuracy


@pytest.mark.parametrize("purged", [False, True])
def test_a_run_that_is_cancelled_ends_by_itself(store: Store, experiment: pc.Experiment, purged: bool) -> None:
    run_id = store.create(experiment, owner="ann")
    store.send(run_id, "pause")
    result = executing(store, run_id)
    until(lambda: store.run(run_id).status == "paused")
    store.cancel(run_id, "ann")
    if purged:
        store.delete([run_id])
        store.purge()
    assert result() == ("lost" if purged else "cancelled")
    if not purged:
        assert store.run(run_id).step == 0  # it held before its first step, and nothing was written after that
        assert store.run(run_id).reason == "cancelled on request"


# --- when the store fails --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["read_only", "full"])
def test_a_run_outlives_a_while_without_its_store(
    store: Store, experiment: pc.Experiment, trouble: Any, gates: Gates, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = store.create(experiment)
    result = executing(store, run_id)
    until(lambda: store.run(run_id).step == 20)
    getattr(trouble, what)()
    gates.open(20)
    until(lambda: "for a while not recorded" in caplog.text)
    during = store.run(run_id)
    assert during.status == "running"
    assert store.history(run_id)["step"].tolist() == list(range(1, during.step + 1))
    trouble.over()
    until(lambda: store.run(run_id).step == 40)
    until(lambda: "is recorded again; nothing is missing" in caplog.text)  # said after the step is in the store
    gates.open(40)
    assert result() == "finished"
    assert_recorded(store, run_id, pc.run(experiment, progress=False))
    warning = store.run(run_id).summary["warning"]
    assert f"From step {during.step + 1} on the run was for a while not recorded: The store" in warning


@pytest.mark.parametrize("what", ["read_only", "full"])
def test_a_run_that_cannot_be_recorded_any_more_is_trained_to_its_end(
    store: Store,
    experiment: pc.Experiment,
    trouble: Any,
    gates: Gates,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder, "PATIENCE_S", 0.3)
    run_id = store.create(experiment)
    result = executing(store, run_id)
    until(lambda: store.run(run_id).step == 20)
    getattr(trouble, what)()
    gates.open(20)
    gates.open(40)
    assert result() == "not recorded"
    assert "ended (finished: all 60 steps made) and is not recorded: The store" in caplog.text
    known = store.run(run_id)
    assert (known.status, known.step < 60) == ("running", True)  # nobody could write that it ended
    assert store.history(run_id)["step"].tolist() == list(range(1, known.step + 1))
    assert load_checkpoint(checkpoint_path(run_id)).step == 60  # its state is not lost
    trouble.over()
    store.reap(older_than_s=0.05)
    time.sleep(0.1)
    assert store.reap(older_than_s=0.05) == [run_id]
    store.requeue(run_id)
    assert execute(store, run_id) == "finished"  # at once: the checkpoint knows all
    assert_recorded(store, run_id, pc.run(experiment, progress=False))


# --- when the run fails ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("it broke\n  here"), "RuntimeError: it broke here"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError"),
        (pc.DataMissingError("Put the files there."), "Put the files there."),
    ],
)
def test_whatever_fails_is_one_line_in_the_run(
    store: Store, experiment: pc.Experiment, error: BaseException, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*given: Any) -> Iterator[Event]:
        for event in events(*given):
            yield event
            if isinstance(event, pc.StepEvent) and event.step == 30:
                raise error

    monkeypatch.setattr(module, "events", failing)
    run_id = store.create(experiment)
    assert execute(store, run_id) == "failed"
    record = store.run(run_id)
    assert (record.status, record.reason) == ("failed", reason)
    assert store.history(run_id)["step"].tolist() == list(range(1, 31))  # what was made before is kept
    monkeypatch.setattr(module, "events", events)
    store.requeue(run_id)
    assert execute(store, run_id) == "finished"
    assert_recorded(store, run_id, pc.run(experiment, progress=False))


def test_ctrl_c_stops_the_run_and_is_heard(
    store: Store, experiment: pc.Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any) -> Iterator[Event]:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "events", interrupted)
    run_id = store.create(experiment)
    with pytest.raises(KeyboardInterrupt):
        execute(store, run_id)
    assert store.run(run_id).status == "stopped"
    assert store.run(run_id).reason == "stopped from the keyboard"


def test_a_run_that_cannot_start_says_why(store: Store, experiment: pc.Experiment) -> None:
    run_id = store.create(experiment)
    checkpoint_path(run_id).parent.mkdir(parents=True)
    pc.run(experiment.with_(**{"train.seed": 4}), checkpoint=checkpoint_path(run_id), progress=False)
    assert execute(store, run_id) == "failed"
    assert "belongs to experiment" in store.run(run_id).reason
    checkpoint_path(run_id).write_bytes(b"half a check")
    store.requeue(run_id)
    assert execute(store, run_id) == "failed"
    assert "not a whole checkpoint" in store.run(run_id).reason


def test_a_disk_without_room_for_checkpoints_is_a_warning(
    store: Store, experiment: pc.Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.create(experiment)
    checkpoint_path(run_id).parent.parent.mkdir(parents=True)
    checkpoint_path(run_id).parent.write_text("a file where a folder should be")
    monkeypatch.setattr(module, "events", functools.partial(events, checkpoint_every_s=0.0))
    assert execute(store, run_id) == "finished"
    record = store.run(run_id)
    assert "The checkpoint could not be written" in record.summary["warning"]
    assert record.checkpoint == 0
    assert record.accuracy == pc.run(experiment, progress=False).accuracy
