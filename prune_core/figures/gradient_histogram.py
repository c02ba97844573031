"""How large the gradient's entries are, over ten decades, and where a clip threshold cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from prune_core.events import GRADIENT_DECADES, LayerSnapshot
from prune_core.figures.drawing import Plain, drawing, frame, threshold_line
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, number, percent


@dataclass(frozen=True)
class GradientHistogram:
    """Counts over log10 of the magnitude, split at ``threshold`` (a magnitude; None without one)."""

    name: str
    middle: np.ndarray
    width: float
    below: np.ndarray
    above: np.ndarray
    zero: int
    threshold: float | None

    @property
    def share_above(self) -> float:
        """Share of all entries, zeros included, above the threshold."""
        total = float(self.below.sum() + self.above.sum()) + self.zero
        return float(self.above.sum()) / total if total else 0.0


def gradient_histogram_data(layer: LayerSnapshot, threshold: float | None = None) -> GradientHistogram:
    """From one layer of a snapshot; ``threshold`` is that of clipping by value.

    A bin that the threshold cuts is shared out by length on the logarithmic axis.
    """
    counts = np.asarray(layer.gradients, dtype=float)
    low, high = GRADIENT_DECADES
    width = (high - low) / len(counts)
    left = low + width * np.arange(len(counts))
    at = math.inf if threshold is None else math.log10(threshold)
    above = counts * np.clip((left + width - at) / width, 0, 1)
    middle = left + width / 2
    return GradientHistogram(layer.name, middle, width, counts - above, above, layer.zero_gradients, threshold)


def alt_gradient_histogram(data: GradientHistogram) -> str:
    """The picture in words."""
    total = count(float(data.below.sum() + data.above.sum()))
    text = f"Histogram of the magnitude of {total} gradient entries of {data.name}, on a logarithmic axis"
    if data.threshold is not None:
        text += f"; {percent(data.share_above)} are above the clip threshold of {number(data.threshold)}"
    return text + f". {count(data.zero)} entries are exactly zero."


@drawing
def draw_gradient_histogram(data: GradientHistogram, colours: Palette) -> Plain:
    """Entries below the threshold in grey, those that are clipped hatched in orange."""
    hover = "10<sup>%{x:.1f}</sup>: %{y:,.0f}"
    traces: list[Plain] = [
        {"type": "bar", "name": "left as it is", "x": data.middle, "y": data.below, "width": data.width,
         "hovertemplate": hover, "marker": {"color": colours.baseline, "line": {"width": 0}}},
    ]  # fmt: skip
    shapes: list[Plain] = []
    drag = None
    subtitle = f"{data.name}: magnitude of each entry"
    if data.threshold is not None:
        traces.append(
            {"type": "bar", "name": "clipped", "x": data.middle, "y": data.above, "width": data.width,
             "hovertemplate": hover,
             "marker": {"color": colours.clipping, "line": {"width": 0},
                        "pattern": {"shape": "\\", "size": 6, "solidity": 0.3, "fgcolor": colours.clipping,
                                    "bgcolor": rgba(colours.clipping, 0.2), "fillmode": "replace"}}}
        )  # fmt: skip
        shapes = [threshold_line("x", math.log10(data.threshold), colours.clipping)]
        drag = {"axis": "x", "value": data.threshold, "log10": True, "label": "threshold", "color": "clipping",
                "shade": "above", "min": 10 ** GRADIENT_DECADES[0], "max": 10 ** GRADIENT_DECADES[1]}  # fmt: skip
        subtitle += f"; {percent(data.share_above)} are above {number(data.threshold)}"
    low, high = (int(v) for v in GRADIENT_DECADES)
    ticks = list(range(low, high + 1, 2))
    names = [f"10<sup>{t}</sup>".replace("-", "\u2212") for t in ticks]
    return frame(
        traces, title="Gradient entries: how large they are", subtitle=subtitle, alt=alt_gradient_histogram(data),
        x="magnitude of the entry (log scale)", y="entries per bin", drag=drag, shapes=shapes, barmode="stack",
        xaxis={"range": [low, high], "tickvals": ticks, "ticktext": names},
        yaxis={"rangemode": "tozero", "separatethousands": True},
    )  # fmt: skip
