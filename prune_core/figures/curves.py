"""Measured curves with their uncertainty: how one number follows another, a line a method, a band a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from prune_core.comparing import mean_by
from prune_core.errors import ConfigError
from prune_core.figures import words
from prune_core.figures.drawing import Plain, drawing, empty, frame, log_axis
from prune_core.figures.palette import IDEAS, Idea, Palette, rgba
from prune_core.figures.trade_words import axis_of, drawn_at

Axes = Literal["", "x", "y", "xy"]
MOST = 8  # lines that can be told apart
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")


@dataclass(frozen=True)
class Curve:
    """One line in the order of x; ``low`` and ``high`` are nan where there is no interval.

    ``turn`` counts lines of the same idea before it, which sets its dash. ``idea`` is None for lines beyond the four
    ideas, which have colours of their own.
    """

    name: str
    idea: Idea | None
    turn: int
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Curves:
    """Lines and their words. ``now`` is a value of x to point at.

    ``log`` and ``percent`` name the axes that are logarithmic and those that hold shares, shown in per cent. With
    ``sparsity`` x is a share removed, drawn on a logarithm of what is left: 90 and 95 % are as far apart as 80 and 90.
    """

    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    subtitle: str
    now: float | None
    log: Axes
    percent: Axes
    sparsity: bool = False


def curves_data(
    table: Any,
    x: str,
    y: str,
    by: str = "name",
    *,
    title: str,
    x_title: str,
    y_title: str,
    subtitle: str = "",
    ideas: Mapping[str, Idea] | None = None,
    now: float | None = None,
    log: Axes = "",
    percent: Axes = "",
    sparsity: bool = False,
) -> Curves:
    """From records or a DataFrame with a row a measurement: columns ``x``, ``y`` and ``by``, the name of the line.

    Measurements of one line at one x are averaged, with the 95 % interval of Student's t over them; a table with
    columns ``low`` and ``high`` brings its own interval, and has one row a point. ``ideas`` gives a line the colour of
    its idea. What is not finite, and on a logarithmic axis what is not above 0, is left out. Raises ConfigError for a
    column that is not there, an unknown idea, or more than eight lines.
    """
    rows = pd.DataFrame(table)
    for column in (x, y, by):
        if column not in rows:
            raise ConfigError(f"The table has no column {column!r}; it has {', '.join(map(str, rows.columns))}.")
    own = {"low", "high"} <= {*rows.columns}
    values = pd.DataFrame({"name": rows[by].astype(str), "x": rows[x].astype(float), "mean": rows[y].astype(float)})
    names = list(dict.fromkeys(values["name"]))
    if len(names) > MOST:
        raise ConfigError(f"Draw at most {MOST} lines in one picture; got {len(names)}.")
    for name, given in (ideas or {}).items():
        if given not in IDEAS:
            raise ConfigError(f"idea of {name!r} must be one of {', '.join(IDEAS)}; got {given!r}.")
    keep = _drawable(values["x"], "x" in log) & _drawable(values["mean"], "y" in log)
    if own:
        points = values.assign(low=rows["low"], high=rows["high"])[keep].sort_values(["name", "x"], kind="stable")
    else:
        points = mean_by(values[keep], ["name", "x"], "mean")
    found: list[Curve] = []
    for name in names:
        part = points[points["name"] == name]
        idea = (ideas or {}).get(name)
        turn = sum(curve.idea == idea for curve in found)
        found.append(Curve(name, idea, turn, *(part[c].to_numpy(float) for c in ("x", "mean", "low", "high"))))
    return Curves(title, x_title, y_title, tuple(found), subtitle, now, log, percent, sparsity)


def _drawable(values: pd.Series, log: bool) -> pd.Series:
    return np.isfinite(values) & ((values > 0) | (not log))


def alt_curves(data: Curves) -> str:
    """The picture in words."""
    of_x, of_y = (words.percent if axis in data.percent else words.number for axis in "xy")
    of_x = words.percent if data.sparsity else of_x
    ends = [
        f"{curve.name} goes from {of_y(curve.y[0])} at {of_x(curve.x[0])} to {of_y(curve.y[-1])} at {of_x(curve.x[-1])}"
        for curve in data.curves
        if len(curve.x)
    ]
    return f"{data.title}, {data.y} against {data.x}: {'; '.join(ends) or 'nothing measured yet'}."


@drawing
def draw_curves(data: Curves, colours: Palette) -> Plain:
    """A line with markers and a pale band each; a dotted line where one stands now."""
    if not any(len(curve.x) for curve in data.curves):
        return empty(data.title, "Nothing measured yet.", x=data.x, y=data.y, height=380)
    traces: list[Plain] = []
    pale = 0.16 if len(data.curves) <= 3 else 0.08  # many bands lie over each other
    hover = "%{y:.1%}" if "y" in data.percent else "%{y:.3g}"
    for curve in data.curves:
        colour = colours.idea(curve.idea) if curve.idea else colours.classes[curve.turn % len(colours.classes)]
        x = _place(data, curve.x)
        known = np.isfinite(curve.low) & np.isfinite(curve.high)
        if known.any():
            band = {"type": "scatter", "x": x[known], "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                    "line": {"width": 0, "color": colour}, "legendgroup": curve.name}  # fmt: skip
            low, high = curve.low[known], curve.high[known]
            if "y" in data.percent:  # an interval by Student's t knows nothing of the ends of a share
                low, high = np.maximum(low, 0), np.minimum(high, 1)
            if "y" in data.log:
                low = np.maximum(low, curve.y[known] / 100)
            traces += [
                {**band, "name": f"{curve.name}, 95 % interval, high", "y": high},
                {**band, "name": f"{curve.name}, 95 % interval, low", "y": low,
                 "fill": "tonexty", "fillcolor": rgba(colour, pale)},
            ]  # fmt: skip
        traces.append(
            {"type": "scatter", "name": curve.name, "x": x, "y": curve.y, "legendgroup": curve.name,
             "mode": "lines+markers" if len(curve.x) <= 24 else "lines", "hovertemplate": hover,
             "marker": {"size": 6, "symbol": curve.turn, "color": colour},
             "line": {"color": colour, "width": 2.2, "dash": DASHES[curve.turn % len(DASHES)]}}
        )  # fmt: skip
    shapes: list[Plain] = []
    if data.now is not None:
        now = float(_place(data, np.asarray(data.now)))
        shapes.append(
            {"type": "line", "name": "now", "x0": now, "x1": now, "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": colours.mark, "width": 1.2, "dash": "dot"}, "layer": "below"}
        )  # fmt: skip
    xaxis, yaxis = (_axis(data, axis) for axis in "xy")
    at = "%{x:.1%} left" if data.sparsity else f"{data.x}: %{{x:{'.1%' if 'x' in data.percent else '.3g'}}}"
    return frame(
        traces, title=data.title, subtitle=data.subtitle, x=data.x, y=data.y, alt=alt_curves(data), height=380,
        shapes=shapes, showlegend=len(data.curves) > 1, yaxis=yaxis,
        xaxis={**xaxis, "unifiedhovertitle": {"text": at}},
    )  # fmt: skip


def _place(data: Curves, x: np.ndarray) -> np.ndarray:
    """Where values of x stand on the axis."""
    return np.asarray(drawn_at(x, "sparsity")) if data.sparsity else x


def _axis(data: Curves, axis: str) -> Plain:
    if axis == "x" and data.sparsity:
        return axis_of(pd.DataFrame({"x": np.concatenate([curve.x for curve in data.curves])}), "sparsity")
    if axis in data.log:
        values = [getattr(curve, axis) for curve in data.curves]
        if axis == "y":  # room for the bands, but for those that reach far down towards 0
            values += [curve.high for curve in data.curves] + [np.maximum(c.low, c.y / 2) for c in data.curves]
        return log_axis(*_decades(np.concatenate(values)))
    return {"tickformat": ".0%"} if axis in data.percent else {}


def _decades(values: np.ndarray) -> tuple[float, float]:
    """Ends of a logarithmic axis, both log10, with a little room."""
    low, high = math.log10(np.nanmin(values)), math.log10(np.nanmax(values))
    room = max(0.04 * (high - low), 0.03)
    return low - room, high + room
