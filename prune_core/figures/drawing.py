"""The frame every figure stands in, and the two forms every drawing function has.

``draw_x(data)`` gives a validated Plotly figure, for notebooks and files. ``draw_x.plain(data)`` gives the same as a
plain dictionary in a fraction of the time, for pages that redraw several times a second: building Plotly's objects
takes milliseconds a figure, and a page's turn should take less than ten in all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import plotly.graph_objects as go

from prune_core.figures.palette import Palette, Theme, palette
from prune_core.figures.template import template
from prune_core.figures.words import power

D = TypeVar("D")
P = ParamSpec("P")
HEIGHT = 340  # px of a figure with one plot, title included

Plain = dict[str, Any]


class Drawing(Generic[D, P]):
    """A drawing function: call it for a Plotly figure, or ask for the plain dictionary."""

    def __init__(self, function: Callable[Concatenate[D, Palette, P], Plain]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def plain(self, data: D, theme: Theme = "light", *args: P.args, **kwargs: P.kwargs) -> Plain:
        """The figure as a dictionary with ``data`` and ``layout``; the template is named, not included."""
        figure = self.function(data, palette(theme), *args, **kwargs)
        figure["layout"]["meta"]["theme"] = theme
        return figure

    def __call__(self, data: D, theme: Theme = "light", *args: P.args, **kwargs: P.kwargs) -> go.Figure:
        """The figure in ``theme``, validated by Plotly."""
        figure = go.Figure(self.plain(data, theme, *args, **kwargs))
        return figure.update_layout(template=template(theme))


def drawing(function: Callable[Concatenate[D, Palette, P], Plain]) -> Drawing[D, P]:
    """Turn ``f(data, palette, ...) -> dictionary`` into ``draw(data, theme, ...)`` with both forms."""
    return Drawing(function)


def frame(
    traces: list[Plain],
    *,
    title: str,
    subtitle: str = "",
    x: str,
    y: str,
    alt: str,
    height: int = HEIGHT,
    drag: Plain | None = None,
    **layout: Any,
) -> Plain:
    """Put traces into the lab's frame: a title that says what to see, axis titles with units, words for the picture.

    ``drag`` describes the line that can be taken by a handle (axis, value, and how it shows); it stands with ``alt`` in
    ``layout.meta``, where pages find both.
    """
    for trace in traces:
        if trace["type"] == "scatter":
            # Plotly would add markers to short lines; a line of one point, though, needs one to be seen
            trace.setdefault("mode", "lines" if len(trace["x"]) > 1 else "markers")
            # Plotly leaves out points of straight stretches, others at each update: the line would wobble
            trace["line"] = {**trace.get("line", {}), "simplify": False}
    meta: Plain = {"alt": alt}
    hover = {"unifiedhovertitle": {"text": "step %{x}"}} if x == "step" else {}
    if drag is not None:
        meta["drag"] = drag
    return {
        "data": traces,
        "layout": {
            "title": {"text": title, "subtitle": {"text": subtitle}},
            "height": height,
            "uirevision": "keep",
            "showlegend": sum(t.get("showlegend", True) is not False for t in traces) > 1,
            **layout,
            "xaxis": {"title": {"text": x}, **hover, **layout.get("xaxis", {})},
            "yaxis": {"title": {"text": y}, **layout.get("yaxis", {})},
            "meta": meta,
        },
    }


def empty(title: str, what: str, *, x: str, y: str, height: int = HEIGHT) -> Plain:
    """The frame before there is anything to draw: the same size and axes, and a sentence that says what will come."""
    note = {"text": what, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    return frame(
        [], title=title, x=x, y=y, alt=f"{title}. {what}", height=height, annotations=[note],
        xaxis={"showticklabels": False, "ticks": ""}, yaxis={"showticklabels": False, "showgrid": False},
    )  # fmt: skip


def log_axis(low: float, high: float) -> Plain:
    """A logarithmic axis from ``low`` to ``high``, both log10, with ticks at powers of ten, at most seven or so."""
    every = max(1, math.ceil((high - low) / 6))
    ticks = range(math.ceil(low), math.floor(high) + 1, every)
    if len(ticks) < 2:  # less than a decade: let Plotly choose
        return {"type": "log", "range": [low, high], "exponentformat": "none"}
    return {
        "type": "log",
        "range": [low, high],
        "tickvals": [10.0**t for t in ticks],
        "ticktext": [power(t) for t in ticks],
    }


def threshold_line(axis: str, value: float, colour: str, *, across: str = "paper") -> Plain:
    """A dashed line at ``value`` over the whole plot; pages draw a handle in its place, by its name."""
    other = "y" if axis == "x" else "x"
    return {
        "type": "line", "name": "threshold", "line": {"color": colour, "width": 2, "dash": "dash"},
        f"{axis}0": value, f"{axis}1": value, f"{other}0": 0, f"{other}1": 1, f"{other}ref": across,
    }  # fmt: skip
