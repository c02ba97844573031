"""Robustness to noise: accuracy over the strength of Gaussian noise, before and after pruning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, percent

TITLE = "What noise does to both: accuracy as noise grows"
X = "noise (standard deviations of the input)"


@dataclass(frozen=True, eq=False)
class NoiseAccuracy:
    """Rows by model: noise, accuracy, low, high, in rising noise. ``chance`` is 1 / classes, ``n`` test examples."""

    before: pd.DataFrame
    after: pd.DataFrame
    chance: float | None
    n: int | None


def noise_accuracy_data(
    table: Any, before: str = "before", after: str = "after", *, chance: float | None = None
) -> NoiseAccuracy:
    """From the table of ``robustness``; ``before`` and ``after`` are its models' names."""
    rows = pd.DataFrame(table, columns=None if len(table) else ["model", "noise", "accuracy", "low", "high"])
    found = [rows.loc[rows["model"] == name].sort_values("noise", ignore_index=True) for name in (before, after)]
    n = int(rows["examples"].max()) if len(rows) and "examples" in rows else None
    return NoiseAccuracy(found[0], found[1], chance, n)


def alt_noise_accuracy(data: NoiseAccuracy) -> str:
    """The picture in words."""
    if not len(data.before):
        return f"{TITLE}. Nothing measured yet."
    parts = [
        f"{name} from {percent(rows['accuracy'].iloc[0])} without noise to {percent(rows['accuracy'].iloc[-1])} at "
        f"{rows['noise'].iloc[-1]:g}"
        for name, rows in (("before pruning", data.before), ("after", data.after))
        if len(rows)
    ]
    return f"{TITLE}. {'; '.join(parts)}."


@drawing
def draw_noise_accuracy(data: NoiseAccuracy, colours: Palette) -> Plain:
    """Grey and dashed before, teal after, with 95 % bands; a dotted line at chance."""
    if not len(data.before):
        return empty(TITLE, "The lines grow as levels of noise are measured.", x=X, y="test accuracy")
    traces = [
        *_line(data.before, "before", colours.baseline, "dash", "square"),
        *_line(data.after, "after", colours.pruning, "solid", "circle"),
    ]
    shapes: list[Plain] = []
    if data.chance is not None:
        shapes.append({"type": "line", "name": "chance", "xref": "paper", "x0": 0, "x1": 1, "y0": data.chance,
                       "y1": data.chance, "line": {"color": colours.axis, "width": 1.2, "dash": "dot"},
                       "layer": "below"})  # fmt: skip
    subtitle = "Bands: 95 % intervals"
    subtitle += f", {count(data.n)} test examples, the same noise for both" if data.n else ""
    subtitle += f"; guessing: {percent(data.chance, 0)}" if data.chance is not None else ""
    return frame(
        traces, title=TITLE, subtitle=subtitle, x=X, y="test accuracy", alt=alt_noise_accuracy(data), shapes=shapes,
        hovermode="x unified", height=380, xaxis={"range": _room(data), "unifiedhovertitle": {"text": "noise %{x}"}},
        yaxis={"tickformat": ".0%", "range": [_low(data), 1.01]},
    )  # fmt: skip


def _line(rows: pd.DataFrame, name: str, colour: str, dash: str, symbol: str) -> list[Plain]:
    if not len(rows):
        return []
    x = rows["noise"].to_numpy(float)
    band: Plain = {"type": "scatter", "x": x, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                   "line": {"width": 0, "color": colour}}  # fmt: skip
    return [
        {**band, "y": rows["high"].to_numpy(float), "name": f"{name}, high"},
        {**band, "y": rows["low"].to_numpy(float), "name": f"{name}, low", "fill": "tonexty",
         "fillcolor": rgba(colour, 0.14)},
        {"type": "scatter", "name": name, "x": x, "y": rows["accuracy"].to_numpy(float), "mode": "lines+markers",
         "line": {"color": colour, "width": 2, "dash": dash}, "marker": {"size": 7, "color": colour, "symbol": symbol},
         "hovertemplate": "%{y:.1%}"},
    ]  # fmt: skip


def _room(data: NoiseAccuracy) -> list[float]:
    """From the first level to the last, and some more on both sides, so that no mark is cut in half."""
    last = float(data.before["noise"].max())
    return [-0.02 * last, 1.02 * last] if last else [-0.1, 0.1]


def _low(data: NoiseAccuracy) -> float:
    seen = [*data.before["low"], *data.after["low"], data.chance]
    low = min((float(v) for v in seen if v is not None and math.isfinite(v)), default=0.0)
    return max(0.0, math.floor(low * 10) / 10) - 0.01
