"""What sparsity costs: test accuracy against the share of weights removed, and where one stands on the curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame, threshold_line
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, percent

TITLE = "What sparsity costs: test accuracy as weights go"


@dataclass(frozen=True)
class AccuracySparsity:
    """Points in order of sparsity, shares in [0, 1]. The dot is where the slider stands, its accuracy if known."""

    sparsity: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    dense: float | None
    dot: float | None
    dot_accuracy: float | None
    dot_low: float | None
    dot_high: float | None
    n: int | None
    total: int | None


def accuracy_sparsity_data(
    points: Any,
    *,
    dot: float | None = None,
    dot_accuracy: float | None = None,
    dot_low: float | None = None,
    dot_high: float | None = None,
    dense: float | None = None,
    n: int | None = None,
    total: int | None = None,
) -> AccuracySparsity:
    """From records or a DataFrame with sparsity and accuracy, and low and high where there is an interval.

    The last point of equal sparsity wins. ``dot`` is the sparsity now and ``dot_accuracy`` what was measured there;
    without it the dot walks on the line between its neighbours. ``n`` of ``total`` test examples were used. ``dense``
    is the accuracy before pruning, by default that of the point at 0.
    """
    table = pd.DataFrame(points, columns=None if len(points) else ["sparsity", "accuracy"])
    for column in ("low", "high"):
        if column not in table:
            table[column] = np.nan
    table = table.drop_duplicates("sparsity", keep="last").sort_values("sparsity")
    sparsity, accuracy = table["sparsity"].to_numpy(float), table["accuracy"].to_numpy(float)
    if dense is None and len(sparsity) and sparsity[0] == 0:
        dense = float(accuracy[0])
    if dot is not None and dot_accuracy is None and len(sparsity) and sparsity[0] <= dot <= sparsity[-1]:
        dot_accuracy = float(np.interp(dot, sparsity, accuracy))
    return AccuracySparsity(
        sparsity, accuracy, table["low"].to_numpy(float), table["high"].to_numpy(float), dense, dot, dot_accuracy,
        dot_low, dot_high, n, total,
    )  # fmt: skip


def alt_accuracy_sparsity(data: AccuracySparsity) -> str:
    """The picture in words."""
    if not len(data.sparsity) and data.dot is None:
        return f"{TITLE}. Nothing measured yet."
    text = "Test accuracy against sparsity"
    if len(data.sparsity):
        text += f", from {percent(data.accuracy[0])} at {percent(data.sparsity[0], 0)}"
        text += f" to {percent(data.accuracy[-1])} at {percent(data.sparsity[-1], 0)}"
    if data.dot is not None and data.dot_accuracy is not None:
        text += f". At {percent(data.dot)} sparsity the accuracy is {percent(data.dot_accuracy)}"
    return text + "."


@drawing
def draw_accuracy_sparsity(data: AccuracySparsity, colours: Palette) -> Plain:
    """The curve with its interval, the accuracy before pruning as a dotted line, and the dot; it can be dragged."""
    if not len(data.sparsity) and data.dot is None:
        return empty(TITLE, "The curve fills in as sparsities are measured.", x="weights removed", y="test accuracy")
    traces: list[Plain] = []
    if len(data.sparsity) and np.isfinite(data.low).any():
        band = {"type": "scatter", "x": data.sparsity, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                "line": {"width": 0, "color": colours.pruning}}  # fmt: skip
        traces += [
            {**band, "y": data.high, "name": "95 % interval, high"},
            {**band, "y": data.low, "name": "95 % interval, low", "fill": "tonexty",
             "fillcolor": rgba(colours.pruning, 0.15)},
        ]  # fmt: skip
    traces.append(
        {"type": "scatter", "name": "measured", "x": data.sparsity, "y": data.accuracy, "mode": "lines+markers",
         "line": {"color": colours.pruning, "width": 2}, "marker": {"size": 5, "color": colours.pruning},
         "hovertemplate": "%{x:.1%} removed: %{y:.2%}<extra></extra>"}
    )  # fmt: skip
    shapes: list[Plain] = []
    if data.dense is not None:
        shapes.append(
            {"type": "line", "name": "dense", "xref": "paper", "x0": 0, "x1": 1, "y0": data.dense, "y1": data.dense,
             "line": {"color": colours.baseline, "width": 1.5, "dash": "dot"}, "layer": "below"}
        )  # fmt: skip
    drag = None
    subtitle = ""
    if data.dot is not None:
        shapes.append(threshold_line("x", data.dot, colours.pruning))
        drag = {"axis": "x", "value": data.dot, "min": 0.0, "max": 0.999, "label": "sparsity", "percent": True,
                "color": "pruning", "grip": "low", "follow": "measured"}  # fmt: skip
    if data.dot is not None and data.dot_accuracy is not None:
        dot: Plain = {
            "type": "scatter", "name": "now", "x": [data.dot], "y": [data.dot_accuracy], "mode": "markers",
            "marker": {"size": 13, "color": colours.pruning, "line": {"width": 2.5, "color": colours.background}},
            "hovertemplate": "now %{x:.1%} removed: %{y:.2%}<extra></extra>",
        }  # fmt: skip
        subtitle = f"At {percent(data.dot)}: {percent(data.dot_accuracy)}"
        if data.dot_low is not None and data.dot_high is not None:
            dot["error_y"] = {
                "type": "data", "symmetric": False, "array": [data.dot_high - data.dot_accuracy],
                "arrayminus": [data.dot_accuracy - data.dot_low], "color": colours.pruning, "thickness": 1.6,
                "width": 5,
            }  # fmt: skip
            subtitle += f" ({percent(data.dot_low)} to {percent(data.dot_high)})"
        if data.n is not None and data.total is not None:
            of = f"{count(data.n)} of {count(data.total)}" if data.n < data.total else f"all {count(data.total)}"
            subtitle += f", on {of} test examples"
        if data.dense is not None:
            subtitle += f"; {percent(data.dense)} before pruning"
        traces.append(dot)
    return frame(
        traces, title=TITLE, subtitle=subtitle, x="weights removed", y="test accuracy", alt=alt_accuracy_sparsity(data),
        shapes=shapes, drag=drag, hovermode="closest", showlegend=False,
        xaxis={"range": [-0.015, 1.015], "tickformat": ".0%", "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 0.9, 1]},
        yaxis={"tickformat": ".0%", "range": _range(data)},
    )  # fmt: skip


def _range(data: AccuracySparsity) -> list[float]:
    """From the lowest tenth below everything to just above 1: the axis moves in steps, not with every point."""
    seen = [*data.accuracy, *data.low, data.dot_accuracy, data.dot_low, data.dense]
    low = min((v for v in seen if v is not None and math.isfinite(v)), default=0.0)
    return [max(0.0, math.floor(low * 10 - 0.5) / 10) - 0.01, 1.01]
