"""One measure of a claim's arms over what varies, with intervals over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prune_core.claims import Picture
from prune_core.figures.claim_words import DASHES, SYMBOLS, interval_of, interval_words, measured
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Idea, Palette, rgba
from prune_core.figures.words import number, percent, plural

HEIGHT = 400


@dataclass(frozen=True)
class ClaimLine:
    """One arm: a point a place, from low to high, with mean and 95 % interval (nan where there is none)."""

    name: str
    idea: Idea
    at: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    words: tuple[str, ...]


@dataclass(frozen=True)
class ClaimCurve:
    """Lines in the order of the claim's arms; ``seeds`` is the largest number behind one point."""

    picture: Picture
    lines: tuple[ClaimLine, ...]
    seeds: int


def claim_curve_data(table: pd.DataFrame, picture: Picture) -> ClaimCurve:
    """From a claim's table of measured figures (``prune_core.claims.COLUMNS``); arms without a place are left out."""
    rows = measured(table, picture)
    rows = rows[rows["at"].notna() & rows["value"].notna()]
    lines = []
    for name in dict.fromkeys(rows["arm"]):
        own = rows[rows["arm"] == name]
        places = sorted(own["at"].unique())
        found = [interval_of(own.loc[own["at"] == at, "value"], picture.interval) for at in places]
        mean, low, high = (np.array([getattr(one, part) for one in found], float) for part in ("mean", "low", "high"))
        words = tuple(interval_words(one, picture) for one in found)
        lines.append(ClaimLine(str(name), own["idea"].iloc[0], np.array(places, float), mean, low, high, words))
    return ClaimCurve(picture, tuple(lines), int(rows["seed"].nunique()) if len(rows) else 0)


def alt_claim_curve(data: ClaimCurve) -> str:
    """The picture in words."""
    title = data.picture.title
    if not data.lines:
        return f"{title}. Nothing measured yet."
    parts = [
        f"{line.name}: "
        + ", ".join(f"{words} at {_place(at, data.picture)}" for at, words in zip(line.at, line.words, strict=True))
        for line in data.lines
    ]
    return f"{title}, {plural(data.seeds, 'seed')}. {'; '.join(parts)}."


@drawing
def draw_claim_curve(data: ClaimCurve, colours: Palette) -> Plain:
    """A line an arm with its intervals as bars; an arm with one place is a mark with a dotted line across."""
    picture = data.picture
    if not data.lines:
        return empty(picture.title, "The first finished runs draw the first points.", x=picture.x, y=picture.y,
                     height=HEIGHT)  # fmt: skip
    traces: list[Plain] = []
    shapes: list[Plain] = []
    for line in data.lines:
        colour = colours.idea(line.idea)
        traces.append(
            {"type": "scatter", "name": line.name, "x": _drawn(line.at, picture), "y": line.mean,
             "mode": "lines+markers" if len(line.at) > 1 else "markers",
             "line": {"color": colour, "width": 2, "dash": DASHES[line.idea]},
             "marker": {"size": 9, "color": colour, "symbol": SYMBOLS[line.idea]},
             "error_y": {"type": "data", "symmetric": False, "array": np.nan_to_num(line.high - line.mean),
                         "arrayminus": np.nan_to_num(line.mean - line.low), "color": rgba(colour, 0.7),
                         "thickness": 1.4, "width": 4},
             "customdata": [[_place(at, picture), words] for at, words in zip(line.at, line.words, strict=True)],
             "hovertemplate": f"{line.name}, %{{customdata[0]}}: %{{customdata[1]}}<extra></extra>",
             **({"meta": {"table": "complement"}} if picture.scale == "left" else {})}
        )  # fmt: skip
        if len(line.at) == 1 and len(data.lines) > 1:
            shapes.append(
                {"type": "line", "name": line.name, "xref": "paper", "x0": 0, "x1": 1, "y0": line.mean[0],
                 "y1": line.mean[0], "line": {"color": colour, "width": 1.5, "dash": "dot"}, "layer": "below"}
            )  # fmt: skip
    bars = "Wilson's interval" if picture.interval == "wilson" else "95 % over seeds"
    yaxis: Plain = {"tickformat": ".0%", "range": _range(data)} if picture.unit == "%" else {}
    return frame(
        traces, title=picture.title, subtitle=f"{plural(data.seeds, 'seed')}; bars: {bars}", x=picture.x, y=picture.y,
        alt=alt_claim_curve(data), shapes=shapes, hovermode="closest", height=HEIGHT, showlegend=True,
        xaxis=_axis(data), yaxis=yaxis,
    )  # fmt: skip


def _place(at: float, picture: Picture) -> str:
    """A place on the x axis in words."""
    return f"{percent(at, 0)} removed" if picture.scale == "left" else f"{picture.x} {number(at)}"


def _drawn(at: np.ndarray, picture: Picture) -> np.ndarray:
    """Where places are drawn: a share removed stands at what is left."""
    return 1 - at if picture.scale == "left" else at


def _axis(data: ClaimCurve) -> Plain:
    places = sorted({float(at) for line in data.lines for at in line.at})
    if data.picture.scale == "linear":
        return {}
    spots = [float(v) for v in _drawn(np.array(places), data.picture)]
    low, high = math.log10(min(spots)), math.log10(max(spots))
    pad = 0.05 * max(high - low, 0.3)
    ends = [low - pad, high + pad]
    text = [percent(at, 0) if data.picture.scale == "left" else number(at) for at in places]
    return {"type": "log", "range": ends[::-1] if data.picture.scale == "left" else ends, "tickvals": spots,
            "ticktext": text}  # fmt: skip


def _range(data: ClaimCurve) -> list[float]:
    """Shares from the lowest tenth below everything to just above 1."""
    seen = [v for line in data.lines for v in (*line.mean, *line.low) if math.isfinite(v)]
    low = math.floor(10 * min(seen, default=0.0) - 0.2) / 10
    return [max(-0.04, low), 1.04]
