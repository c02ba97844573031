"""Two to six runs in one chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from prune_core.errors import ConfigError
from prune_core.figures.drawing import Plain, drawing, empty, frame, log_axis
from prune_core.figures.palette import IDEAS, Idea, Palette
from prune_core.figures.thinning import keep
from prune_core.figures.words import number, percent

Metric = Literal["accuracy", "loss", "grad_norm_before", "grad_norm_after", "clipped", "cosine", "lr", "sparsity"]
MOST = 6
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

# metric -> (what to see, axis with unit, tick format)
WORDS: dict[str, tuple[str, str, str]] = {
    "accuracy": ("Test accuracy compared", "test accuracy", ".0%"),
    "loss": ("Training loss compared", "loss, smoothed", ""),
    "grad_norm_before": ("Gradient norm before clipping, compared", "gradient norm (L2, log scale)", ""),
    "grad_norm_after": ("Gradient norm after clipping, compared", "gradient norm (L2, log scale)", ""),
    "clipped": ("Share of the gradient clipped, compared", "entries changed", ".0%"),
    "cosine": ("How far clipping turns the gradient, compared", "cosine before/after", ""),
    "lr": ("Learning rate compared", "learning rate", ""),
    "sparsity": ("Sparsity compared", "weights removed", ".0%"),
}


@dataclass(frozen=True)
class Line:
    """One run's line; ``turn`` counts runs of the same idea before it, which sets its dash."""

    name: str
    idea: Idea
    turn: int
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Overlay:
    """The lines of up to six runs for one metric."""

    metric: Metric
    lines: tuple[Line, ...]


def overlay_data(runs: Sequence[dict[str, Any]], metric: Metric = "accuracy") -> Overlay:
    """From runs, each a dictionary with name, idea, history and, for the accuracy, evals.

    Raises ConfigError for no run or more than six, an unknown metric, or an unknown idea.
    """
    if not 1 <= len(runs) <= MOST:
        raise ConfigError(f"Compare 1 to {MOST} runs at a time; got {len(runs)}.")
    if metric not in WORDS:
        raise ConfigError(f"There is no metric {metric!r}; choose {', '.join(WORDS)}.")
    lines: list[Line] = []
    for run in runs:
        idea = run["idea"]
        if idea not in IDEAS:
            raise ConfigError(f"idea must be one of {', '.join(IDEAS)}; got {idea!r}.")
        x, y = _column(run, metric)
        turn = sum(line.idea == idea for line in lines)
        lines.append(Line(str(run["name"]), idea, turn, x, y))
    return Overlay(metric, tuple(lines))


def _column(run: dict[str, Any], metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    table: pd.DataFrame | None = run.get("evals") if metric == "accuracy" else run["history"]
    if table is None:
        table = run["history"].dropna(subset=["accuracy"]) if "accuracy" in run["history"] else None
    if table is None or not len(table):
        return np.zeros(0), np.zeros(0)
    values = table[metric]
    if metric == "loss":
        values = values.ewm(span=max(5, len(values) // 50)).mean()
    y = values.to_numpy(float)
    at = keep([y])
    return table["step"].to_numpy()[at], y[at]


def alt_overlay(data: Overlay) -> str:
    """The picture in words."""
    shown = percent if WORDS[data.metric][2] else number
    ends = "; ".join(f"{line.name} ends at {shown(line.y[-1])}" for line in data.lines if len(line.y))
    return f"{WORDS[data.metric][0]}: {ends or 'nothing to show yet'}."


@drawing
def draw_overlay(data: Overlay, colours: Palette) -> Plain:
    """One line a run in the colour of its idea; runs of one idea differ in dash and marker."""
    title, axis, ticks = WORDS[data.metric]
    traces: list[Plain] = [
        {"type": "scatter", "name": line.name, "x": line.x, "y": line.y,
         "mode": "lines+markers" if data.metric == "accuracy" and len(line.x) <= 60 else "lines",
         "marker": {"size": 5, "symbol": line.turn},
         "line": {"color": colours.idea(line.idea), "width": 2.2 if line.turn == 0 else 1.8,
                  "dash": DASHES[line.turn % len(DASHES)], "shape": "hv" if data.metric == "sparsity" else "linear"},
         "hovertemplate": "%{y:.2%}" if ticks else "%{y:.3g}"}
        for line in data.lines
    ]  # fmt: skip
    yaxis: Plain = {"tickformat": ticks} if ticks else {}
    if data.metric == "sparsity":  # a share: of runs that remove nothing Plotly would draw from -100 %
        yaxis |= {"range": [0, 1.02]}
    if data.metric.startswith("grad_norm"):
        positive = np.concatenate([line.y[line.y > 0] for line in data.lines])
        ends = np.log10([positive.min(), positive.max()]) if len(positive) else np.array([-2.0, 1.0])
        yaxis = log_axis(math.floor(2 * ends[0]) / 2, math.ceil(2 * ends[1]) / 2)
    if not any(len(line.x) for line in data.lines):
        return empty(title, "None of these runs has measured it yet.", x="step", y=axis, height=380)
    dashes = ", dash tells runs of one kind apart" if any(line.turn for line in data.lines) else ""
    return frame(
        traces, title=title, subtitle=f"Colour says what the run does{dashes}",
        x="step", y=axis, alt=alt_overlay(data), height=380, showlegend=True,
        xaxis={"rangemode": "tozero"}, yaxis=yaxis,
    )  # fmt: skip
