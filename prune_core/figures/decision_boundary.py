"""Which class a model sees where, for data with two coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.events import Boundary
from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import percent, plural

SURE = 127
POINTS = 400  # drawn; more would hide the regions
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "star", "pentagon", "hexagon", "hourglass")


@dataclass(frozen=True)
class DecisionBoundary:
    """``classes`` and ``confidence`` (rows, columns) on a regular grid, row 0 lowest; confidence in [0, 1]."""

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray
    points: np.ndarray  # (n, 2)
    labels: np.ndarray  # (n,)
    count: int
    step: int | None


def decision_boundary_data(
    boundary: Boundary, points: Any = None, labels: Any = None, step: int | None = None
) -> DecisionBoundary:
    """From a snapshot's boundary and, where given, points (n, 2) with their classes (n,).

    At most 400 points are kept, evenly spread over the given order.
    """
    rows, columns = boundary.classes.shape
    x0, x1, y0, y1 = boundary.extent
    xy = np.zeros((0, 2)) if points is None else np.asarray(points, dtype=float)
    of = np.zeros(0, dtype=int) if labels is None else np.asarray(labels).astype(int)
    if len(xy) > POINTS:
        at = np.linspace(0, len(xy) - 1, POINTS).astype(int)
        xy, of = xy[at], of[at]
    return DecisionBoundary(
        x=np.linspace(x0, x1, columns), y=np.linspace(y0, y1, rows), classes=np.asarray(boundary.classes).astype(int),
        confidence=np.asarray(boundary.confidence, dtype=float) / 255, points=xy, labels=of,
        count=int(max(boundary.classes.max(), of.max(initial=0))) + 1, step=step,
    )  # fmt: skip


def alt_decision_boundary(data: DecisionBoundary) -> str:
    """The picture in words."""
    shares = [float((data.classes == c).mean()) for c in range(data.count)]
    areas = ", ".join(f"class {c} {percent(s, 0)}" for c, s in enumerate(shares))
    at = f" after step {data.step}" if data.step is not None else ""
    return f"Regions of {plural(data.count, 'class', 'classes')}{at}, share of the area: {areas}."


@drawing
def draw_decision_boundary(data: DecisionBoundary, colours: Palette) -> Plain:
    """Regions in the classes' colours, stronger where the model is surer; the data's points on top.

    Two classes shade into each other; more are drawn cell by cell, since a blend of three would be a fourth colour.
    """
    inks = [colours.classes[c % len(colours.classes)] for c in range(data.count)]
    scale: list[list[Any]] = []
    smooth: str | bool
    if data.count == 2:
        # signed: surely class 0, 0 on the boundary, surely class 1; whole numbers, four times fewer bytes to send
        sure = np.clip(2 * data.confidence - 1, 0, 1)
        z = np.round(SURE * np.where(data.classes == 1, sure, -sure)).astype(np.int8)
        scale = [[0, rgba(inks[0], 0.5)], [0.5, rgba(colours.background, 1)], [1, rgba(inks[1], 0.5)]]
        low, high, smooth = -SURE, SURE, "best"
    else:
        z = np.round(SURE * (data.classes + np.clip(data.confidence, 0, 0.99))).astype(np.int16)
        for c, ink in enumerate(inks):
            scale += [[c / data.count, rgba(ink, 0.05)], [(c + 0.9999) / data.count, rgba(ink, 0.5)]]
        scale[-1][0] = 1
        low, high, smooth = 0, SURE * data.count, False
    traces: list[Plain] = [
        {"type": "heatmap", "name": "region", "x": data.x, "y": data.y, "z": z, "zmin": low, "zmax": high,
         "zsmooth": smooth, "colorscale": scale, "showscale": False, "showlegend": False,
         "hoverinfo": "skip", "meta": {"table": False}},
    ]  # fmt: skip
    if data.count == 2 and z.min() < 0 < z.max():
        traces.append(
            {"type": "contour", "name": "boundary", "x": data.x, "y": data.y, "z": z, "showscale": False,
             "contours": {"start": 0, "end": 0, "size": 1, "coloring": "none"}, "showlegend": False,
             "line": {"color": colours.ink, "width": 2}, "hoverinfo": "skip", "meta": {"table": False}}
        )  # fmt: skip
    for c, ink in enumerate(inks):
        own = data.labels == c
        traces.append(
            {"type": "scatter", "name": f"class {c}", "x": data.points[own, 0], "y": data.points[own, 1],
             "mode": "markers", "hovertemplate": f"class {c}: %{{x:.2f}}, %{{y:.2f}}<extra></extra>",
             "marker": {"color": ink, "size": 6, "symbol": SYMBOLS[c % len(SYMBOLS)],
                        "line": {"width": 1, "color": colours.background}}}
        )  # fmt: skip
    after = f"After step {data.step}: the" if data.step is not None else "The"
    return frame(
        traces, title="Decision boundary: which class the model sees where", alt=alt_decision_boundary(data),
        subtitle=f"{after} stronger the colour, the surer the model", x="first coordinate (normalised)",
        y="second coordinate (normalised)", hovermode="closest", height=420, showlegend=len(data.points) > 0,
        xaxis={"range": [float(data.x[0]), float(data.x[-1])], "constrain": "domain"},
        yaxis={"range": [float(data.y[0]), float(data.y[-1])], "scaleanchor": "x", "showgrid": False},
    )  # fmt: skip
