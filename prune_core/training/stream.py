"""The training loop: a generator of events that knows no page and no store.

One step is: forward, backward, mask gradients, clip, optimizer, mask weights. Whoever iterates decides what to do with
the events; iterating slowly, or looking at none of them, never changes the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from prune_core.errors import ConfigError
from prune_core.events import (
    CheckpointEvent,
    DoneEvent,
    Event,
    InterventionEvent,
    StateEvent,
    StepEvent,
    WarningEvent,
)
from prune_core.experiment import Experiment
from prune_core.training.beginning import say_uncut
from prune_core.training.checkpoint import load_checkpoint, save_checkpoint
from prune_core.training.control import Change, Control, check_intervention
from prune_core.training.state import RunState

GOOD_EVERY = 10  # steps between two copies of a good state, to fall back on when the run diverges


def stream(
    experiment: Experiment,
    control: Control | None = None,
    *,
    interventions: Iterable[InterventionEvent] = (),
    checkpoint: Path | str | None = None,
    resume: bool = True,
    checkpoint_every_s: float = 5.0,
) -> Iterator[Event]:
    """Train as ``experiment`` says and yield what happens, a DoneEvent last.

    ``control`` steers from another thread; ``interventions`` replays recorded changes at their steps. With
    ``checkpoint`` the state is written there every few seconds and at the end, and an existing file of the same
    experiment is continued unless ``resume`` is False. Raises LabError at once where the run cannot start: missing
    data, a checkpoint of another experiment, an intervention out of bounds.
    """
    state = RunState(experiment, interventions)
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None and resume and path.is_file():
        state.load(load_checkpoint(path))
    return events(state, control or Control(), path, checkpoint_every_s)


def events(
    state: RunState, control: Control, path: Path | None = None, checkpoint_every_s: float = 5.0
) -> Iterator[Event]:
    """Train ``state`` from where it is to the end."""
    if state.done is not None:
        yield state.done
        return
    train = state.experiment.train
    eval_period, snapshot_period = train.eval_period, train.snapshot_period
    # on a GPU rows wait in ``pending``: asking for a number stalls it, so it is asked every tenth step only
    sync_every = 1 if state.device.type == "cpu" else GOOD_EVERY
    pending: list[StepEvent] = []
    status, reason = "finished", f"all {train.steps} steps made"
    before, began = state.seconds, time.perf_counter()
    saved = began
    if state.step == 0:
        if said := say_uncut(state.masks.groups):
            yield said
        if masked := state.follow_schedule():
            yield masked
        yield state.snapshot()
    while state.step < train.steps:
        if not control.idle:
            yield from _listen(state, control, path)
            if control.stopped:
                status, reason = "stopped", control.stopped
                break
        step = state.step + 1
        for mark in state.replay.get(step, ()):
            yield from _intervene(state, mark)
        look = step % snapshot_period == 0 or step == train.steps
        look_test = step % eval_period == 0 and step < train.steps
        pending.append(StepEvent(step, state.gradient(step, look)))
        if look or look_test or step % sync_every == 0:
            bad = state.first_bad([event.row for event in pending])
            yield from pending[:bad]
            if bad is not None:
                state.seen = pending[bad].step - 1
                status, reason = "diverged", _why(pending[bad])
                pending.clear()
                break
            pending.clear()
            if step % GOOD_EVERY == 0:  # the loss at these weights is finite, and they have not moved yet
                state.keep_good()
        state.update()
        if masked := state.follow_schedule():
            yield masked
        if masked := state.exchange():
            yield masked
        if look:
            yield state.snapshot()
        if look_test:
            yield state.evaluate(train.eval_samples)
        now = time.perf_counter()
        state.seconds = before + now - began
        if path is not None and now - saved >= checkpoint_every_s and not pending:
            yield _save(state, path)
            saved = now
        control.made_step()
    yield from pending
    if status == "diverged":
        state.fall_back()
        reason = f"{reason}; the state after step {state.step} is kept"
    if status == "finished" and (measured := state.recalibrate()):  # one that is stopped may go on
        yield measured
    yield state.evaluate(None)
    state.seconds = before + time.perf_counter() - began
    state.done = DoneEvent(state.step, status, reason, state.seconds)  # type: ignore[arg-type]
    if path is not None:
        yield _save(state, path)
    yield state.done


def _listen(state: RunState, control: Control, path: Path | None) -> Iterator[Event]:
    """Take over changes; hold while paused."""
    held = False
    while True:
        for change in control.drain(state.step):
            yield from _take(state, change)
        if control.stopped:
            break
        if not control.paused:
            if control.take_turn():
                break
            continue
        if not held:
            held = True
            if path is not None:  # a paused run may wait for long: its state is safe on disk meanwhile
                yield _save(state, path)
            yield StateEvent(state.step, "paused")
        if not control.wait():  # one that never blocks: whoever iterates waits for all lanes of a race at once
            yield StateEvent(state.step, "paused")
    if held and not control.stopped:
        yield StateEvent(state.step, "running")


def _take(state: RunState, change: Change) -> Iterator[Event]:
    try:
        value = check_intervention(state.experiment, change.field, change.value)
    except ConfigError as error:
        yield WarningEvent(state.step, str(error))
        return
    yield from _intervene(state, InterventionEvent(state.step + 1, change.field, value, change.sender))


def _intervene(state: RunState, mark: InterventionEvent) -> Iterator[Event]:
    masked = state.intervene(mark)
    yield mark
    if masked is not None:
        yield masked


def _save(state: RunState, path: Path) -> Event:
    try:
        save_checkpoint(path, state.checkpoint())
    except OSError as error:  # a full disk must not end a run that is otherwise fine
        return WarningEvent(state.step, f"The checkpoint could not be written to {path}: {error.strerror or error}.")
    return CheckpointEvent(state.step, str(path))


def _why(event: StepEvent) -> str:
    if event.loss - event.loss != 0:  # nan or inf
        return f"the loss was {event.loss} at step {event.step}"
    return f"the gradient norm was {event.grad_norm_before} at step {event.step}"
