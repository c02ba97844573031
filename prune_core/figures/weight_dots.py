"""A matrix of weights as dots: the larger the weight, the larger the dot; what is removed is a small cross."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import percent, plural
from prune_core.probing import LayerTiles, layer_tiles

TITLE = "The matrix as dots: what is removed is a cross"
CHUNK = 1000  # points of a trace
LARGEST, SMALLEST = 11.0, 1.5  # px


@dataclass(frozen=True, eq=False)
class WeightDots:
    """Dots at ``column`` and ``row`` (units of weights), ``size`` in [0, 1] by area, ``kept`` the share left there."""

    tiles: LayerTiles
    row: np.ndarray
    column: np.ndarray
    size: np.ndarray
    kept: np.ndarray


def weight_dots_data(tiles: Any, weight: Any = None, mask: Any = None) -> WeightDots:
    """From ``layer_tiles`` of a matrix; or from its name, weight (out, in) and mask (True = kept)."""
    found = tiles if isinstance(tiles, LayerTiles) else layer_tiles(str(tiles), weight, mask)
    rows, columns = found.values.shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    size = np.abs(found.values.ravel())
    largest = float(size.max(initial=0)) or 1.0
    return WeightDots(found, row * found.cell[0], column * found.cell[1], size / largest, found.kept.ravel())


def alt_weight_dots(data: WeightDots) -> str:
    """The picture in words."""
    t = data.tiles
    shape = " × ".join(map(str, t.shape))
    text = f"{t.name}, {shape}, as dots: {percent(t.sparsity)} of the weights are removed"
    return text + (f"; {plural(t.empty, 'output')} have no weight left." if t.empty else ".")


@drawing
def draw_weight_dots(data: WeightDots, colours: Palette) -> Plain:
    """Area by size, grey where weights are kept, teal crosses where they are gone."""
    t = data.tiles
    single = t.cell == (1, 1)
    here = data.kept > 0
    traces = [
        *_traces(data, here, "kept", {"color": colours.mark, "symbol": "circle"}, single),
        *_traces(data, ~here, "removed", {"color": colours.pruning, "symbol": "x-thin", "size": 4.5,
                                          "line": {"color": colours.pruning, "width": 1.1}}, single),
    ]  # fmt: skip
    cell = "a dot is a weight" if single else f"a dot is a block of {t.cell[0]} × {t.cell[1]} weights"
    empty = f", {t.empty} of {plural(t.shape[0], 'output')} without any" if t.empty else ""
    rows = len(np.unique(data.row))
    return frame(
        traces, title=TITLE, subtitle=f"{t.name}: {percent(t.sparsity)} removed{empty}; {cell}",
        x="input (column)", y="output (row)", alt=alt_weight_dots(data), hovermode="closest",
        height=int(min(max(140 + 14 * rows, 240), 620)), showlegend=False,
        xaxis={"showgrid": False, "zeroline": False, "range": _span(data.column, t.cell[1])},
        yaxis={"showgrid": False, "zeroline": False, "range": _span(data.row, t.cell[0])[::-1]},
    )  # fmt: skip


def _traces(data: WeightDots, where: np.ndarray, name: str, marker: Plain, single: bool) -> list[Plain]:
    at = np.flatnonzero(where)
    found = []
    for part in range(0, len(at), CHUNK):
        i = at[part : part + CHUNK]
        look = dict(marker)
        if "size" not in look:  # the area says how large a weight is, and how much of a block is left
            look["size"] = np.maximum(LARGEST * np.sqrt(data.size[i] * data.kept[i]), SMALLEST).astype(np.float32)
            look["line"] = {"width": 0}
        if single:
            hover = f"output %{{y}}, input %{{x}}: {name}<extra></extra>"
        else:
            hover = "from output %{y}, input %{x} on: %{customdata} % kept<extra></extra>"
        trace: Plain = {"type": "scatter", "mode": "markers", "name": name, "x": data.column[i], "y": data.row[i],
                        "marker": look, "hovertemplate": hover}  # fmt: skip
        if not single:
            trace["customdata"] = np.rint(100 * data.kept[i]).astype(np.uint8)
        found.append(trace)
    return found


def _span(values: np.ndarray, cell: int) -> list[float]:
    return [-0.8 * cell, float(values.max(initial=0)) + 0.8 * cell]
