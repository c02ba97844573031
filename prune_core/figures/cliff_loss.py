"""The loss along each descent on the cliff, update by update."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from prune_core.clipping.cliff import Path
from prune_core.figures.cliff import DASHES, LABELS
from prune_core.figures.drawing import Plain, drawing, empty, frame, log_axis
from prune_core.figures.palette import Palette
from prune_core.figures.words import number

TITLE = "Loss along each descent: who gets over the wall"
LOW = 1e-6


@dataclass(frozen=True)
class CliffLoss:
    """``losses`` of each way, (n + 1,), before the first update and after each."""

    losses: dict[str, np.ndarray]


def cliff_loss_data(paths: Iterable[Path]) -> CliffLoss:
    """From descents of ``prune_core.clipping.cliff``."""
    return CliffLoss({path.way: path.losses for path in paths})


def alt_cliff_loss(data: CliffLoss) -> str:
    """The picture in words."""
    ends = [
        f"{LABELS[way]} ends at {number(float(v[-1]))}, best {number(float(v.min()))}" for way, v in data.losses.items()
    ]
    return f"{TITLE}. {'; '.join(ends)}." if ends else f"{TITLE}. No descent yet."


@drawing
def draw_cliff_loss(data: CliffLoss, colours: Palette) -> Plain:
    """One line a way, on a log axis."""
    if not data.losses:
        return empty(TITLE, "No descent yet.", x="update", y="loss")
    traces: list[Plain] = [
        {"type": "scatter", "name": LABELS[way], "x": np.arange(len(v)), "y": np.maximum(v, LOW), "mode": "lines",
         "line": {"color": colours.ink if way == "none" else colours.clipping, "width": 2, "dash": DASHES[way]},
         "hovertemplate": "%{y:.3g}"}
        for way, v in data.losses.items()
    ]  # fmt: skip
    best = min(data.losses, key=lambda way: data.losses[way][-1])
    return frame(
        traces, title=TITLE, subtitle=f"Lowest in the end: {LABELS[best]}, {number(float(data.losses[best][-1]))}",
        x="update", y="loss (log scale)", alt=alt_cliff_loss(data), height=420, xaxis={"rangemode": "tozero"},
        yaxis=log_axis(-6, 0),
    )  # fmt: skip
