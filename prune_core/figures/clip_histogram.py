"""How large the gradient's entries are before and after clipping, in the same bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.figures.drawing import Plain, drawing, frame, threshold_line
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, number

TITLE = "Entries before and after: where clipping puts them"
DECADES, A_DECADE = 6, 12  # shown below the largest entry; what is smaller counts in the first bin


@dataclass(frozen=True)
class ClipHistogram:
    """Counts over log10 of the magnitude, (bins,), of ``total`` entries; zeros count in neither."""

    label: str
    middle: np.ndarray
    width: float
    before: np.ndarray
    after: np.ndarray
    zeros: tuple[int, int]
    total: int
    largest: tuple[float, float]
    threshold: float | None
    bounds: tuple[float, float]


def clip_histogram_data(
    before: Any,
    after: Any,
    label: str,
    threshold: float | None = None,
    bounds: tuple[float, float] | None = None,
) -> ClipHistogram:
    """From the entries (n,) before and after; ``threshold`` is that of clipping by value, within ``bounds``."""
    sizes = [np.abs(np.asarray(v, dtype=np.float32)) for v in (before, after)]
    largest = float(sizes[0].max(initial=0.0))
    top = math.ceil(4 * math.log10(largest)) / 4 if 0 < largest < math.inf else 0.0
    bins, width = DECADES * A_DECADE, 1 / A_DECADE
    low = top - DECADES
    counts, zeros = [], []
    for size in sizes:
        seen = size[size > 0]
        with np.errstate(divide="ignore"):
            place = ((np.log10(seen) - low) / width).astype(np.int64)
        counts.append(np.bincount(place.clip(0, bins - 1), minlength=bins))
        zeros.append(len(size) - len(seen))
    return ClipHistogram(
        label, low + width * (np.arange(bins) + 0.5), width, counts[0], counts[1], (zeros[0], zeros[1]), len(sizes[0]),
        (largest, float(sizes[1].max(initial=0.0))), threshold, bounds or (10**low, 10**top),
    )  # fmt: skip


def alt_clip_histogram(data: ClipHistogram) -> str:
    """The picture in words."""
    was, now = data.largest
    return (
        f"Histogram of the magnitude of {count(data.total)} gradient entries, log scales. Largest entry before "
        f"clipping {number(was)}, after {number(now)} ({data.label}). Exactly zero: {count(data.zeros[0])} before, "
        f"{count(data.zeros[1])} after."
    )


@drawing
def draw_clip_histogram(data: ClipHistogram, colours: Palette) -> Plain:
    """Before in grey, after in orange on top; the threshold of clipping by value as a line to take."""
    hover = "10<sup>%{x:.1f}</sup>: %{y:,} entries<extra>%{fullData.name}</extra>"
    bar: Plain = {"type": "bar", "x": data.middle, "width": data.width, "hovertemplate": hover}
    traces: list[Plain] = [
        {**bar, "name": "before", "y": data.before,
         "marker": {"color": rgba(colours.baseline, 0.55), "line": {"width": 0}}},
        {**bar, "name": "after clipping", "y": data.after,
         "marker": {"color": colours.clipping, "line": {"width": 0},
                    "pattern": {"shape": "\\", "size": 6, "solidity": 0.3, "fgcolor": colours.clipping,
                                "bgcolor": rgba(colours.clipping, 0.25), "fillmode": "replace"}}},
    ]  # fmt: skip
    drag, shapes = None, []
    if data.threshold is not None:
        shapes = [threshold_line("x", math.log10(data.threshold), colours.clipping)]
        drag = {"axis": "x", "value": data.threshold, "log10": True, "label": "α", "color": "clipping",
                "shade": "above", "min": data.bounds[0], "max": data.bounds[1]}  # fmt: skip
    low, high = data.middle[0] - data.width / 2, data.middle[-1] + data.width / 2
    ticks = list(range(math.ceil(low), math.floor(high) + 1))
    names = [f"10<sup>{t}</sup>".replace("-", "\u2212") for t in ticks]
    was, now = data.largest
    top = math.log10(max(int(data.before.max(initial=1)), int(data.after.max(initial=1)), 10))
    tens = range(math.ceil(top) + 1)
    return frame(
        traces, title=TITLE, subtitle=f"{data.label}: largest entry {number(was)} → {number(now)}",
        x="magnitude of the entry (log scale; first bin: all below)",
        y="entries per bin (log scale)", alt=alt_clip_histogram(data),
        drag=drag, shapes=shapes, barmode="overlay", bargap=0, hovermode="closest",
        xaxis={"range": [low, high + 0.05], "tickvals": ticks, "ticktext": names},
        yaxis={"type": "log", "range": [-0.3, top + 0.25], "tickvals": [10**t for t in tens],
               "ticktext": [count(10**t) for t in tens]},
    )  # fmt: skip
