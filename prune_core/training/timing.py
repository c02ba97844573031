"""What a run will take, from its first steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from prune_core.experiment import Experiment
from prune_core.training.state import RunState

STEPS = 10
BUDGET_S = 1.0


@dataclass(frozen=True)
class StepTime:
    """Seconds on this machine at this moment: before the first step, of a step, of a look at the test split."""

    start_s: float
    step_s: float
    look_s: float

    def of(self, experiment: Experiment, steps: int | None = None) -> float:
        """Seconds that a run takes, or so many steps of it."""
        train = experiment.train
        made = train.steps if steps is None else steps
        return self.start_s + made * self.step_s + (1 + made // train.eval_period) * self.look_s


def time_steps(experiment: Experiment, budget_s: float = BUDGET_S) -> StepTime:
    """Build the model, make up to ten steps, at least two, and look at the test split once; nothing is kept.

    The first step is left out: it allocates memory and chooses kernels. Raises LabError where the run cannot start.
    """
    began = time.perf_counter()
    state = RunState(experiment)
    start = time.perf_counter() - began
    times: list[float] = []
    end = time.perf_counter() + budget_s
    steps = min(STEPS, experiment.train.steps)
    while len(times) < min(2, steps) or (len(times) < steps and time.perf_counter() < end):
        began = time.perf_counter()
        state.gradient(state.step + 1, False).sum().item()
        state.update()
        times.append(time.perf_counter() - began)
    began = time.perf_counter()
    state.evaluate(experiment.train.eval_samples)
    look = time.perf_counter() - began
    rest = sorted(times[1:] or times)
    return StepTime(start, rest[len(rest) // 2], look)


def stepper(experiment: Experiment, most: int = 20_000) -> Callable[[], None]:
    """A function that makes one step of ``experiment`` at each call, up to ``most``: to time steps of several in turns.

    Nothing is kept, and nothing is pruned. Raises LabError where the run cannot start.
    """
    state = RunState(experiment.with_(**{"train.steps": most}))

    def step() -> None:
        state.gradient(state.step % most + 1, False)
        state.update()

    return step
