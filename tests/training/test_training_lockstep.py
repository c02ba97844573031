"""Runs side by side: each is bitwise what it is alone, and none is ever more than one step ahead."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import prune_core as pc
from prune_core.events import Event, StateEvent
from prune_core.training.lockstep import LANES, Lane, LaneControl, fields_of, lane_of, lockstep
from prune_core.training.state import RunState
from prune_core.training.stream import events


def base(model: pc.ModelSource | None = None, **train: Any) -> pc.Experiment:
    settings = {"steps": 40, "eval_every": 10, "snapshot_every": 10, "device": "cpu"} | train
    return pc.Experiment(
        data=pc.Digits(), model=model or pc.SmallCNN(width=4), clip=pc.ValueClip(threshold=0.01),
        prune=pc.Pruning(schedule=pc.Cubic(final=0.8, start=5, stop=30, every=3)), train=pc.Training(**settings),
    )  # fmt: skip


def lanes(experiment: pc.Experiment, control: pc.Control) -> tuple[list[Lane], dict[str, RunState]]:
    made, states = [], {}
    for name, exp in pc.lanes_of(experiment).items():
        own = LaneControl(control)
        states[name] = RunState(exp)
        made.append(Lane(name, events(states[name], own), own, fields_of(exp)))
    return made, states


def step_counts(pairs: Iterator[tuple[str, Event]]) -> dict[str, int]:
    """Walk through a race and fail where two lanes that still go are more than a step apart."""
    counts = dict.fromkeys(LANES, 0)
    going = set(LANES)
    for name, event in pairs:
        if isinstance(event, pc.StepEvent):
            counts[name] = event.step
            there = [counts[lane] for lane in going]
            assert max(there) - min(there) <= 1, counts
        elif isinstance(event, pc.DoneEvent):
            going.discard(name)
    assert not going
    return counts


def test_lanes_leave_out_either_or_both() -> None:
    found = pc.lanes_of(base())
    assert list(found) == list(LANES)
    assert [lane_of(one) for one in found.values()] == list(LANES)
    assert found["both"] == base() and found["baseline"].differences(base()).keys() >= {"clip", "prune.criterion"}
    with pytest.raises(pc.ConfigError, match=r"clips and prunes.*prune must be set, got None"):
        pc.lanes_of(base().replace(prune=None))


@pytest.mark.parametrize("model", [pc.SmallCNN(width=4), pc.RowLSTM(hidden=8)], ids=lambda m: type(m).__name__)
def test_each_lane_is_bitwise_what_its_run_alone_gives(model: pc.ModelSource) -> None:
    experiment = base(model)
    made, states = lanes(experiment, control := pc.Control())
    step_counts(lockstep(made, control))
    for name, exp in pc.lanes_of(experiment).items():
        alone = pc.run(exp, progress=False)
        state = states[name]
        assert torch.equal(state.rows.double(), torch.tensor(alone.history.iloc[:, 1:8].to_numpy())), name
        assert all(torch.equal(v, alone.model.state_dict()[k]) for k, v in state.model.state_dict().items()), name
        assert state.evals[-1].accuracy == alone.accuracy


def test_a_lane_that_diverges_drops_out_and_the_others_go_on() -> None:
    pairs = list(pc.race(base(lr=100.0, weight_decay=1.0, steps=60)))
    ends = {name: event for name, event in pairs if isinstance(event, pc.DoneEvent)}
    assert {name: end.status for name, end in ends.items()}["baseline"] == "diverged"
    last: dict[str, int] = defaultdict(int)
    for name, event in pairs:
        last[name] = event.step if isinstance(event, pc.StepEvent) else last[name]
    assert step_counts(iter(pairs)) == last
    assert max(last.values()) > last["baseline"], "somebody went on without it"


class Driver:
    """A race in a thread of its own, and what it said so far."""

    def __init__(self, experiment: pc.Experiment) -> None:
        self.control = pc.Control()
        self.lanes, self.states = lanes(experiment, self.control)
        self.seen: list[tuple[str, Event]] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for pair in lockstep(self.lanes, self.control):
            self.seen.append(pair)

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline and (self.thread.is_alive() or condition())
            time.sleep(0.002)

    def steps(self) -> list[int]:
        return [state.step for state in self.states.values()]

    def held(self) -> bool:
        said = {n: e.state for n, e in list(self.seen) if isinstance(e, StateEvent)}
        return len(said) == len(LANES) and set(said.values()) == {"paused"}


def test_pause_holds_all_lanes_at_one_step_and_step_moves_all_by_one() -> None:
    race = Driver(base(steps=100_000))
    race.thread.start()
    race.until(lambda: min(race.steps()) > 3)
    race.control.pause()
    race.until(race.held)
    at = race.steps()
    assert len(set(at)) == 1
    race.control.step(2)
    race.until(lambda: race.steps() == [at[0] + 2] * 4 and race.held())
    race.control.set(clip_threshold=0.5, sender="a test")  # while held: taken over by the lanes that clip
    race.until(lambda: race.states["both"].marks)
    assert {n: len(s.marks) for n, s in race.states.items()} == {"baseline": 0, "clipping": 1, "pruning": 0, "both": 1}
    assert race.states["clipping"].marks[0].step == at[0] + 3
    assert race.steps() == [at[0] + 2] * 4, "a change makes no step"
    race.control.pace(50.0)
    race.control.resume()
    race.until(lambda: min(race.steps()) > at[0] + 4)
    race.lanes[0].control.stop()  # of one lane
    race.until(lambda: race.lanes[0].over)
    race.control.stop("enough")
    race.thread.join(30)
    ends = {n: e.reason for n, e in race.seen if isinstance(e, pc.DoneEvent)}
    assert ends == {"baseline": "stopped on request", **dict.fromkeys(LANES[1:], "enough")}
    step_counts(iter(race.seen))


def test_what_is_told_to_one_lane_holds_for_the_race() -> None:
    control = pc.Control()
    lane = LaneControl(control)
    lane.pause()
    assert control.paused and not lane.paused
    lane.step(1)
    assert not control.paused
    control.made_step()
    assert control.paused
    lane.resume()
    assert not control.paused


def test_a_pace_keeps_steps_apart_and_a_word_breaks_in() -> None:
    control = pc.Control()
    control.pace(0.01)  # a step in 100 s
    assert (control.drain(0), control.take_turn()) == ([], True)
    threading.Timer(0.05, control.pause).start()
    assert not control.take_turn(), "told to pause while it waited"
    with pytest.raises(pc.ConfigError, match="pace must be greater than 0"):
        control.pace(-1)


def test_one_that_is_behind_catches_up_first() -> None:
    made, states = lanes(base(), control := pc.Control())
    short = list(itertools.islice(events(states["both"], LaneControl(control)), 30))
    ahead = max(e.step for e in short if isinstance(e, pc.StepEvent))
    made[3].events = events(states["both"], made[3].control)
    made[3].step = ahead
    order = [(n, e.step) for n, e in lockstep(made, control) if isinstance(e, pc.StepEvent)]
    first = next(i for i, (n, _) in enumerate(order) if n == "both")
    assert order[first] == ("both", ahead + 1)
    assert {s for n, s in order[:first]} == set(range(1, ahead + 2)), "the others came before it, in their order"
