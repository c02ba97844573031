"""Where the weights lie, what pruning took, and the threshold between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prune_core.events import LayerSnapshot
from prune_core.figures.drawing import Plain, drawing, frame, threshold_line
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, number, percent


@dataclass(frozen=True)
class WeightHistogram:
    """Counts in equal bins over ``edges``; ``removed`` lies at the values of ``LayerSnapshot.removed``."""

    name: str
    middle: np.ndarray
    width: float
    kept: np.ndarray
    removed: np.ndarray
    edges: tuple[float, float]
    threshold: float | None

    @property
    def sparsity(self) -> float:
        """Share removed, in [0, 1]."""
        total = float(self.kept.sum() + self.removed.sum())
        return float(self.removed.sum()) / total if total else 0.0


def weight_histogram_data(layer: LayerSnapshot) -> WeightHistogram:
    """From one layer of a snapshot."""
    middle, width = _bins(layer.edges, len(layer.weights))
    return WeightHistogram(
        layer.name, middle, width, np.asarray(layer.weights), np.asarray(layer.removed), layer.edges, layer.threshold
    )


def weight_histogram_counts(
    name: str, edges: tuple[float, float], kept: np.ndarray, removed: np.ndarray, threshold: float | None
) -> WeightHistogram:
    """From counts of kept and of removed weights in equal bins over ``edges``."""
    middle, width = _bins(edges, len(kept))
    return WeightHistogram(name, middle, width, np.asarray(kept), np.asarray(removed), edges, threshold)


def weight_histogram_split(
    name: str, edges: tuple[float, float], counts: np.ndarray | Sequence[float], threshold: float
) -> WeightHistogram:
    """From one histogram of all weights, as if everything below ``threshold`` in magnitude were removed.

    A bin that the threshold cuts is shared out by length, so that the picture follows a slider smoothly.
    """
    values = np.asarray(counts, dtype=float)
    middle, width = _bins(edges, len(values))
    low, high = middle - width / 2, middle + width / 2
    inside = np.clip(np.minimum(high, threshold) - np.maximum(low, -threshold), 0, None) / width
    removed = values * inside
    return WeightHistogram(name, middle, width, values - removed, removed, edges, threshold)


def _bins(edges: tuple[float, float], n: int) -> tuple[np.ndarray, float]:
    width = (edges[1] - edges[0]) / n
    return edges[0] + width * (np.arange(n) + 0.5), width


def alt_weight_histogram(data: WeightHistogram) -> str:
    """The picture in words."""
    text = f"Histogram of {count(float(data.kept.sum() + data.removed.sum()))} weights of {data.name}, from "
    text += f"{number(data.edges[0])} to {number(data.edges[1])}; {percent(data.sparsity)} are removed"
    return text + (f", those below {number(data.threshold)} in magnitude." if data.threshold is not None else ".")


@drawing
def draw_weight_histogram(data: WeightHistogram, colours: Palette, log: bool = False) -> Plain:
    """Kept weights in grey, the removed mass hatched in teal, the threshold on both sides of zero.

    ``log`` puts the counts on a logarithmic axis: then the tails show, and areas no longer compare.
    """
    hover = "%{x:.3g}: %{y:,.0f}"
    traces: list[Plain] = [
        {"type": "bar", "name": "removed", "x": data.middle, "y": data.removed, "width": data.width,
         "hovertemplate": hover,
         "marker": {"color": rgba(colours.pruning, 0.28), "line": {"width": 0},
                    "pattern": {"shape": "/", "size": 6, "solidity": 0.28, "fgcolor": colours.pruning,
                                "bgcolor": rgba(colours.pruning, 0.16), "fillmode": "replace"}}},
        {"type": "bar", "name": "kept", "x": data.middle, "y": data.kept, "width": data.width,
         "hovertemplate": hover, "marker": {"color": colours.baseline, "line": {"width": 0}}},
    ]  # fmt: skip
    shapes: list[Plain] = []
    drag = None
    gone = f"{percent(data.sparsity)} removed" if data.removed.any() else "nothing removed yet"
    subtitle = f"{data.name}: {gone}"
    if data.threshold is not None:
        shapes = [threshold_line("x", side * data.threshold, colours.pruning) for side in (-1, 1)]
        drag = {"axis": "x", "value": data.threshold, "min": 0.0, "max": max(map(abs, data.edges)), "mirror": True,
                "label": "threshold", "color": "pruning", "shade": "between"}  # fmt: skip
        if data.removed.any():
            subtitle += f", those below {number(data.threshold)} in magnitude"
    yaxis: Plain = {"rangemode": "tozero", "separatethousands": True, "exponentformat": "none"}
    if log:
        yaxis = {"type": "log", "separatethousands": True, "dtick": 1}
    every = data.kept + data.removed
    beyond = max(every[0] - every[1], every[-1] - every[-2]) > 0.02 * every.max(initial=1)
    return frame(
        traces, title="Weights: what stays and what pruning takes", subtitle=subtitle,
        x="weight (the outermost bars hold all beyond)" if beyond else "weight",
        y="weights per bin (log scale)" if log else "weights per bin", alt=alt_weight_histogram(data), drag=drag,
        shapes=shapes, barmode="stack", xaxis={"range": list(data.edges)}, yaxis=yaxis, hovermode="x unified",
    )  # fmt: skip
