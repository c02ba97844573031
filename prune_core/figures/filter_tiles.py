"""Filters of a convolution as small images, with the weights that are removed marked in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette
from prune_core.figures.pixels import pixels
from prune_core.figures.words import count, percent, plural
from prune_core.probing import LayerTiles, layer_tiles

TITLE = "Filters as images: what is removed is teal"
ACROSS = 16  # kernels side by side
CELL = 11  # px of a weight


@dataclass(frozen=True, eq=False)
class FilterTiles:
    """``values`` and ``kept`` are (rows, columns) of the whole sheet, nan between kernels.

    ``strips`` filters stand side by side, each with ``inputs`` kernels of ``kernel`` (height, width); ``outputs`` are
    shown. ``empty`` counts filters of the whole layer without any weight.
    """

    tiles: LayerTiles
    values: np.ndarray
    kept: np.ndarray
    outputs: int
    inputs: int
    strips: int
    kernel: tuple[int, int]


def filter_tiles_data(tiles: Any, weight: Any = None, mask: Any = None) -> FilterTiles:
    """From ``layer_tiles`` of a convolution; or from its name, weight (out, in, h, w) and mask (True = kept)."""
    found = tiles if isinstance(tiles, LayerTiles) else layer_tiles(str(tiles), weight, mask)
    outputs, inputs, height, width = found.values.shape
    strips = _strips(outputs, inputs)
    rows = math.ceil(outputs / strips)
    sheets = []
    for tensor in (found.values, found.kept):
        sheet = np.full((rows * (height + 1) - 1, strips * inputs * (width + 1) - 1), np.nan, np.float32)
        for o in range(outputs):
            for i in range(inputs):
                top, left = (o // strips) * (height + 1), ((o % strips) * inputs + i) * (width + 1)
                sheet[top : top + height, left : left + width] = tensor[o, i]
        sheets.append(sheet)
    values, kept = sheets
    return FilterTiles(found, values, kept, outputs, inputs, strips, (height, width))


def _strips(outputs: int, inputs: int) -> int:
    """Filters side by side: a sheet some 2.5 times as wide as high, its last row full where that can be."""
    most = max(1, min(ACROSS // inputs, outputs))
    best = min(max(math.sqrt(2.5 * outputs / inputs), 1.0), most)
    return min(range(1, most + 1), key=lambda n: abs(math.log(n / best)) + (0.5 if outputs % n else 0.0))


def alt_filter_tiles(data: FilterTiles) -> str:
    """The picture in words."""
    t = data.tiles
    return (
        f"Filters of {t.name}, {plural(t.shape[0], 'filter')} of {plural(t.shape[1], 'kernel')}: "
        f"{percent(t.sparsity)} of its weights are removed, {plural(t.empty, 'filter')} entirely; "
        f"the picture shows {data.outputs} filters with {plural(data.inputs, 'kernel')} each."
    )


@drawing
def draw_filter_tiles(data: FilterTiles, colours: Palette) -> Plain:
    """A sheet of kernels: grey by value where weights are kept, teal where they are gone."""
    height, width = data.kernel
    rows, columns = data.values.shape
    first = np.arange(0, data.outputs, data.strips)
    names = [str(a) if data.strips == 1 else f"{a}–{min(a + data.strips, data.outputs) - 1}" for a in first.tolist()]
    wrapped = data.strips > 1
    at = [i * (width + 1) + (width - 1) / 2 for i in range(data.inputs)] if not wrapped else []
    return frame(
        pixels(data.values, data.kept, colours), title=TITLE, subtitle=_subtitle(data),
        x="filters side by side, each with its kernels" if wrapped else "kernel (input channel)",
        y="filters" if wrapped else "filter (output)", alt=alt_filter_tiles(data), hovermode="closest",
        height=int(min(max(130 + (CELL if rows > 24 else 2 * CELL) * rows, 240), 900)), showlegend=False,
        xaxis={"constrain": "domain", "showline": False, "ticks": "", "showgrid": False, "zeroline": False,
               "range": [-0.7, columns - 0.3], "tickvals": at, "ticktext": [str(i) for i in range(len(at))]},
        yaxis={"range": [rows - 0.3, -0.7], "showgrid": False, "zeroline": False, "scaleanchor": "x",
               "constrain": "domain", "tickvals": [k * (height + 1) + (height - 1) / 2 for k in range(len(names))],
               "ticktext": names},
    )  # fmt: skip


def _subtitle(data: FilterTiles) -> str:
    t = data.tiles
    text = f"{t.name}: {percent(t.sparsity)} removed"
    text += f", {t.empty} of {plural(t.shape[0], 'filter')} entirely" if t.empty else ", every filter has weights left"
    if (data.outputs, data.inputs) != t.shape[:2]:
        text += f"; the first {count(data.outputs)} with their first {plural(data.inputs, 'kernel')}"
    return text
