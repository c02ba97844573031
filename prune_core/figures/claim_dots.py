"""What a claim's arms came to, a row each: mean, interval over seeds and every seed, beside the rule's threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prune_core.claims import Picture
from prune_core.comparing import Interval
from prune_core.figures.claim_words import SYMBOLS, interval_of, interval_words, measure_label, measured, written
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Idea, Palette, rgba
from prune_core.figures.words import number, plural

ROW, REST = 44, 150  # px: of a row, and of title and axis


@dataclass(frozen=True)
class ClaimRow:
    """One row: its name, the values by seed, and their mean with its 95 % interval."""

    name: str
    idea: Idea
    values: np.ndarray
    interval: Interval


@dataclass(frozen=True)
class ClaimDots:
    """Rows from top to bottom. ``places`` keeps room for as many, where more are to come."""

    picture: Picture
    rows: tuple[ClaimRow, ...]
    seeds: int
    places: int = 0


def claim_dots_data(table: pd.DataFrame, picture: Picture, places: int = 0) -> ClaimDots:
    """From a claim's table of measured figures; as ratios, seed by seed, where the picture is relative to an arm.

    ``places`` is how many rows there will be in the end, so that the picture does not grow meanwhile; 0: those now.
    """
    rows = measured(table, picture)
    rows = rows[rows["value"].notna()]
    arms = [arm for arm in dict.fromkeys(rows["arm"]) if arm != picture.relative_to]
    found = []
    for measure in picture.measures:
        own = rows[rows["measure"] == measure]
        by_arm = {arm: part.groupby("seed")["value"].mean() for arm, part in own.groupby("arm", sort=False)}
        for arm in arms:
            if arm not in by_arm:
                continue
            values = by_arm[arm]
            if picture.relative_to and not measure.endswith(" ratio"):  # those are ratios already
                values = (values / by_arm.get(picture.relative_to, pd.Series(dtype=float))).dropna()
            if not len(values):
                continue
            name = [str(arm)] * (len(arms) > 1 or len(picture.measures) == 1)
            name += [measure_label(measure)] * (len(picture.measures) > 1)
            idea = own.loc[own["arm"] == arm, "idea"].iloc[0]
            numbers = values.to_numpy(float)
            found.append(ClaimRow(", ".join(name), idea, numbers, interval_of(numbers, picture.interval)))
    order = {arm: i for i, arm in enumerate(arms)}
    if len(picture.measures) > 1 and len(arms) > 1:  # what belongs to one arm stands together
        found.sort(key=lambda row: order.get(row.name.rpartition(", ")[0], 0))
    return ClaimDots(picture, tuple(found), max((len(row.values) for row in found), default=0), places)


def alt_claim_dots(data: ClaimDots) -> str:
    """The picture in words."""
    title = data.picture.title
    if not data.rows:
        return f"{title}. Nothing measured yet."
    parts = "; ".join(f"{row.name}: {interval_words(row.interval, data.picture)}" for row in data.rows)
    line = ""
    if data.picture.line is not None:
        line = f" The rule's threshold is {written(data.picture.line, data.picture)} ({data.picture.line_name})."
    return f"{title}, {plural(data.seeds, 'seed')}. {parts}.{line}"


@drawing
def draw_claim_dots(data: ClaimDots, colours: Palette) -> Plain:
    """A mark a row with its interval, faint marks for the seeds, the threshold as a dashed line."""
    picture = data.picture
    if not data.rows:
        return empty(picture.title, "What is measured will stand here, a row each.", x=picture.x, y="compared",
                     height=REST + ROW * (data.places or 4))  # fmt: skip
    places = max(data.places, len(data.rows))
    labels = [f"<b>{row.name}</b><br>{interval_words(row.interval, picture)}" for row in data.rows]
    traces: list[Plain] = []
    for i, row in enumerate(data.rows):
        colour = colours.idea(row.idea)
        mean, low, high = row.interval.mean, row.interval.low, row.interval.high
        traces.append(
            {"type": "scatter", "name": f"{row.name}, every seed", "x": row.values, "y": [i] * len(row.values),
             "mode": "markers", "showlegend": False, "hoverinfo": "skip",
             "marker": {"size": 6, "color": rgba(colour, 0.35), "symbol": "line-ns-open", "line": {"width": 1.5}}}
        )  # fmt: skip
        traces.append(
            {"type": "scatter", "name": row.name, "x": [mean], "y": [i], "mode": "markers", "showlegend": False,
             "marker": {"size": 13, "color": colour, "symbol": SYMBOLS[row.idea],
                        "line": {"width": 1.5, "color": colours.background}},
             "error_x": {"type": "data", "symmetric": False, "array": [_gap(high, mean)],
                         "arrayminus": [_gap(mean, low)], "color": colour, "thickness": 2, "width": 5},
             "hovertemplate": f"{row.name}: {interval_words(row.interval, picture)}<extra></extra>"}
        )  # fmt: skip
    shapes, notes = _line(data, colours)
    top = -1.0 if notes else -0.5  # room for the words at the line
    return frame(
        traces, title=picture.title, subtitle=f"{plural(data.seeds, 'seed')}; bars: 95 % over seeds",
        x=picture.x, y=picture.y or "compared", alt=alt_claim_dots(data), shapes=shapes, annotations=notes,
        hovermode="closest", height=REST + ROW * places, showlegend=False, xaxis=_axis(data),
        yaxis={"title": {"text": picture.y or "compared", "font": {"size": 1, "color": rgba(colours.ink, 0)}},
               "range": [places - 0.5, top], "tickvals": list(range(len(labels))), "ticktext": labels,
               "showgrid": False, "zeroline": False, "tickfont": {"size": 12, "color": colours.ink},
               "automargin": True},
    )  # fmt: skip


def _gap(a: float, b: float) -> float:
    return max(a - b, 0.0) if math.isfinite(a) and math.isfinite(b) else 0.0


def _line(data: ClaimDots, colours: Palette) -> tuple[list[Plain], list[Plain]]:
    """The rule's threshold, and where nothing changes at all."""
    picture, shapes, notes = data.picture, [], []
    if picture.relative_to:
        shapes.append({"type": "line", "name": picture.relative_to, "yref": "paper", "y0": 0, "y1": 1, "x0": 1, "x1": 1,
                       "line": {"color": colours.baseline, "width": 1.5, "dash": "dot"}, "layer": "below"})  # fmt: skip
    if picture.line is not None:
        shapes.append({"type": "line", "name": "the rule", "yref": "paper", "y0": 0, "y1": 1, "x0": picture.line,
                       "x1": picture.line, "line": {"color": colours.mark, "width": 1.6, "dash": "dash"}})  # fmt: skip
        at = math.log10(picture.line) if picture.scale == "log" else picture.line
        notes.append({"text": picture.line_name, "x": at, "y": 1, "yref": "paper", "yanchor": "top",
                      "xanchor": "right" if "left" in picture.line_name else "left", "showarrow": False,
                      "font": {"size": 11.5, "color": colours.mark}})  # fmt: skip
    return shapes, notes


def _axis(data: ClaimDots) -> Plain:
    """Wide enough for every seed, the interval, the threshold and, of ratios, 1."""
    picture = data.picture
    seen = [float(v) for row in data.rows for v in (*row.values, row.interval.low, row.interval.high)]
    seen = [v for v in seen if math.isfinite(v)]
    seen += [picture.line] if picture.line is not None else []
    seen += [1.0] if picture.relative_to else []
    if picture.scale == "log":
        low, high = math.log10(max(min(seen), 1e-4)), math.log10(max(seen))
        pad = 0.08 * max(high - low, 0.1)
        ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low - pad <= math.log10(t) <= high + pad]
        return {"type": "log", "range": [low - pad, high + pad], "tickvals": ticks,
                "ticktext": [number(t) for t in ticks]}  # fmt: skip
    low, high = min(seen), max(seen)
    if picture.unit in ("%", "s") and not (picture.unit == "%" and low > 0.5):
        low = min(low, 0.0)  # from zero, but an interval of two seeds may reach below it
    pad = 0.08 * max(high - low, 0.02)
    return {
        "range": [low - pad, high + pad],
        **({"tickformat": ".0%" if high - low > 0.08 else ".1%"} if picture.unit == "%" else {}),
    }
