"""What each strategy does to each layer: a row a layer, a column a strategy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from prune_core.clipping.curves import Lane
from prune_core.clipping.report import COLUMNS
from prune_core.figures.clip_arrows import angle
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import number, percent

Shown = Literal["changed", "turned", "left"]
TITLES: dict[Shown, str] = {
    "changed": "Layer by layer: share of entries changed",
    "turned": "Layer by layer: how far each is turned",
    "left": "Layer by layer: share of the length left",
}
LIMIT, WORDS = 48, 24  # layers shown, and up to which every cell says its number
ROW, HEAD = 26, 170  # px of a row, and of title and axis


@dataclass(frozen=True)
class ClipLayers:
    """``values`` (layers, strategies): shares in [0, 1], or degrees; ``details`` says a cell in words."""

    shown: Shown
    layers: tuple[str, ...]
    strategies: tuple[str, ...]
    values: np.ndarray
    details: list[list[str]]
    of: int


def clip_layers_data(
    lanes: Iterable[Lane], at: Mapping[str, int], names: Iterable[str], sizes: Iterable[int], shown: Shown
) -> ClipLayers:
    """From lanes, where each slider stands, and the layers' names and numbers of entries; the largest are shown."""
    there = [lane for lane in lanes if not lane.why]
    layers, entries = list(names), np.array(list(sizes))
    keep = np.sort(np.argsort(-entries, kind="stable")[:LIMIT])
    rows = (
        np.stack([lane.rows[at[lane.name], :-1] for lane in there], axis=1) if there else np.empty((len(layers), 0, 4))
    )
    before, after, changed, cosine = (rows[keep][..., i] for i in range(len(COLUMNS)))
    turned = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    left = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    values = {"changed": changed, "turned": turned, "left": left}[shown]
    details = [
        [
            f"{layers[k]}, {lane.label} at {number(float(lane.thresholds[at[lane.name]]))}<br>"
            f"{percent(float(changed[i, j]))} of entries changed, turned by {angle(float(cosine[i, j])):.1f}°,<br>"
            f"length {number(float(before[i, j]))} → {number(float(after[i, j]))}"
            for j, lane in enumerate(there)
        ]
        for i, k in enumerate(keep)
    ]
    return ClipLayers(
        shown, tuple(layers[k] for k in keep), tuple(lane.label for lane in there), values, details, len(layers)
    )


def alt_clip_layers(data: ClipLayers) -> str:
    """The picture in words."""
    if not data.values.size:
        return f"{TITLES[data.shown]}. Nothing to show."
    i, j = np.unravel_index(int(np.nanargmax(data.values)), data.values.shape)
    return f"{TITLES[data.shown]}. Highest: {_word(data, i, j)} in {data.layers[i]}, {data.strategies[j]}."


@drawing
def draw_clip_layers(data: ClipLayers, colours: Palette) -> Plain:
    """A heat map: the stronger, the more of the layer is changed, turned, or left."""
    if not data.values.size:
        return empty(TITLES[data.shown], "No strategy has a curve for this gradient.", x="strategy", y="layer")
    few = len(data.layers) <= WORDS
    top = 90.0 if data.shown == "turned" else 1.0
    picture: Plain = {
        "type": "heatmap", "name": data.shown, "z": data.values, "x": list(data.strategies), "y": list(data.layers),
        "zmin": 0, "zmax": top, "xgap": 2, "ygap": 2, "hoverongaps": False, "customdata": data.details,
        "colorscale": [[0, rgba(colours.clipping, 0.04)], [1, rgba(colours.clipping, 0.6)]], "showscale": not few,
        "hovertemplate": "%{customdata}<extra></extra>",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "len": 1, "nticks": 4,
                     "tickfont": {"size": 11, "color": colours.muted}},
    }  # fmt: skip
    if few:
        (rows, columns), scale = data.values.shape, 1 if data.shown == "turned" else 100
        picture |= {"text": [[f"{scale * data.values[i, j]:.0f}" for j in range(columns)] for i in range(rows)],
                    "texttemplate": "%{text}", "textfont": {"size": 11.5, "color": colours.ink}}  # fmt: skip
    subtitle = f"In {'degrees' if data.shown == 'turned' else 'per cent'}, every strategy at its own threshold"
    if len(data.layers) < data.of:
        subtitle += f"; the {len(data.layers)} largest of {data.of} layers"
    return frame(
        [picture], title=TITLES[data.shown], subtitle=subtitle, x="strategy", y="layer", alt=alt_clip_layers(data),
        height=HEAD + (ROW if few else 18) * max(len(data.layers), 2), hovermode="closest",
        xaxis={"type": "category", "showline": False, "ticks": "", "fixedrange": True, "tickangle": -35,
               "nticks": len(data.strategies)},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "nticks": len(data.layers),
               "tickfont": {"size": 12.5 if few else 10.5, "color": colours.ink}},
    )  # fmt: skip


def _word(data: ClipLayers, i: int | np.intp, j: int | np.intp, digits: int = 1) -> str:
    value = float(data.values[i, j])
    return f"{value:.{digits}f}°" if data.shown == "turned" else percent(value, digits)
