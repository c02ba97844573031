"""How much clipping changes: the share of entries, and how far the gradient turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.marks import Mark, mark_layout, mark_words, marks_of
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.source import of_run
from prune_core.figures.thinning import keep
from prune_core.figures.words import number, percent

TITLE = "Share of the gradient that clipping changes, and whether it turns"


@dataclass(frozen=True)
class ClippedShare:
    """``clipped`` is the share of gradient entries changed, in [0, 1]; ``cosine`` 1 where the direction is kept."""

    step: np.ndarray
    clipped: np.ndarray
    cosine: np.ndarray
    clipped_smooth: np.ndarray  # exponentially weighted means over a fiftieth of the run
    cosine_smooth: np.ndarray
    marks: tuple[Mark, ...]
    steps: int | None


@of_run
def clipped_share_data(history: pd.DataFrame, marks: Any = None, steps: int | None = None) -> ClippedShare:
    """From a run's history (step, clipped, cosine)."""
    clipped, cosine = history["clipped"].to_numpy(float), history["cosine"].to_numpy(float)
    at = keep([clipped, cosine], limit=400) if len(clipped) else np.arange(0)
    calm = history[["clipped", "cosine"]].ewm(span=max(5, len(clipped) // 50)).mean().to_numpy(float)[at]
    step = history["step"].to_numpy()[at]
    return ClippedShare(step, clipped[at], cosine[at], calm[:, 0], calm[:, 1], marks_of(marks), steps)


def alt_clipped_share(data: ClippedShare) -> str:
    """The picture in words."""
    if not len(data.step):
        return f"{TITLE}. Nothing to show yet."
    return (
        f"At step {data.step[-1]} clipping changes {percent(data.clipped[-1])} of the gradient's entries; the cosine "
        f"between the gradient before and after is {number(data.cosine[-1])}.{mark_words(data.marks)}"
    )


@drawing
def draw_clipped_share(data: ClippedShare, colours: Palette) -> Plain:
    """The share above, the cosine below, one x axis."""
    if not len(data.step):
        return empty(TITLE, "The first step draws the first point.", x="step", y="entries changed")
    low = float(np.nanmin(data.cosine, initial=1.0))
    pale, ink = {"color": rgba(colours.clipping, 0.3), "width": 1}, {"color": colours.clipping, "width": 2.2}
    step = {"type": "scatter", "x": data.step}
    traces: list[Plain] = [
        {**step, "name": "each step", "y": data.clipped, "line": pale, "hovertemplate": "%{y:.1%}"},
        {**step, "name": "entries changed, smoothed", "y": data.clipped_smooth, "line": ink, "hoverinfo": "skip"},
        {**step, "name": "each step, cosine", "y": data.cosine, "yaxis": "y2", "line": pale,
         "hovertemplate": "%{y:.4f}"},
        {**step, "name": "cosine, smoothed", "y": data.cosine_smooth, "yaxis": "y2", "line": ink, "hoverinfo": "skip"},
    ]  # fmt: skip
    xaxis: Plain = {"anchor": "y2", "range": [0, data.steps or max(10, int(data.step[-1]))]}
    return frame(
        traces, title=TITLE, x="step", y="entries changed", alt=alt_clipped_share(data), xaxis=xaxis,
        showlegend=False,
        subtitle=f"Now {percent(data.clipped[-1])} of the entries; cosine {data.cosine[-1]:.3f} (1: same direction)",
        yaxis={"domain": [0.56, 1], "tickformat": ".0%", "range": [0, 1.04], "nticks": 4},
        yaxis2={"title": {"text": "cosine"}, "domain": [0, 0.44], "nticks": 4,
                "range": [min(0.9, low - 0.05) if low < 0.97 else 0.9, 1.005]},
        **mark_layout(data.marks, colours, data.steps),
    )  # fmt: skip
