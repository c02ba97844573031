"""What clipping does to the length of the gradient: before, after, and the threshold as a line that moves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame, log_axis, threshold_line
from prune_core.figures.marks import Mark, mark_layout, mark_words, marks_of
from prune_core.figures.palette import Palette
from prune_core.figures.source import of_run
from prune_core.figures.thinning import keep
from prune_core.figures.words import number, percent

TITLE = "Gradient norm: what clipping cuts off"
FLOOR = 1e-12  # where a norm of exactly 0 stands on the logarithmic axis


@dataclass(frozen=True)
class GradientNorm:
    """Norms are L2 over all parameters; ``threshold`` is None where the strategy does not limit the norm."""

    step: np.ndarray
    before: np.ndarray
    after: np.ndarray
    threshold: float | None
    threshold_step: np.ndarray  # the threshold over the steps, a stair
    threshold_value: np.ndarray
    marks: tuple[Mark, ...]
    above: float  # share of steps whose norm was above what was let through
    steps: int | None


@of_run
def gradient_norm_data(
    history: pd.DataFrame,
    threshold: float | None = None,
    marks: Any = None,
    steps: int | None = None,
    start: float | None = None,
) -> GradientNorm:
    """From a run's history (step, grad_norm_before, grad_norm_after).

    ``threshold`` is the one in force now, ``start`` the one the run began with (by default the same); changes of
    ``clip_threshold`` among the marks make the stair between.
    """
    before = history["grad_norm_before"].to_numpy(float)
    after = history["grad_norm_after"].to_numpy(float)
    step = history["step"].to_numpy()
    at = keep([before, after]) if len(before) else np.arange(0)
    # a scale of 1 leaves rounding in the last digits; that is not clipping
    cut = before > after * (1 + 1e-4)
    found = marks_of(marks)
    changes = [(m.step, m.value) for m in found if m.field == "clip_threshold"] if threshold is not None else []
    stair: list[tuple[int, float]] = []
    if changes:
        stair = [(1, start)] if start is not None and changes[0][0] > 1 else []
        stair += changes
        stair.append((int(step[-1]) if len(step) else changes[-1][0], changes[-1][1]))
    return GradientNorm(
        step=step[at], before=np.maximum(before[at], FLOOR), after=np.maximum(after[at], FLOOR), threshold=threshold,
        threshold_step=np.array([s for s, _ in stair]), threshold_value=np.array([v for _, v in stair], dtype=float),
        marks=found, above=float(cut.mean()) if len(cut) else 0.0, steps=steps,
    )  # fmt: skip


def alt_gradient_norm(data: GradientNorm) -> str:
    """The picture in words."""
    if not len(data.step):
        return f"{TITLE}. Nothing to show yet."
    text = f"Gradient norm over {data.step[-1]} steps, last {number(data.before[-1])}"
    if data.above:
        text += (
            f" before clipping and {number(data.after[-1])} after; {percent(data.above, 0)} of the steps were clipped."
        )
    else:
        text += "; no step was shortened."
    if data.threshold is not None:
        text += f" The threshold is {number(data.threshold)}."
    return text + mark_words(data.marks)


@drawing
def draw_gradient_norm(data: GradientNorm, colours: Palette) -> Plain:
    """Before in grey, after in orange once a step was shortened, on a log axis; the threshold can be dragged."""
    if not len(data.step):
        return empty(TITLE, "The first step draws the first point.", x="step", y="gradient norm (L2)")
    cut = bool(data.above)
    traces: list[Plain] = [
        {"type": "scatter", "name": "before clipping" if cut else "gradient, not shortened", "x": data.step,
         "y": data.before, "line": {"color": colours.baseline, "width": 1.6}, "hovertemplate": "%{y:.3g}"},
    ]  # fmt: skip
    if cut:
        traces.append(
            {"type": "scatter", "name": "after clipping", "x": data.step, "y": data.after,
             "line": {"color": colours.clipping, "width": 1.8}, "hovertemplate": "%{y:.3g}"}
        )  # fmt: skip
    extra = mark_layout(data.marks, colours, data.steps)
    drag = None
    subtitle = f"Clipping shortened {percent(data.above, 0)} of the steps" if data.above else "No step was shortened"
    if data.threshold is not None:
        if len(data.threshold_step):
            traces.append(
                {"type": "scatter", "name": "threshold so far", "x": data.threshold_step, "y": data.threshold_value,
                 "line": {"color": colours.clipping, "width": 1.4, "dash": "dot", "shape": "hv"},
                 "hoverinfo": "skip"}
            )  # fmt: skip
        extra["shapes"] = [*extra["shapes"], threshold_line("y", data.threshold, colours.clipping)]
        drag = {"axis": "y", "value": data.threshold, "label": "threshold", "color": "clipping", "shade": "above"}
        subtitle = f"Threshold {number(data.threshold)}: {subtitle}"
    xaxis: Plain = {"rangemode": "tozero"}
    if data.steps:
        xaxis["range"] = [0, data.steps]
    return frame(
        traces, title=TITLE, subtitle=subtitle, x="step", y="gradient norm (L2, log scale)",
        alt=alt_gradient_norm(data), drag=drag, xaxis=xaxis, yaxis=log_axis(*_range(data)), **extra,
    )  # fmt: skip


def _range(data: GradientNorm) -> tuple[float, float]:
    """Decades that hold both lines and the threshold, in half decades so that the axis rarely moves."""
    values = np.concatenate([data.before, data.after, [data.threshold] if data.threshold else []])
    values = values[np.isfinite(values) & (values > FLOOR)]
    if not len(values):
        return -2.0, 1.0
    low, high = math.log10(values.min()), math.log10(values.max())
    return math.floor(2 * low - 0.1) / 2, math.ceil(2 * high + 0.1) / 2
