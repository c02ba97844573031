"""``chart``: show a Plotly figure that keeps its place, zoom, legend and hover while its data changes.

Built on Streamlit's components v2. ``st.plotly_chart`` mounts anew on every change of data; this mounts once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

import streamlit as st

from prune_core.errors import ConfigError
from prune_core.figures.palette import IDEAS, Theme, palette
from prune_ui.chart import library
from prune_ui.chart.payload import encode

HEIGHT = 320  # px

_component = st.components.v2.component(
    "prune_lab_chart", js=(Path(__file__).parent / "stub.js").read_text(encoding="utf-8"), isolate_styles=False
)


class Drag(TypedDict, total=False):
    """A line to take by its handle. ``axis`` and ``value`` are required.

    axis: "x" or "y", the direction it moves in; value: where it stands, in data units; min, max: its bounds;
    label: its name on the chip and for screen readers; unit; color: an idea's name or a colour;
    shape: the ``name`` of the layout shapes it stands for (default "threshold"), drawn by the handle instead;
    mirror: a second line at minus the value; log10: the axis shows log10 of the value;
    shade: the side it acts on, marked while it moves: "between" (with mirror), "below" or "above";
    live: also report while it moves, at most every 120 ms, not only when let go; percent: show a share as per cent;
    grip: the end of the line that carries the grip, "high" (top, right) or "low"; follow: the name of a line on which a
    dot walks while the handle moves; span: from where to where on the other axis the line goes (of categories, their
    numbers), for one row among many; rows: all rows that can be taken, each with its value, label and span; row: which
    of them this is. A drag then says which row it moved.
    """

    axis: Literal["x", "y"]
    value: float
    min: float
    max: float
    label: str
    unit: str
    color: str
    shape: str
    mirror: bool
    log10: bool
    shade: Literal["between", "below", "above"]
    live: bool
    percent: bool
    grip: Literal["high", "low"]
    follow: str
    span: Sequence[float]
    rows: Sequence[Mapping[str, Any]]
    row: int


@dataclass(frozen=True)
class ChartEvent:
    """What a visitor did. ``value``, ``final`` (let go, not moving) and ``row`` of a drag; ``point`` of a click.

    ``point`` has trace, name, index, x, y and customdata. ``part`` of a brush: the axis' number, and from where to
    where in y; None and None for all of it.
    """

    kind: Literal["drag", "select", "brush"]
    value: float | None = None
    final: bool = True
    point: Mapping[str, Any] = field(default_factory=dict)
    part: tuple[int, float | None, float | None] | None = None
    row: int | None = None


def chart(
    figure: Any,
    *,
    key: str,
    height: int | None = None,
    alt: str = "",
    drag: Drag | Mapping[str, Any] | bool | None = None,
    on_drag: Callable[[float], Any] | None = None,
    on_row: Callable[[int, float], Any] | None = None,
    select: Literal["click"] | None = None,
    on_select: Callable[[Mapping[str, Any]], Any] | None = None,
    brush: int = 0,
    on_brush: Callable[[int, float | None, float | None], Any] | None = None,
) -> ChartEvent | None:
    """Show ``figure`` (a Plotly figure, or a dictionary with data and layout) and return what the visitor just did.

    ``key`` names the chart: with the same key it is updated in place. ``height`` is in px, the figure's own by default,
    its title included. ``alt`` says in words what the picture shows; the lab's figures bring their own. ``drag`` is
    True to make the figure's own threshold line a handle, or a dictionary that adds to it or describes one. ``on_drag``
    gets the new value before the script runs again, ``on_row`` in its place the row and its value where the drag has
    rows, ``on_select`` the clicked point. Values are held to the drag's bounds here, whatever the browser sent.
    ``brush`` is the number of upright axes, at x = 0, 1, ..., along which a part can be dragged; ``on_brush`` gets the
    axis' number and from where to where in y, or None and None.
    """
    if not key:
        raise ConfigError("A chart needs a key, so that it can be updated in place.")
    meta = _layout(figure, "meta")
    meta = meta if isinstance(meta, Mapping) else {}
    if drag is True:
        drag = {}
    handle = None
    if drag is not None and drag is not False and (drag or "drag" in meta):
        handle = _drag({**meta.get("drag", {}), **drag}, "dark" if meta.get("theme") == "dark" else "light")
    total = int(height or _layout(figure, "height") or HEIGHT)
    message = encode(
        figure,
        height=total,
        alt=alt or meta.get("alt", ""),
        drag=handle,
        select=select,
        brush=brush,
        plotly=library.url("plotly"),
        module=library.url("chart"),
    )

    def dragged() -> None:
        event = _drag_event(_sent(key, "drag"), handle)
        if event is None or event.value is None:
            return
        if event.row is not None and on_row is not None:
            on_row(event.row, event.value)
        elif on_drag is not None:
            on_drag(event.value)

    def selected() -> None:
        point = _sent(key, "select")
        if isinstance(point, Mapping) and on_select is not None:
            on_select(point)

    def brushed() -> None:
        part = _part(_sent(key, "brush"), brush)
        if part is not None and on_brush is not None:
            on_brush(*part)

    result = _component(
        key=key, data=message, height=total, on_drag_change=dragged, on_select_change=selected, on_brush_change=brushed
    )
    event = _drag_event(getattr(result, "drag", None), handle)
    if event is not None:
        return event
    part = _part(getattr(result, "brush", None), brush)
    if part is not None:
        return ChartEvent("brush", part=part)
    point = getattr(result, "select", None)
    return ChartEvent("select", point=dict(point)) if isinstance(point, Mapping) and select else None


def _sent(key: str, name: str) -> Any:
    state = st.session_state.get(key)
    return state.get(name) if isinstance(state, Mapping) else None


def _drag(drag: Mapping[str, Any], theme: Theme) -> dict[str, Any]:
    if drag.get("axis") not in ("x", "y") or "value" not in drag:
        raise ConfigError(f"A drag needs 'axis' ('x' or 'y') and 'value'; got {dict(drag)!r}.")
    unknown = set(drag) - set(Drag.__annotations__)
    if unknown:
        raise ConfigError(f"A drag has no {sorted(unknown)}; it has {', '.join(Drag.__annotations__)}.")
    handle = {"shape": "threshold", "color": "clipping", "label": "", **drag}
    if handle["color"] in IDEAS:
        handle["color"] = palette(theme).idea(handle["color"])
    return handle


def _drag_event(sent: Any, drag: Mapping[str, Any] | None) -> ChartEvent | None:
    """The event of what the browser sent, or None where it is not a finite number."""
    if drag is None or not isinstance(sent, Mapping):
        return None
    value = sent.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    low, high = drag.get("min"), drag.get("max")
    held = max(value, low) if low is not None else value
    held = min(held, high) if high is not None else held
    row, rows = sent.get("row"), drag.get("rows") or ()
    if rows and (isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < len(rows)):
        return None  # whose value it is would be a guess
    return ChartEvent("drag", value=float(held), final=bool(sent.get("final", True)), row=row if rows else None)


def _part(sent: Any, axes: int) -> tuple[int, float | None, float | None] | None:
    """The axis and the part of it that the browser sent, or None where it is nothing of the kind."""
    if not axes or not isinstance(sent, Mapping):
        return None
    axis, low, high = sent.get("axis"), sent.get("low"), sent.get("high")
    if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < axes:
        return None
    ends = [float(v) if isinstance(v, int | float) and math.isfinite(v) else None for v in (low, high)]
    return axis, *(ends if None not in ends else (None, None))


def _layout(figure: Any, name: str) -> Any:
    layout = figure.get("layout") if isinstance(figure, Mapping) else figure.layout
    if not layout:
        return None
    return layout.get(name) if isinstance(layout, Mapping) else layout[name]
