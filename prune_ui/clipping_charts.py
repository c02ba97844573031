"""The charts of the Clipping page, all from one gradient and the places of the sliders."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from prune_core.clipping import cliff as descents
from prune_core.clipping.curves import Lane
from prune_core.data.cache import Cache
from prune_core.figures.cliff import cliff_data, draw_cliff
from prune_core.figures.cliff_loss import cliff_loss_data, draw_cliff_loss
from prune_core.figures.cliff_surface import cliff_surface_data, draw_cliff_surface
from prune_core.figures.clip_arrows import clip_arrows_data, draw_clip_arrows
from prune_core.figures.clip_curves import Measure, clip_curves_data, dash, draw_clip_curves
from prune_core.figures.clip_histogram import ClipHistogram, clip_histogram_data, draw_clip_histogram
from prune_core.figures.clip_layers import Shown, clip_layers_data, draw_clip_layers
from prune_core.figures.palette import palette
from prune_core.jobs import GradientReply
from prune_ui import theme
from prune_ui.chart import chart

CURVE, HIGH, TALL = 310, 390, 430  # px
MEASURES: tuple[Measure, ...] = ("norm_after", "changed", "cosine")
SVG_DASHES = {
    "solid": "0",
    "dash": "7 4",
    "dot": "2 3",
    "dashdot": "7 3 2 3",
    "longdash": "11 4",
    "longdashdot": "11 3 2 3",
}

_histograms: Cache[ClipHistogram] = Cache(256)


def curve(
    measure: Measure, lanes: Sequence[Lane], at: Mapping[str, int], lane: Lane, on_drag: Callable[[float], None]
) -> None:
    """One measure over the threshold, for every strategy."""
    figure = draw_clip_curves.plain(clip_curves_data(lanes, at, lane.name, measure))
    figure["layout"]["showlegend"] = False  # one legend stands above the three
    _show(measure, CURVE, figure, on_drag)


def legend(lanes: Sequence[Lane], lane: Lane) -> str:
    """The lines of the three curves, as html: colour, dash and name."""
    colours = palette(theme.current())
    parts = []
    for i, one in enumerate(lanes):
        if one.why:
            continue
        mine = one.name == lane.name
        colour = colours.clipping if mine else colours.classes[i % len(colours.classes)]
        drawn = f'stroke="{colour}" stroke-width="{4 if mine else 2}"'
        drawn += "" if mine else f' stroke-dasharray="{SVG_DASHES[dash(i)]}"'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="8"><path d="M0 4H30" {drawn}/></svg>'
        data = base64.b64encode(svg.encode()).decode()
        name = f"<b>{one.label}</b>" if mine else one.label
        parts.append(f'<span><img src="data:image/svg+xml;base64,{data}" alt="" width="30" height="8">{name}</span>')
    return f'<p class="lab-lines">{"".join(parts)}</p>'


def histogram(key: str, reply: GradientReply, lane: Lane, place: int, on_drag: Callable[[float], None]) -> None:
    """The entries before and after; the threshold as a line to take, where it limits entries."""
    threshold = float(lane.thresholds[place])

    def make() -> ClipHistogram:
        flat = reply.gradient.flat()
        lane.strategy.with_threshold(threshold).clip_flat_(flat, copy.deepcopy(lane.state), layers=False)
        by_value = lane.strategy.kind == "value"
        return clip_histogram_data(
            reply.gradient.values, np.asarray(flat.values), f"{lane.label} at {threshold:.3g}",
            threshold if by_value else None, (float(lane.thresholds[0]), float(lane.thresholds[-1])),
        )  # fmt: skip

    figure = draw_clip_histogram.plain(_histograms.get((key, lane.name, place), make))
    _show("histogram", HIGH, figure, on_drag)


def arrows(lanes: Sequence[Lane], at: Mapping[str, int], lane: Lane) -> None:
    """What turns, and what only shortens."""
    figure = draw_clip_arrows.plain(clip_arrows_data(lanes, at, lane.name))
    figure["layout"]["showlegend"] = False
    _show("arrows", HIGH, figure)


def layers(reply: GradientReply, at: Mapping[str, int], shown: Shown) -> None:
    """A row a layer, a column a strategy."""
    gradient = reply.gradient
    figure = draw_clip_layers.plain(clip_layers_data(reply.lanes, at, gradient.names, gradient.sizes, shown))
    _show("layers", int(figure["layout"]["height"]), figure)


def cliff(paths: Sequence[descents.Path]) -> None:
    """The surface from above, with the descents."""
    _show("cliff", TALL, draw_cliff.plain(cliff_data(paths)))


def cliff_surface(paths: Sequence[descents.Path]) -> None:
    """The surface in three dimensions, with the descents on it."""
    _show("cliff_surface", TALL, draw_cliff_surface.plain(cliff_surface_data(paths)))


def cliff_loss(paths: Sequence[descents.Path]) -> None:
    """The loss along them."""
    _show("cliff_loss", TALL, draw_cliff_loss.plain(cliff_loss_data(paths)))


def _show(name: str, height: int, figure: dict[str, Any], on_drag: Callable[[float], None] | None = None) -> None:
    meta = figure["layout"]["meta"]
    drag = {**meta["drag"], "live": True} if on_drag is not None and "drag" in meta else None
    chart(figure, key=f"clipping/{name}", height=height, alt=meta.get("alt", ""), drag=drag, on_drag=on_drag)
