"""Several runs side by side, step by step: what a race is made of.

Each lane is a generator of its own and computes what it would alone, bit for bit; here is only decided whose turn it
is. One thread does it all, so that four lanes need no more than one core and share whatever the data cache holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from prune_core.errors import ConfigError
from prune_core.events import Event, InterventionField, StateEvent, StepEvent
from prune_core.experiment import Experiment
from prune_core.training.control import Control
from prune_core.training.state import RunState
from prune_core.training.stream import events

LaneName = Literal["baseline", "clipping", "pruning", "both"]
LANES: tuple[LaneName, ...] = get_args(LaneName)


def lanes_of(experiment: Experiment) -> dict[LaneName, Experiment]:
    """The four lanes of a race: ``experiment`` without clipping and pruning, with either, and with both.

    Raises ConfigError where it does not both clip and prune.
    """
    missing = [name for name in ("clip", "prune") if getattr(experiment, name) is None]
    if missing:
        raise ConfigError(
            f"A race needs an experiment that clips and prunes, so that lanes can leave out either; "
            f"{' and '.join(missing)} must be set, got None."
        )
    return {
        "baseline": experiment.replace(clip=None, prune=None),
        "clipping": experiment.replace(prune=None),
        "pruning": experiment.replace(clip=None),
        "both": experiment,
    }


def lane_of(experiment: Experiment) -> LaneName:
    """Which lane of a race an experiment is."""
    if experiment.clip is None:
        return "baseline" if experiment.prune is None else "pruning"
    return "clipping" if experiment.prune is None else "both"


def fields_of(experiment: Experiment) -> frozenset[InterventionField]:
    """The settings that can be changed in mid-run."""
    found: set[InterventionField] = {"lr"}
    if experiment.clip is not None:
        found.add("clip_threshold")
    if experiment.prune is not None:
        found.add("sparsity")
    return frozenset(found)


class LaneControl(Control):
    """Steers one lane. New values and stop are the lane's own; pause, resume, step and pace are those of ``race``."""

    def __init__(self, race: Control) -> None:
        super().__init__()
        self._race = race

    def pause(self) -> None:
        """Hold the whole race."""
        self._race.pause()

    def resume(self) -> None:
        """Let the whole race go on."""
        self._race.resume()

    def step(self, n: int = 1) -> None:
        """Have every lane make ``n`` more steps."""
        self._race.step(n)

    def pace(self, steps_per_second: float | None) -> None:
        """Slow the whole race down, or None."""
        self._race.pace(steps_per_second)

    def set(
        self,
        *,
        clip_threshold: float | None = None,
        lr: float | None = None,
        sparsity: float | None = None,
        sender: str = "",
    ) -> None:
        """New values for this lane; taken over also while the race holds."""
        super().set(clip_threshold=clip_threshold, lr=lr, sparsity=sparsity, sender=sender)
        self._race.nudge()

    def stop(self, reason: str = "stopped on request") -> None:
        """End this lane; the others go on."""
        super().stop(reason)
        self._race.nudge()

    def wait(self, timeout: float | None = None) -> bool:
        """Never blocks: the one thread of a race waits in one place for all lanes."""
        return not self.paused or self.news

    def hold(self) -> None:
        """Before its next step the lane says that it is paused, and its turn is over."""
        super().pause()

    def let_go(self) -> None:
        """The lane may make steps again."""
        super().resume()


@dataclass
class Lane:
    """A run in a race. ``step`` is that of its newest StepEvent; ``takes`` are the fields that it can change."""

    name: str
    events: Iterator[Event]
    control: LaneControl
    takes: frozenset[InterventionField] = frozenset()
    step: int = 0
    over: bool = field(default=False, init=False)

    def turn(self, upto: Literal["step", "hold", "end"] = "step") -> Iterator[tuple[str, Event]]:
        """Go on to the lane's next step, to where it holds, or to its end."""
        for event in self.events:
            yield self.name, event
            if isinstance(event, StepEvent):
                self.step = event.step
                if upto == "step":
                    return
            if isinstance(event, StateEvent) and event.state == "paused" and upto == "hold":
                return
        self.over = True


def lockstep(lanes: Sequence[Lane], control: Control) -> Iterator[tuple[str, Event]]:
    """Advance ``lanes`` together and yield what happens, with the lane's name.

    It is always the turn of the lanes with the fewest steps, so that no two that started alike are ever more than one
    step apart; one that goes on from an older checkpoint catches up first. A lane that ended, stopped or diverged
    drops out. ``control`` steers all: lanes hold at the same step, and a change goes to those that it concerns.
    """
    going = list(lanes)
    try:
        while going:
            if not control.idle:
                yield from _listen(going, control)
            low = min((lane.step for lane in going if not lane.over), default=0)
            for lane in going:
                if lane.step == low and not lane.over:
                    yield from lane.turn()
            going = [lane for lane in going if not lane.over]
            control.made_step()
    finally:
        for lane in lanes:
            if not lane.over and (close := getattr(lane.events, "close", None)) is not None:
                close()


def _listen(lanes: Sequence[Lane], control: Control) -> Iterator[tuple[str, Event]]:
    """Hand on changes; hold all lanes while the race is paused; wait for the next step under a pace."""
    held = False
    while True:
        for change in control.drain(max(lane.step for lane in lanes)):
            for lane in lanes:
                if change.field in lane.takes:
                    lane.control.set(**{change.field: change.value}, sender=change.sender)
        if control.stopped:
            for lane in lanes:
                lane.control.stop(control.stopped)
            for lane in lanes:
                yield from lane.turn("end")
            return
        if not control.paused:
            if control.take_turn():
                break
            continue
        for lane in lanes:
            if not lane.over and (not held or lane.control.news):
                lane.control.hold()  # it first finishes the step that it has begun
                yield from lane.turn("hold")
        held = True
        control.wait()
    if held:
        for lane in lanes:
            lane.control.let_go()


def race(
    experiment: Experiment, control: Control | None = None, *, lanes: Sequence[LaneName] = LANES
) -> Iterator[tuple[LaneName, Event]]:
    """Train ``lanes`` of ``experiment`` side by side in this process and yield (lane, event), a DoneEvent last of each.

    Each lane is bitwise what its run alone gives. Raises ConfigError for an experiment that does not clip and prune.
    """
    control = control or Control()
    made: Mapping[LaneName, Experiment] = lanes_of(experiment)
    found = []
    for name in lanes:
        own = LaneControl(control)
        found.append(Lane(name, events(RunState(made[name]), own), own, fields_of(made[name])))
    return lockstep(found, control)  # type: ignore[return-value]
