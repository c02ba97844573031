"""The cliff from above: the loss over two parameters, and descents with and without clipping on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prune_core.clipping import cliff
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import number

TITLE = "The cliff: descents that meet a wall in the loss"
LABELS = {"none": "no clipping", "norm": "clipped by norm", "value": "clipped by value"}
SYMBOLS = {"none": "x", "norm": "circle", "value": "diamond"}
DASHES = {"none": "dash", "norm": "solid", "value": "dot"}


@dataclass(frozen=True)
class Cliff:
    """``loss`` (rows of b, columns of w) on a regular grid, and the paths on it."""

    w: np.ndarray
    b: np.ndarray
    loss: np.ndarray
    paths: tuple[cliff.Path, ...]


def cliff_data(paths: Iterable[cliff.Path], size: int = 121) -> Cliff:
    """From descents of ``prune_core.clipping.cliff``."""
    w, b, loss = cliff.surface(size)
    return Cliff(w, b, loss, tuple(paths))


def outside(path: cliff.Path) -> bool:
    """Whether a path ends where the picture does not reach."""
    w, b = path.points[-1]
    return not (cliff.W[0] <= w <= cliff.W[1] and cliff.B[0] <= b <= cliff.B[1])


def fate(paths: Iterable[cliff.Path]) -> str:
    """Which descents leave the picture."""
    gone = [LABELS[path.way] for path in paths if outside(path)]
    return f"Thrown out of the picture: {', '.join(gone)}" if gone else "All stay in sight"


def alt_cliff(data: Cliff) -> str:
    """The picture in words."""
    if not data.paths:
        return f"{TITLE}. No descent yet."
    ends = [
        f"{LABELS[p.way]}: after {len(p.norms)} updates at w = {number(p.points[-1][0])}, b = {number(p.points[-1][1])}"
        f"{', outside the picture' if outside(p) else ''}, loss {number(p.losses[-1])}, longest gradient "
        f"{number(float(p.norms.max()))}"
        for p in data.paths
    ]
    return f"Loss of a recurrent unit over its weight w and bias b, with a wall across. {'; '.join(ends)}."


@drawing
def draw_cliff(data: Cliff, colours: Palette) -> Plain:
    """High loss dark, the wall where it jumps; each descent with its own dash and mark, from one start."""
    if not data.paths:
        return empty(TITLE, "No descent yet.", x="w (weight)", y="b (bias)")
    height = data.loss.astype(np.float32)  # one array for both: sent once
    traces: list[Plain] = [
        {"type": "heatmap", "name": "loss", "x": data.w, "y": data.b, "z": height,
         "zmin": 0.0, "zmax": 0.5, "zsmooth": False, "showscale": False, "showlegend": False,
         "colorscale": [[0, colours.background], [0.35, colours.grid], [1, colours.axis]],
         "hovertemplate": "w %{x:.2f}, b %{y:.2f}: loss %{z:.3f}<extra></extra>"},
        {"type": "contour", "name": "lines of equal loss", "x": data.w, "y": data.b, "z": height,
         "contours": {"start": 0.01, "end": 0.09, "size": 0.01, "coloring": "none"}, "showscale": False,
         "showlegend": False, "line": {"color": colours.baseline, "width": 0.7}, "hoverinfo": "skip",
         "meta": {"table": False}},
    ]  # fmt: skip
    for path in data.paths:
        ink = colours.ink if path.way == "none" else colours.clipping
        traces.append(
            {"type": "scatter", "name": LABELS[path.way], "x": path.points[:, 0], "y": path.points[:, 1],
             "mode": "lines+markers", "line": {"color": ink, "width": 1.6, "dash": DASHES[path.way]},
             "marker": {"symbol": SYMBOLS[path.way], "size": 5, "color": ink,
                        "line": {"width": 0.6, "color": colours.background}},
             "hovertemplate": f"{LABELS[path.way]}: w %{{x:.3f}}, b %{{y:.3f}}<extra></extra>"}
        )  # fmt: skip
    start = data.paths[0].points[0]
    traces.append(
        {"type": "scatter", "name": "start", "x": [start[0]], "y": [start[1]], "mode": "markers+text",
         "text": ["start"], "textposition": "top center", "textfont": {"color": colours.ink, "size": 12},
         "marker": {"size": 13, "color": colours.background, "line": {"width": 2.5, "color": colours.ink}},
         "showlegend": False, "hoverinfo": "skip", "meta": {"table": False}}
    )  # fmt: skip
    return frame(
        traces, title=TITLE, subtitle=fate(data.paths),
        x="w (weight)", y="b (bias)", alt=alt_cliff(data), hovermode="closest", height=420,
        xaxis={"range": list(cliff.W)}, yaxis={"range": list(cliff.B), "showgrid": False},
    )  # fmt: skip
