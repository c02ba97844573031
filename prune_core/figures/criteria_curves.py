"""Several criteria on one model: test accuracy over sparsity, a line a criterion with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, percent

TITLE = "The same model, pruned by several criteria: what each costs"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SHADES = (0, 1, 2, 7, 4)  # of the palette's classes: those that differ most
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")


@dataclass(frozen=True, eq=False)
class CriterionLine:
    """One criterion: ``points`` has the columns sparsity, accuracy, low and high, in rising order. ``turn`` is its
    place among all, which decides colour, dash and symbol."""

    name: str
    turn: int
    points: pd.DataFrame


@dataclass(frozen=True, eq=False)
class CriteriaCurves:
    """Lines in their order; ``dense`` is the accuracy before, ``at`` the sparsity looked at, ``n`` of ``total``
    test examples were measured."""

    lines: tuple[CriterionLine, ...]
    dense: float | None
    at: float | None
    n: int | None
    total: int | None


def criteria_curves_data(
    table: Any,
    names: Sequence[str] = (),
    *,
    dense: float | None = None,
    at: float | None = None,
    n: int | None = None,
    total: int | None = None,
) -> CriteriaCurves:
    """From the table of ``compare_criteria``, or records with criterion, sparsity, accuracy, low and high.

    ``names`` are the criteria in their order, also those with nothing measured yet: a line keeps its colour.
    """
    rows = pd.DataFrame(table, columns=None if len(table) else ["criterion", "sparsity", "accuracy", "low", "high"])
    every = list(dict.fromkeys([*names, *rows["criterion"]]))
    lines = tuple(
        CriterionLine(name, turn, rows.loc[rows["criterion"] == name].sort_values("sparsity", ignore_index=True))
        for turn, name in enumerate(every)
    )
    return CriteriaCurves(lines, dense, at, n, total)


def alt_criteria_curves(data: CriteriaCurves) -> str:
    """The picture in words."""
    drawn = [line for line in data.lines if len(line.points)]
    if not drawn:
        return f"{TITLE}. Nothing measured yet."
    ends = (
        f"{line.name} keeps {percent(line.points['accuracy'].iloc[-1])} at "
        f"{percent(line.points['sparsity'].iloc[-1], 0)} removed"
        for line in drawn
    )
    return f"{TITLE}. {'; '.join(ends)}."


@drawing
def draw_criteria_curves(data: CriteriaCurves, colours: Palette) -> Plain:
    """Lines that differ in colour, dash and symbol, their bands, and a dotted line where the slider stands."""
    if not any(len(line.points) for line in data.lines):
        return empty(TITLE, "Each criterion draws its line as it is measured.", x="weights removed", y="test accuracy")
    traces: list[Plain] = []
    for line in data.lines:
        if len(line.points):
            traces += _line(line, colours)
    shapes: list[Plain] = []
    if data.dense is not None:
        shapes.append({"type": "line", "name": "dense", "xref": "paper", "x0": 0, "x1": 1, "y0": data.dense,
                       "y1": data.dense, "line": {"color": colours.baseline, "width": 1.5, "dash": "dot"},
                       "layer": "below"})  # fmt: skip
    if data.at is not None:
        shapes.append({"type": "line", "name": "now", "x0": data.at, "x1": data.at, "yref": "paper", "y0": 0, "y1": 1,
                       "line": {"color": colours.muted, "width": 1.2, "dash": "dot"}, "layer": "below"})  # fmt: skip
    subtitle = "Bands: 95 % intervals of the evaluation"
    if data.n is not None and data.total is not None:
        subtitle += f", {f'all {count(data.n)}' if data.n == data.total else f'{count(data.n)} of {count(data.total)}'}"
        subtitle += " test examples"
    if data.dense is not None:
        subtitle += f"; {percent(data.dense)} before pruning, the dotted line"
    return frame(
        traces, title=TITLE, subtitle=subtitle, x="weights removed", y="test accuracy", alt=alt_criteria_curves(data),
        shapes=shapes, hovermode="x unified", height=400,
        xaxis={"range": [-0.015, 1.015], "tickformat": ".0%", "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 0.9, 1],
               "unifiedhovertitle": {"text": "%{x:.1%} removed"}},
        yaxis={"tickformat": ".0%", "range": _range(data)},
    )  # fmt: skip


def _line(line: CriterionLine, colours: Palette) -> list[Plain]:
    points, colour = line.points, colours.classes[SHADES[line.turn % len(SHADES)]]
    x = points["sparsity"].to_numpy(float)
    traces: list[Plain] = []
    if np.isfinite(points["low"].to_numpy(float)).any() and len(points) > 1:
        band: Plain = {"type": "scatter", "x": x, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                       "legendgroup": line.name, "line": {"width": 0, "color": colour}}  # fmt: skip
        traces += [
            {**band, "y": points["high"].to_numpy(float), "name": f"{line.name}, high"},
            {**band, "y": points["low"].to_numpy(float), "name": f"{line.name}, low", "fill": "tonexty",
             "fillcolor": rgba(colour, 0.1)},
        ]  # fmt: skip
    look: Plain = {"width": 2, "color": colour, "dash": DASHES[line.turn % len(DASHES)]}
    traces.append(
        {"type": "scatter", "name": line.name, "legendgroup": line.name, "x": x,
         "y": points["accuracy"].to_numpy(float), "mode": "lines+markers", "line": look,
         "marker": {"size": 6, "color": colour, "symbol": SYMBOLS[line.turn % len(SYMBOLS)]},
         "hovertemplate": "%{y:.1%}"}
    )  # fmt: skip
    return traces


def _range(data: CriteriaCurves) -> list[float]:
    """From the lowest tenth below everything to just above 1: the axis moves in steps, not with every point."""
    seen = [v for line in data.lines for v in line.points["low"]] + [data.dense]
    low = min((v for v in seen if v is not None and math.isfinite(v)), default=0.0)
    return [max(0.0, math.floor(low * 10 - 0.5) / 10) - 0.01, 1.01]
