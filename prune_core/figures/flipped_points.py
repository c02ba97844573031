"""Data in the plane: which test points are answered otherwise than before pruning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import plural

TITLE = "Where the answers changed: points newly wrong and newly right"
KINDS = (
    ("newly wrong", "x", "bad"),
    ("newly right", "circle-open", "good"),
    ("another mistake", "diamond-open", "mark"),
)
LIMIT = 1000  # points of a kind or class


@dataclass(frozen=True, eq=False)
class FlippedPoints:
    """``points`` (n, 2) with classes ``labels`` (n,); ``flips`` are places in them by kind."""

    points: np.ndarray
    labels: np.ndarray
    flips: dict[str, np.ndarray]
    class_names: tuple[str, ...]


def flipped_points_data(points: Any, labels: Any, flips: Any, class_names: Sequence[str] = ()) -> FlippedPoints:
    """From test points, their classes and ``Forgotten.flips``, whose column index says which points they are."""
    table = pd.DataFrame(flips, columns=None if len(flips) else ["index", "kind"])
    by_kind = {kind: table.loc[table["kind"] == kind, "index"].to_numpy(int)[:LIMIT] for kind, *_ in KINDS}
    y = np.asarray(labels, int)
    names = tuple(map(str, class_names)) or tuple(str(c) for c in range(int(y.max(initial=0)) + 1))
    return FlippedPoints(np.asarray(points, float), y, by_kind, names)


def alt_flipped_points(data: FlippedPoints) -> str:
    """The picture in words."""
    counts = ", ".join(f"{len(at)} {kind}" for kind, at in data.flips.items() if len(at))
    return f"{TITLE}. {plural(len(data.points), 'test point')}: {counts or 'none changed'}."


@drawing
def draw_flipped_points(data: FlippedPoints, colours: Palette) -> Plain:
    """All points pale in the colour of their class, those that changed marked by shape."""
    traces: list[Plain] = []
    for c, name in enumerate(data.class_names):
        at = np.flatnonzero(data.labels == c)[:LIMIT]
        traces.append(
            {"type": "scatter", "mode": "markers", "name": f"class {name}", "x": data.points[at, 0],
             "y": data.points[at, 1], "hoverinfo": "skip",
             "marker": {"size": 5, "color": rgba(colours.classes[c % len(colours.classes)], 0.4)}}
        )  # fmt: skip
    for kind, symbol, colour in KINDS:
        at = data.flips[kind]
        if len(at):
            shade = getattr(colours, colour)
            traces.append(
                {"type": "scatter", "mode": "markers", "name": kind, "x": data.points[at, 0], "y": data.points[at, 1],
                 "marker": {"size": 11 if len(at) <= 100 else 6, "symbol": symbol, "color": shade,
                            "line": {"width": 1.5, "color": shade}},
                 "hovertemplate": f"{kind}<extra></extra>"}
            )  # fmt: skip
    return frame(
        traces, title=TITLE, x="first input (normalised)", y="second input (normalised)",
        alt=alt_flipped_points(data), hovermode="closest", height=440, xaxis={"zeroline": False, "constrain": "domain"},
        yaxis={"zeroline": False, "scaleanchor": "x"},
    )  # fmt: skip
