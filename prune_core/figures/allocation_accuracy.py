"""The same number of weights removed, shared out among the layers in several ways: what is left of the accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import percent

TITLE = "The same total, shared out in several ways"
Row = tuple[str, float, float, float, float]


@dataclass(frozen=True, eq=False)
class AllocationAccuracy:
    """Rows: name, total sparsity, accuracy and its 95 % interval; the first is the visitor's; ``dense`` is before."""

    rows: tuple[Row, ...]
    dense: float | None


def allocation_accuracy_data(rows: Iterable[Row], *, dense: float | None = None) -> AllocationAccuracy:
    """From (name, total sparsity, accuracy, low, high); shares in [0, 1]."""
    return AllocationAccuracy(tuple(rows), dense)


def alt_allocation_accuracy(data: AllocationAccuracy) -> str:
    """The picture in words."""
    if not data.rows:
        return f"{TITLE}. Nothing measured yet."
    rows = (f"{name} {percent(a)} ({percent(low)} to {percent(high)})" for name, _, a, low, high in data.rows)
    return f"{TITLE}, {percent(data.rows[0][1])} removed: {'; '.join(rows)}."


@drawing
def draw_allocation_accuracy(data: AllocationAccuracy, colours: Palette) -> Plain:
    """A dot with its interval a way; the visitor's is filled."""
    if not data.rows:
        return empty(TITLE, "Measured as soon as the budget removes something.", x="test accuracy", y="way", height=240)
    names, _, accuracy, low, high = (list(c) for c in zip(*data.rows, strict=True))
    value = np.array(accuracy, float)
    colour = [colours.pruning if i == 0 else colours.muted for i in range(len(names))]
    dots: Plain = {
        "type": "scatter", "mode": "markers+text", "name": "accuracy", "x": value, "y": names,
        "text": [percent(v) for v in value], "textposition": "top center", "cliponaxis": False,
        "textfont": {"color": colours.ink, "size": 12.5},
        "marker": {"size": 13, "color": colour, "symbol": ["circle", *["diamond"] * (len(names) - 1)]},
        "error_x": {"type": "data", "symmetric": False, "array": np.array(high, float) - value,
                    "arrayminus": value - np.array(low, float), "color": colours.muted, "thickness": 1.5, "width": 5},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }  # fmt: skip
    shapes: list[Plain] = []
    if data.dense is not None:
        shapes.append({"type": "line", "name": "dense", "yref": "paper", "y0": 0, "y1": 1, "x0": data.dense,
                       "x1": data.dense, "line": {"color": colours.baseline, "width": 1.5, "dash": "dot"}})  # fmt: skip
    subtitle = f"{percent(data.rows[0][1])} of all weights removed each time; bars: 95 % intervals"
    if data.dense is not None:
        subtitle += f"; {percent(data.dense)} before, the dotted line"
    lowest = min([*low, *([data.dense] if data.dense is not None else [])])
    return frame(
        [dots], title=TITLE, subtitle=subtitle, x="test accuracy", y="way", alt=alt_allocation_accuracy(data),
        shapes=shapes, hovermode="closest", height=130 + 52 * len(names), showlegend=False,
        xaxis={"tickformat": ".0%", "range": [max(0.0, np.floor(lowest * 10) / 10) - 0.01, 1.02]},
        yaxis={"type": "category", "range": [len(names) - 0.5, -0.6], "showgrid": False,
               "tickfont": {"size": 12.5, "color": colours.ink}},
    )  # fmt: skip
