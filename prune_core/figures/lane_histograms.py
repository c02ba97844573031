"""One lane of a race: where its weights lie and how large its gradient's entries are, on axes that lanes share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prune_core.events import GRADIENT_DECADES, LayerSnapshot
from prune_core.figures.drawing import Plain, drawing, frame, threshold_line
from prune_core.figures.gradient_histogram import GradientHistogram, alt_gradient_histogram, gradient_histogram_data
from prune_core.figures.palette import Idea, Palette, rgba
from prune_core.figures.weight_histogram import WeightHistogram, alt_weight_histogram, weight_histogram_data
from prune_core.figures.words import count, percent

HEIGHT = 340


@dataclass(frozen=True)
class LaneHistograms:
    """Both histograms of one layer in one lane; ``tops`` end the axes of counts, ``span`` the axis of weights."""

    lane: Idea
    step: int
    weights: WeightHistogram
    gradients: GradientHistogram
    span: tuple[float, float]
    tops: tuple[float, float]


def lane_histograms_data(
    lane: Idea,
    layer: LayerSnapshot,
    step: int = 0,
    threshold: float | None = None,
    beside: Sequence[LayerSnapshot] = (),
) -> LaneHistograms:
    """From one layer of a lane's snapshot; ``threshold`` is that of clipping by value.

    ``beside`` holds the same layer of the other lanes: the axes reach as far as any of them needs.
    """
    every = [layer, *beside]
    tops = (
        _round_up(max(float((one.weights + one.removed).max()) for one in every)),
        _round_up(max(float(one.gradients.max()) for one in every)),
    )
    span = (min(one.edges[0] for one in every), max(one.edges[1] for one in every))
    gradients = gradient_histogram_data(layer, threshold)
    return LaneHistograms(lane, step, weight_histogram_data(layer), gradients, span, tops)


def alt_lane_histograms(data: LaneHistograms) -> str:
    """The picture in words."""
    return f"Lane {data.lane}, step {data.step}. {alt_weight_histogram(data.weights)} " + alt_gradient_histogram(
        data.gradients
    )


@drawing
def draw_lane_histograms(data: LaneHistograms, colours: Palette) -> Plain:
    """Weights above, gradient entries below; removed ones hatched in teal, clipped ones in orange."""
    w, g = data.weights, data.gradients
    hover = "%{x:.3g}: %{y:,.0f}"
    size = "10<sup>%{x:.1f}</sup>: %{y:,.0f}"
    grey = {"color": colours.baseline, "line": {"width": 0}}

    def hatched(ink: str, shape: str) -> Plain:
        pattern = {"shape": shape, "size": 5, "solidity": 0.3, "fgcolor": ink, "bgcolor": rgba(ink, 0.18),
                   "fillmode": "replace"}  # fmt: skip
        return {"color": rgba(ink, 0.28), "line": {"width": 0}, "pattern": pattern}

    below: Plain = {"xaxis": "x2", "yaxis": "y2"}
    traces: list[Plain] = [
        {"type": "bar", "name": "removed", "x": w.middle, "y": w.removed, "width": w.width, "hovertemplate": hover,
         "marker": hatched(colours.pruning, "/")},
        {"type": "bar", "name": "kept", "x": w.middle, "y": w.kept, "width": w.width, "hovertemplate": hover,
         "marker": grey},
        {"type": "bar", "name": "as it is", "x": g.middle, "y": g.below, "width": g.width, "hovertemplate": size,
         "marker": grey, **below},
        {"type": "bar", "name": "clipped", "x": g.middle, "y": g.above, "width": g.width, "hovertemplate": size,
         "marker": hatched(colours.clipping, "\\"), **below},
    ]  # fmt: skip
    shapes: list[Plain] = []
    if g.threshold is not None:
        line = threshold_line("x", math.log10(g.threshold), colours.clipping, across="y2 domain")
        shapes.append({**line, "name": "clip threshold", "xref": "x2"})
    low, high = (int(v) for v in GRADIENT_DECADES)
    ticks = list(range(low, high + 1, 4))
    names = [f"10<sup>{t}</sup>".replace("-", "\u2212") for t in ticks]
    gone = f"{count(float(w.removed.sum()))} removed" if w.removed.any() else "0 removed"
    cut = f", {percent(g.share_above)} clipped" if g.threshold is not None else ""
    return frame(
        traces, title=f"{data.lane.capitalize()}, in detail", subtitle=f"{gone}{cut}",
        x="weight", y="weights per bin", alt=alt_lane_histograms(data), height=HEIGHT, shapes=shapes, barmode="stack",
        showlegend=False, margin={"l": 44, "r": 8},
        xaxis={"range": list(data.span), "anchor": "y", "nticks": 4, "title": {"text": "weight", "standoff": 2}},
        yaxis={"range": [0, data.tops[0]], "domain": [0.6, 1], "nticks": 3, "tickformat": "~s",
               "title": {"text": "weights"}},
        xaxis2={"range": [low, high], "anchor": "y2", "tickvals": ticks, "ticktext": names,
                "title": {"text": "|gradient| (log scale)", "standoff": 2}},
        yaxis2={"range": [0, data.tops[1]], "domain": [0, 0.36], "nticks": 3, "tickformat": "~s",
                "title": {"text": "entries"}},
    )  # fmt: skip


def _round_up(value: float) -> float:
    """The next 1, 1.5, 2, 3, 5 or 7 in its decade: an axis that follows moves seldom."""
    if value <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(value))
    return next(m * decade for m in (1, 1.5, 2, 3, 5, 7, 10) if m * decade >= value)
