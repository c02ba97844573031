"""Four lanes of a race in one chart: accuracy, or loss, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from prune_core.errors import ConfigError
from prune_core.figures.drawing import Plain, drawing, empty, frame, log_axis
from prune_core.figures.marks import Mark, mark_layout, mark_words, marks_of
from prune_core.figures.palette import IDEAS, Idea, Palette
from prune_core.figures.thinning import keep
from prune_core.figures.words import number, percent

Metric = Literal["accuracy", "loss"]
TITLES = {"accuracy": "Test accuracy: who learns best", "loss": "Training loss: who learns at all"}
AXES = {"accuracy": "test accuracy", "loss": "loss, smoothed (log scale)"}
DASHES: dict[Idea, str] = {"baseline": "solid", "clipping": "dash", "pruning": "dot", "both": "dashdot"}
SYMBOLS: dict[Idea, str] = {"baseline": "circle", "clipping": "diamond", "pruning": "square", "both": "cross"}
HEIGHT = 330


@dataclass(frozen=True)
class LaneLine:
    """One lane's line; ``ended`` says that it diverged there."""

    idea: Idea
    x: np.ndarray
    y: np.ndarray
    ended: bool


@dataclass(frozen=True)
class RaceProgress:
    """The lines of a race for one metric; accuracy in [0, 1], loss is the smoothed batch mean."""

    metric: Metric
    lines: tuple[LaneLine, ...]
    marks: tuple[Mark, ...]
    steps: int


def race_progress_data(
    lanes: Mapping[Idea, Mapping[str, Any]], metric: Metric = "accuracy", steps: int = 0, marks: Any = None
) -> RaceProgress:
    """From lanes by idea, each with ``history``, ``evals`` and optionally ``diverged``; ``steps`` is the race's length.

    Raises ConfigError for an unknown lane or metric.
    """
    if metric not in TITLES:
        raise ConfigError(f"There is no metric {metric!r}; choose {', '.join(TITLES)}.")
    if unknown := [name for name in lanes if name not in IDEAS]:
        raise ConfigError(f"Lanes are {', '.join(IDEAS)}; got {unknown[0]!r}.")
    lines = []
    for idea in (i for i in IDEAS if i in lanes):
        lane = lanes[idea]
        table = lane["evals"] if metric == "accuracy" else lane["history"]
        if metric == "accuracy" and len(table):
            table = table.sort_values("step", kind="stable")  # the last look of a run that fell back comes earlier
        values = table[metric]
        if metric == "loss" and len(values):
            values = values.ewm(span=max(5, len(values) // 50)).mean()
        y = values.to_numpy(float)
        at = keep([y]) if len(y) else np.arange(0)
        lines.append(LaneLine(idea, table["step"].to_numpy()[at], y[at], bool(lane.get("diverged"))))
    longest = max((int(line.x[-1]) for line in lines if len(line.x)), default=0)
    return RaceProgress(metric, tuple(lines), marks_of(marks), steps or longest)


def alt_race_progress(data: RaceProgress) -> str:
    """The picture in words."""
    ends = [
        f"{line.idea} {percent(line.y[-1]) if data.metric == 'accuracy' else number(line.y[-1])}"
        + (", diverged" if line.ended else "")
        for line in data.lines
        if len(line.y)
    ]
    return f"{TITLES[data.metric]}. Now at: {'; '.join(ends) or 'nothing yet'}.{mark_words(data.marks)}"


@drawing
def draw_race_progress(data: RaceProgress, colours: Palette) -> Plain:
    """A line a lane in its idea's colour, dash and marker; interventions as dotted lines."""
    title, axis = TITLES[data.metric], AXES[data.metric]
    if not any(len(line.x) for line in data.lines):
        return empty(title, "The first steps draw the first points.", x="step", y=axis, height=HEIGHT)
    accuracy = data.metric == "accuracy"
    traces: list[Plain] = []
    for line in data.lines:
        ink = colours.idea(line.idea)
        traces.append(
            {"type": "scatter", "name": line.idea, "x": line.x, "y": line.y,
             "mode": "lines+markers" if accuracy and len(line.x) <= 60 else "lines",
             "line": {"color": ink, "width": 2.2, "dash": DASHES[line.idea]},
             "marker": {"size": 6, "color": ink, "symbol": SYMBOLS[line.idea]},
             "hovertemplate": "%{y:.1%}" if accuracy else "%{y:.3g}"}
        )  # fmt: skip
        if line.ended and len(line.x):
            traces.append(
                {"type": "scatter", "name": f"{line.idea} diverged", "x": line.x[-1:], "y": line.y[-1:],
                 "mode": "markers", "marker": {"symbol": "x", "size": 11, "color": colours.bad}, "showlegend": False,
                 "hovertemplate": "diverged here"}
            )  # fmt: skip
    return frame(
        traces, title=title, subtitle=_subtitle(data), x="step", y=axis, alt=alt_race_progress(data), height=HEIGHT,
        showlegend=True, xaxis={"range": [0, max(data.steps, 10)]}, yaxis=_shares(data) if accuracy else _decades(data),
        **mark_layout(data.marks, colours, data.steps),
    )  # fmt: skip


def _subtitle(data: RaceProgress) -> str:
    """Who is best at the moment: among lanes with a number."""
    ends: Sequence[tuple[float, str]] = [
        (float(line.y[-1]), line.idea) for line in data.lines if len(line.y) and math.isfinite(line.y[-1])
    ]
    if not ends:
        return ""
    if data.metric == "accuracy":
        best, low = max(ends)[0], min(ends)[0]
        return f"From {percent(low)} to {percent(best)} at the last look"
    least, most = number(min(ends)[0]), number(max(ends)[0])
    return f"{least} now" if least == most else f"From {least} to {most} now"


def _shares(data: RaceProgress) -> Plain:
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in data.lines])
    low = math.floor(10 * values.min(initial=1.0)) / 10
    return {"tickformat": ".0%", "nticks": 6, "range": [max(0.0, low) - 0.01, 1.02]}


def _decades(data: RaceProgress) -> Plain:
    positive = np.concatenate([line.y[np.isfinite(line.y) & (line.y > 0)] for line in data.lines])
    ends = np.log10([positive.min(), positive.max()]) if len(positive) else np.array([-1.0, 1.0])
    return log_axis(math.floor(2 * ends[0]) / 2, math.ceil(2 * ends[1] + 0.1) / 2)
