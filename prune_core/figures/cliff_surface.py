"""The cliff as a surface in three dimensions: the loss as height, and descents with and without clipping on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prune_core.clipping import cliff
from prune_core.figures.cliff import DASHES, LABELS, SYMBOLS, Cliff, alt_cliff, cliff_data, fate
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette

TITLE = "The cliff as a surface: descents that meet a wall"
SIZES = {"none": 3.0, "norm": 3.0, "value": 3.4}  # px, so that the three look equally large
LIFT, RAISED = 0.008, 0.014  # loss; a line or a mark that lies in a surface would be half hidden by it
ACROSS = 20  # points on each update's way
TOP = 0.5  # loss: the ceiling of the picture
CAMERA = {"eye": {"x": 0.74, "y": 1.68, "z": 0.95}, "center": {"x": 0.17, "y": 0.0, "z": -0.2}}  # before the wall
NO_WEBGL = "This browser draws no surfaces (WebGL is off); the map shows the same."


@dataclass(frozen=True)
class Track:
    """A path on the surface: ``ground`` (k, 3) under the way of every update, ``stops`` (n + 1, 3) the updates.

    Columns are w, b and the height to draw; it is nan where the picture does not reach. ``losses`` are those at the
    stops.
    """

    way: str
    ground: np.ndarray
    stops: np.ndarray
    losses: np.ndarray


@dataclass(frozen=True)
class CliffSurface:
    """The map's data, and its paths laid onto the surface."""

    map: Cliff
    tracks: tuple[Track, ...]


def cliff_surface_data(paths: Iterable[cliff.Path], size: int = 121) -> CliffSurface:
    """From descents of ``prune_core.clipping.cliff``, on the grid that the map has."""
    found = cliff_data(paths, size)
    return CliffSurface(found, tuple(_track(found, path) for path in found.paths))


def alt_cliff_surface(data: CliffSurface) -> str:
    """The picture in words."""
    return f"In three dimensions, the loss as height. {alt_cliff(data.map)}"


@drawing
def draw_cliff_surface(data: CliffSurface, colours: Palette) -> Plain:
    """The surface in grey as on the map; each descent with the dash and the mark that it has there."""
    if not data.tracks:
        return empty(TITLE, "No descent yet.", x="w (weight)", y="b (bias)")
    traces: list[Plain] = [
        {"type": "surface", "name": "loss", "x": data.map.w, "y": data.map.b, "z": data.map.loss.astype(np.float32),
         "cmin": 0.0, "cmax": TOP, "showscale": False, "showlegend": False,
         "colorscale": [[0, colours.grid], [0.35, colours.axis], [1, colours.baseline]],
         "lighting": {"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9, "fresnel": 0.0},
         "contours": {axis: {"highlight": False} for axis in ("x", "y", "z")},
         "hovertemplate": "w %{x:.2f}, b %{y:.2f}: loss %{z:.3f}<extra></extra>"}
    ]  # fmt: skip
    for track in data.tracks:
        ink = colours.ink if track.way == "none" else colours.clipping
        name = LABELS[track.way]
        same = {"name": name, "legendgroup": track.way}
        traces += [
            {"type": "scatter3d", **same, **_columns(track.ground), "mode": "lines", "connectgaps": False,
             "line": {"color": ink, "width": 4, "dash": DASHES[track.way]}, "hoverinfo": "skip",
             "meta": {"table": False}},
            {"type": "scatter3d", **same, **_columns(track.stops), "mode": "markers", "showlegend": False,
             "customdata": track.losses,
             "marker": {"symbol": SYMBOLS[track.way], "size": SIZES[track.way], "color": ink,
                        "line": {"width": 1, "color": ink if track.way == "none" else colours.background}},
             "hovertemplate": f"{name}: w %{{x:.3f}}, b %{{y:.3f}}, loss %{{customdata:.3g}}<extra></extra>"},
        ]  # fmt: skip
    traces.append(
        {"type": "scatter3d", "name": "start", **_columns(data.tracks[0].stops[:1]), "mode": "markers+text",
         "text": ["start"], "textposition": "top center", "textfont": {"color": colours.ink, "size": 13},
         "marker": {"size": 7, "color": colours.background, "line": {"width": 3, "color": colours.ink}},
         "showlegend": False, "hoverinfo": "skip", "meta": {"table": False}}
    )  # fmt: skip
    axis = {"color": colours.muted, "gridcolor": colours.grid, "linecolor": colours.axis, "showbackground": False,
            "zeroline": False, "showspikes": False, "tickfont": {"size": 11, "color": colours.muted},
            "nticks": 5}  # fmt: skip

    def titled(text: str, low: float, high: float) -> Plain:
        return {**axis, "title": {"text": text, "font": {"size": 12, "color": colours.muted}}, "range": [low, high]}

    figure = frame(
        traces, title=TITLE, subtitle=f"{fate(data.map.paths)}. Drag to turn it",
        x="w (weight)", y="b (bias)", alt=alt_cliff_surface(data), hovermode="closest", height=420,
        scene={"xaxis": titled("w (weight)", *cliff.W), "yaxis": titled("b (bias)", *cliff.B),
               "zaxis": {**titled("loss", 0.0, TOP), "tickvals": [0.2, 0.4]}, "camera": CAMERA, "dragmode": "turntable",
               "aspectmode": "manual", "aspectratio": {"x": 1.2, "y": 1.0, "z": 0.6}},
    )  # fmt: skip
    figure["layout"]["meta"]["no_webgl"] = NO_WEBGL
    return figure


def _track(on: Cliff, path: cliff.Path) -> Track:
    """A path and the ground under it; the stops stand at their own loss, or on the drawn surface where it is higher."""
    share = np.linspace(0, 1, ACROSS, endpoint=False)[:, None]
    starts, ends = path.points[:-1], path.points[1:]
    along = (starts[:, None] + share * (ends - starts)[:, None]).reshape(-1, 2)
    way = np.vstack([along, path.points[-1:]])
    here = _height(on, path.points)
    stops = np.where(np.isnan(here), np.nan, np.fmax(here, path.losses))
    return Track(
        path.way, np.column_stack([way, _height(on, way) + LIFT]), np.column_stack([path.points, stops + RAISED]),
        path.losses,
    )  # fmt: skip


def _height(on: Cliff, points: np.ndarray) -> np.ndarray:
    """Where the drawn surface is at ``points`` (n, 2): the grid's own heights, with straight lines between them."""
    from scipy.ndimage import map_coordinates  # 80 ms that most processes never need

    rows, columns = (
        (points[:, i] - grid[0]) / (grid[1] - grid[0]) for i, grid in ((1, on.b), (0, on.w))
    )  # fmt: skip
    found: np.ndarray = map_coordinates(on.loss, [rows, columns], order=1, mode="constant", cval=np.nan)
    return found


def _columns(points: np.ndarray) -> Plain:
    return dict(zip("xyz", points.T, strict=True))
