"""How many weights are gone, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.marks import Mark, mark_layout, mark_words, marks_of
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.source import of_run
from prune_core.figures.thinning import keep
from prune_core.figures.words import percent

TITLE = "Sparsity: the share of weights removed"


@dataclass(frozen=True)
class Sparsity:
    """Shares of the prunable weights, in [0, 1]; ``plan`` is what the schedule asks for, where it is known."""

    step: np.ndarray
    sparsity: np.ndarray
    plan_step: np.ndarray
    plan: np.ndarray
    marks: tuple[Mark, ...]
    steps: int | None


@of_run
def sparsity_data(
    history: pd.DataFrame,
    plan: Sequence[tuple[int, float]] | None = None,
    marks: Any = None,
    steps: int | None = None,
) -> Sparsity:
    """From a run's history (step, sparsity) and the schedule's (step, sparsity) pairs."""
    value = history["sparsity"].to_numpy(float)
    # a stair: the steps at which it changes say all, and they are few
    changes = np.flatnonzero(np.diff(value, prepend=np.nan)) if len(value) else np.arange(0)
    at = np.unique(np.append(changes, len(value) - 1)) if len(value) else changes
    at = at[keep([value[at]])] if len(at) else at
    planned = np.array(plan if plan is not None else [], dtype=float).reshape(-1, 2)
    planned = planned[keep([planned[:, 1]])] if len(planned) else planned
    return Sparsity(history["step"].to_numpy()[at], value[at], planned[:, 0], planned[:, 1], marks_of(marks), steps)


def alt_sparsity(data: Sparsity) -> str:
    """The picture in words."""
    if not len(data.step):
        return f"{TITLE}. Nothing to show yet."
    text = f"After step {data.step[-1]} {percent(data.sparsity[-1])} of the prunable weights are removed"
    text += f"; the schedule ends at {percent(data.plan[-1])}." if len(data.plan) else "."
    return text + mark_words(data.marks)


@drawing
def draw_sparsity(data: Sparsity, colours: Palette) -> Plain:
    """A teal stair, and the schedule as a dashed line behind it."""
    if not len(data.step):
        return empty(TITLE, "The first step draws the first point.", x="step", y="weights removed")
    traces: list[Plain] = []
    if len(data.plan):
        traces.append(
            {"type": "scatter", "name": "schedule", "x": data.plan_step, "y": data.plan, "hovertemplate": "%{y:.1%}",
             "line": {"color": colours.baseline, "width": 1.6, "dash": "dash", "shape": "hv"}}
        )  # fmt: skip
    traces.append(
        {"type": "scatter", "name": "removed", "x": data.step, "y": data.sparsity, "fill": "tozeroy",
         "fillcolor": rgba(colours.pruning, 0.14), "hovertemplate": "%{y:.1%}",
         "line": {"color": colours.pruning, "width": 2.2, "shape": "hv"}}
    )  # fmt: skip
    xaxis: Plain = {"rangemode": "tozero"}
    if data.steps:
        xaxis["range"] = [0, data.steps]
    subtitle = f"Now {percent(data.sparsity[-1])}"
    if len(data.plan):
        subtitle += f", the schedule ends at {percent(data.plan[-1])}"
    return frame(
        traces, title=TITLE, subtitle=subtitle, x="step", y="weights removed", alt=alt_sparsity(data), xaxis=xaxis,
        yaxis={"tickformat": ".0%", "range": [0, 1.03]}, **mark_layout(data.marks, colours, data.steps),
    )  # fmt: skip
