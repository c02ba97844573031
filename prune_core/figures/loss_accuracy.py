"""Does it learn: loss step by step, and accuracy on the test split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.marks import Mark, mark_layout, mark_words, marks_of
from prune_core.figures.palette import Idea, Palette, rgba
from prune_core.figures.source import of_run
from prune_core.figures.thinning import keep
from prune_core.figures.words import number, percent

Z = 1.959964  # 95 % of a normal distribution
TITLE = "How well it learns: loss down, test accuracy up"


@dataclass(frozen=True)
class LossAccuracy:
    """Columns of equal length within each group; shares in [0, 1]."""

    step: np.ndarray
    loss: np.ndarray
    smooth: np.ndarray  # exponentially weighted mean of the loss
    eval_step: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray  # Wilson's 95 % interval
    high: np.ndarray
    marks: tuple[Mark, ...]
    steps: int | None  # how far the run is meant to go


@of_run
def loss_accuracy_data(
    history: pd.DataFrame, evals: pd.DataFrame | None = None, marks: Any = None, steps: int | None = None
) -> LossAccuracy:
    """From a run's history (step, loss) and evaluations (step, accuracy, n).

    The loss is smoothed over a fiftieth of the run, at least five steps. Without ``evals``, rows of the history that
    have an accuracy are used. Without n there is no interval.
    """
    loss = history["loss"].to_numpy(float)
    span = max(5, len(loss) // 50)
    smooth = history["loss"].ewm(span=span).mean().to_numpy(float) if len(loss) else loss
    at = keep([loss, smooth]) if len(loss) else np.arange(0)
    if evals is None:
        found = history if "accuracy" in history else history.iloc[:0].assign(accuracy=[])
        evals = found.dropna(subset=["accuracy"])
    n = evals["n"].to_numpy(float) if "n" in evals else np.full(len(evals), np.nan)
    accuracy = evals["accuracy"].to_numpy(float)
    low, high = wilson(accuracy, n)
    return LossAccuracy(
        step=history["step"].to_numpy()[at], loss=loss[at], smooth=smooth[at], eval_step=evals["step"].to_numpy(),
        accuracy=accuracy, low=low, high=high, marks=marks_of(marks), steps=steps,
    )  # fmt: skip


def wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a share measured on ``n`` examples. Source: Wilson, 1927.

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    """
    centre = share + Z**2 / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return (centre - half) / (1 + Z**2 / n), (centre + half) / (1 + Z**2 / n)


def alt_loss_accuracy(data: LossAccuracy) -> str:
    """The picture in words."""
    if not len(data.step):
        return f"{TITLE}. Nothing to show yet."
    text = f"Loss over {data.step[-1]} steps, from {number(data.smooth[0])} to {number(data.smooth[-1])}."
    if len(data.accuracy):
        text += f" Test accuracy {percent(data.accuracy[-1])} after step {data.eval_step[-1]}."
    return text + mark_words(data.marks)


@drawing
def draw_loss_accuracy(data: LossAccuracy, colours: Palette, idea: Idea = "baseline") -> Plain:
    """Loss above, accuracy below, one x axis; in the colour of the run's idea."""
    if not len(data.step):
        return empty(TITLE, "The first step draws the first point.", x="step", y="loss", height=400)
    ink = colours.idea(idea)
    traces: list[Plain] = [
        {"type": "scatter", "name": "loss of each batch", "x": data.step, "y": data.loss, "hoverinfo": "skip",
         "line": {"color": rgba(ink, 0.32), "width": 1}},
        {"type": "scatter", "name": "loss, smoothed", "x": data.step, "y": data.smooth,
         "line": {"color": ink, "width": 2.2}, "hovertemplate": "%{y:.3g}"},
    ]  # fmt: skip
    subtitle = f"Step {data.step[-1]}: smoothed loss {number(data.smooth[-1])}"
    if len(data.accuracy):
        subtitle = f"Step {data.eval_step[-1]}: test accuracy {percent(data.accuracy[-1])}"
        if math.isfinite(data.low[-1]):
            band = {"type": "scatter", "x": data.eval_step, "yaxis": "y2", "mode": "lines", "hoverinfo": "skip",
                    "showlegend": False, "line": {"width": 0, "color": ink}}  # fmt: skip
            traces += [
                {**band, "y": data.high, "name": "95 % interval, high"},
                {**band, "y": data.low, "name": "95 % interval, low", "fill": "tonexty", "fillcolor": rgba(ink, 0.16)},
            ]
            subtitle += f" ({100 * data.low[-1]:.1f} to {percent(data.high[-1])})"
    # before the first evaluation a point without a value: Plotly lays out no axis that no line is on
    at, accuracy = (data.eval_step, data.accuracy) if len(data.accuracy) else ([0], [None])
    traces.append(
        {"type": "scatter", "name": "test accuracy", "x": at, "y": accuracy, "yaxis": "y2",
         "mode": "lines+markers", "line": {"color": ink, "width": 2.2}, "marker": {"size": 6, "color": ink},
         "hovertemplate": "%{y:.2%}"}
    )  # fmt: skip
    xaxis: Plain = {"anchor": "y2", "range": [0, data.steps or max(10, int(data.step[-1]))]}
    return frame(
        traces, title=TITLE, subtitle=subtitle, x="step", y="loss", alt=alt_loss_accuracy(data), height=400,
        xaxis=xaxis, yaxis={"domain": [0.54, 1], "rangemode": "tozero"},
        yaxis2={"title": {"text": "test accuracy"}, "domain": [0, 0.46], "tickformat": ".0%", "nticks": 5,
                "range": _range(data)},
        **mark_layout(data.marks, colours, data.steps),
    )  # fmt: skip


def _range(data: LossAccuracy) -> list[float]:
    """The tenth below the lowest accuracy up to just above the tenth over the highest: it moves in steps."""
    if not len(data.accuracy):
        return [0, 1.02]
    low = np.nanmin([data.accuracy.min(), np.nanmin(data.low, initial=1.0)])
    return [max(0.0, math.floor(10 * low) / 10) - 0.01, min(1.0, math.ceil(10 * data.accuracy.max() + 0.3) / 10) + 0.02]
