"""Runs in this process: for notebooks, tests and the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from prune_core import display
from prune_core.events import STEP_FIELDS, EvalEvent, InterventionEvent, StateEvent, StepEvent
from prune_core.experiment import Experiment
from prune_core.training.checkpoint import load_checkpoint
from prune_core.training.control import Control
from prune_core.training.state import RunState
from prune_core.training.stream import events


@dataclass(frozen=True)
class Result:
    """What a run left behind. Shares lie in [0, 1]; accuracy and loss are of the whole test split.

    ``history`` has a row a step: step, the STEP_FIELDS, and accuracy where it was evaluated. ``model`` is an ordinary
    module in eval mode with the removed weights at exactly 0; ``masks`` is ``{name: bool tensor, True = kept}``.
    """

    experiment: Experiment
    status: str
    reason: str
    step: int
    accuracy: float
    loss: float
    sparsity: float
    per_class: tuple[float, ...]
    history: pd.DataFrame
    model: nn.Module
    masks: dict[str, torch.Tensor]
    interventions: tuple[InterventionEvent, ...]
    seconds: float
    device: str
    threads: int

    @property
    def digest(self) -> str:
        """The experiment's identity."""
        return self.experiment.digest

    def __repr__(self) -> str:
        return (
            f"Result({self.status} after {self.step} steps: accuracy {self.accuracy:.4f}, loss {self.loss:.4f}, "
            f"sparsity {self.sparsity:.4f}, {self.seconds:.1f} s on {self.device}, digest {self.digest})"
        )

    def _repr_html_(self) -> str:
        """In a notebook: how it ended and what came out."""
        kept = sum(int(m.sum()) for m in self.masks.values())
        total = sum(m.numel() for m in self.masks.values())
        rows: list[tuple[str, object]] = [
            ("ended", f"{self.status} after {self.step:,} steps" + (f": {self.reason}" if self.reason else "")),
            ("test accuracy", f"{self.accuracy:.2%}"),
            ("test loss", f"{self.loss:.4g}"),
            ("prunable weights removed", f"{self.sparsity:.2%}" + (f", {kept:,} of {total:,} left" if total else "")),
        ]
        if self.experiment.clip is not None and len(self.history):
            rows.append(("gradient entries clipped", f"{self.history['clipped'].mean():.2%}, a mean over all steps"))
        if self.interventions:
            rows.append(
                (
                    "changed in mid-run",
                    "; ".join(f"{m.field} {m.value:g} from step {m.step}" for m in self.interventions),
                )
            )
        rows.append(("took", f"{self.seconds:.1f} s on {self.device}, {self.threads} thread(s)"))
        return display.table("Result", rows, f"digest {self.digest}")


def run(
    experiment: Experiment,
    *,
    interventions: Iterable[InterventionEvent] = (),
    checkpoint: Path | str | None = None,
    resume: bool = True,
    control: Control | None = None,
    progress: bool | None = None,
    checkpoint_every_s: float = 5.0,
) -> Result:
    """Train in this process and return the result; the arguments are those of ``stream``.

    ``progress`` shows a bar; by default in a terminal or a notebook only. A run that diverges returns a result with
    the status ``diverged``. Ctrl-C stops after the current step and returns what there is.
    """
    control = control or Control()
    state = RunState(experiment, interventions)
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None and resume and path.is_file():
        state.load(load_checkpoint(path))
    shown = _interactive() if progress is None else progress
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        disable=not shown,
    ) as bar:
        task = bar.add_task("Training", total=experiment.train.steps, completed=state.step, note="")
        stream = events(state, control, path, checkpoint_every_s)
        while True:
            try:
                for event in stream:
                    if isinstance(event, StepEvent) and shown:
                        bar.update(task, completed=event.step)
                    elif isinstance(event, EvalEvent):
                        bar.update(task, note=f"accuracy {event.accuracy:.3f}")
                    elif isinstance(event, StateEvent):
                        bar.update(task, note=event.state)
                break
            except KeyboardInterrupt:
                control.stop("stopped from the keyboard")
                stream = events(state, control, path, checkpoint_every_s)
    return result_of(state)


def result_of(state: RunState) -> Result:
    """The result of a state whose run has ended."""
    assert state.done is not None and state.evals, "a run ends with an evaluation and a DoneEvent"
    last = state.evals[-1]
    state.masks.tidy_()
    return Result(
        experiment=state.experiment,
        status=state.done.status,
        reason=state.done.reason,
        step=state.done.step,
        accuracy=last.accuracy,
        loss=last.loss,
        sparsity=state.masks.sparsity,
        per_class=last.per_class,
        history=_history(state),
        model=state.flat.release().eval(),
        masks=state.masks.masks,
        interventions=tuple(state.marks),
        seconds=state.seconds,
        device=str(state.device),
        threads=torch.get_num_threads(),
    )


def _history(state: RunState) -> pd.DataFrame:
    rows = state.rows[: state.seen].cpu().double().numpy()
    frame = pd.DataFrame(rows, columns=list(STEP_FIELDS))
    frame.insert(0, "step", range(1, len(frame) + 1))
    accuracy = {e.step: e.accuracy for e in state.evals}
    frame["accuracy"] = frame["step"].map(accuracy).astype("float64")
    return frame


def _interactive() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules
