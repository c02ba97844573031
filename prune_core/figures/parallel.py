"""Parallel coordinates: a line a run over all that was varied and what came of it; parts of axes filter the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prune_core.comparing import final_rows, varying
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.parallel_axes import Axis, Span, axis_of
from prune_core.figures.words import percent, plural

TITLE = "What went in, what came out: a line a run"
MOST = 8  # axes
DRAWN, GREY = 380, 120  # lines drawn: of those chosen, and of the others
SHADES = 5
RESULTS = {
    "sparsity": "weights removed",
    "kept_bytes": "size",
    "latency_ms": "latency, ms",
    "accuracy": "test accuracy",
}


@dataclass(frozen=True)
class Parallel:
    """``axes`` from left to right, their places (n,) in the order of ``runs``; ``chosen`` (n,) passes all filters.

    ``shade`` (n,) counts from 0 (lowest accuracy) to 4 (highest), by ``edges`` in equal steps of accuracy.
    """

    axes: tuple[Axis, ...]
    accuracy: np.ndarray
    runs: np.ndarray
    chosen: np.ndarray
    filters: dict[str, Span]


def parallel_data(
    results: pd.DataFrame,
    *,
    columns: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
    filters: Mapping[str, Span] | None = None,
) -> Parallel:
    """From the results of a sweep: one axis for each varying setting, then for size, latency and accuracy.

    ``columns`` chooses others, at most eight. ``filters`` keeps the rows of which every given column lies in its span.
    Only runs whose figures are final.
    """
    rows, titles = final_rows(results), titles or {}
    fields = varying(results)
    if "threshold" in fields and rows["clip"].nunique() < 2:  # says "none" where nothing is clipped
        fields = [f for f in fields if f != "clip"]
    wanted = list(columns) or [*fields[: MOST - 3], "kept_bytes", "latency_ms", "accuracy"]
    wanted = [c for c in wanted if c in rows and rows[c].notna().any()][:MOST]
    axes = tuple(axis_of(rows, c, titles.get(c) or RESULTS.get(c) or _title(c)) for c in wanted) if len(rows) else ()
    spans = {c: span for c, span in (filters or {}).items() if c in rows}
    return Parallel(axes, rows["accuracy"].to_numpy(float), rows["run"].to_numpy(object), matching(rows, spans), spans)


def matching(table: pd.DataFrame, filters: Mapping[str, Span]) -> np.ndarray:
    """Which rows of ``table`` pass all filters."""
    chosen = np.ones(len(table), bool)
    for column, span in filters.items():
        if column in table:
            chosen &= span.holds(table[column])
    return chosen


def _title(column: str) -> str:
    words = {"target": "target sparsity", "prune": "criterion", "clip": "clipping", "threshold": "clip threshold"}
    return words.get(column, column.rpartition(".")[2].replace("_", " "))


def alt_parallel(data: Parallel) -> str:
    """The picture in words."""
    if not data.axes:
        return f"{TITLE}. No run has finished yet."
    names = ", ".join(axis.title for axis in data.axes)
    text = f"{TITLE}. {plural(len(data.runs), 'run')} over {names}"
    if not data.filters:
        return text + "."
    chosen = data.accuracy[data.chosen]
    best = f", the best with {percent(float(chosen.max()))}" if len(chosen) else ""
    return f"{text}; {len(chosen)} of them chosen{best}."


@drawing
def draw_parallel(data: Parallel, colours: Palette) -> Plain:
    """Lines from pale (low accuracy) to strong (high); what the filters leave out is thin and grey."""
    if not data.axes:
        return empty(
            TITLE, "The first finished run draws the first line.", x="setting or result", y="value", height=400
        )
    places = np.column_stack([axis.place for axis in data.axes])
    traces = []
    grey = _some(np.flatnonzero(~data.chosen), data, GREY)
    if len(grey):
        traces.append(
            {**_lines(places[grey], "left out"), "line": {"color": rgba(colours.baseline, 0.28), "width": 0.8}}
        )
    low, high = float(data.accuracy.min()), float(data.accuracy.max())
    shade = np.minimum((SHADES * (data.accuracy - low) / max(high - low, 1e-12)).astype(int), SHADES - 1)
    drawn = _some(np.flatnonzero(data.chosen), data, DRAWN)
    for s in range(SHADES):
        of_shade = drawn[shade[drawn] == s]
        if len(of_shade):
            a, b = (low + (high - low) * (s + k) / SHADES for k in (0, 1))
            line = {"color": rgba(colours.sequence[s + 1], 0.85 if len(drawn) < 100 else 0.6), "width": 1.1 + 0.15 * s}
            traces.append({**_lines(places[of_shade], f"accuracy {percent(a, 0)} to {percent(b, 0)}"), "line": line})
    layout = _axes(data, colours)
    return frame(
        traces, title=TITLE, subtitle=_subtitle(data, len(drawn)), x="setting or result", y="value",
        alt=alt_parallel(data), height=400, hovermode=False, showlegend=False, **layout,
    )  # fmt: skip


def _subtitle(data: Parallel, drawn: int) -> str:
    chosen = int(data.chosen.sum())
    text = plural(len(data.runs), "run") if not data.filters else f"{chosen} of {plural(len(data.runs), 'run')}"
    if drawn < chosen:
        text += f", {drawn} of them drawn"
    return f"{text}; the stronger a line, the more accurate. Drag along an axis to keep a part of it"


def _lines(places: np.ndarray, name: str) -> Plain:
    """Rows (n, axes) as one broken line: one path draws fast."""
    n, k = places.shape
    y = np.full((n, k + 1), np.nan, np.float32)
    y[:, :k] = places
    x = np.tile(np.arange(k + 1, dtype=np.uint8), n)
    x[k :: k + 1] = k - 1
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": x[:-1], "y": y.ravel()[:-1], "hoverinfo": "skip",
        "meta": {"table": False},
    }  # fmt: skip


def _some(rows: np.ndarray, data: Parallel, most: int) -> np.ndarray:
    """At most ``most`` rows, evenly by accuracy, the best and the worst among them, and few enough for one path."""
    most = min(most, 1000 // (len(data.axes) + 1))
    if len(rows) <= most:
        return rows
    order = rows[np.argsort(data.accuracy[rows], kind="stable")]
    return np.sort(order[np.unique(np.linspace(0, len(order) - 1, most).round().astype(int))])


def _axes(data: Parallel, colours: Palette) -> Plain:
    shapes: list[Plain] = []
    notes: list[Plain] = []
    last = len(data.axes) - 1
    for i, axis in enumerate(data.axes):
        shapes.append(
            {"type": "line", "name": "axis", "x0": i, "x1": i, "y0": 0, "y1": 1, "layer": "below",
             "line": {"color": colours.axis, "width": 1.5}}
        )  # fmt: skip
        if (span := data.filters.get(axis.column)) is not None:
            low, high = axis.places(span)
            shapes.append(
                {"type": "rect", "name": "kept", "x0": i, "x1": i, "xsizemode": "pixel", "xanchor": i, "y0": low,
                 "y1": high, "line": {"color": colours.pruning, "width": 2}, "fillcolor": rgba(colours.pruning, 0.2)}
            )  # fmt: skip
            shapes[-1] |= {"x0": -6, "x1": 6}
        notes.append(
            {"text": _two_lines(axis.title), "x": i, "y": 1, "showarrow": False, "yanchor": "bottom", "yshift": 10,
             "xanchor": "left" if i == 0 else "center", "xshift": -8 if i == 0 else 0,
             "align": "left" if i == 0 else "center", "font": {"size": 12, "color": colours.ink}}
        )  # fmt: skip
        for place, words in axis.ticks if len(axis.ticks) <= 16 else axis.ticks[:: len(axis.ticks) // 12]:
            notes.append(
                {"text": words, "x": i, "y": place, "showarrow": False, "xanchor": "left", "xshift": 7,
                 "font": {"size": 11, "color": colours.ink}, "bgcolor": rgba(colours.background, 0.85), "borderpad": 1}
            )  # fmt: skip
    return {
        "shapes": shapes,
        "annotations": notes,
        "xaxis": {"visible": False, "range": [-0.12, last + 0.5], "fixedrange": True},
        "yaxis": {"visible": False, "range": [-0.05, 1.17], "fixedrange": True},
    }  # fmt: skip


def _two_lines(title: str) -> str:
    head, _, tail = title.partition(" ")
    return f"{head}<br>{tail}" if tail and len(title) > 9 else title
