"""A pattern N of M as tiles: in every group of M neighbours at least N stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette
from prune_core.figures.pixels import pixels
from prune_core.figures.words import percent, plural
from prune_core.probing import LayerTiles

TITLE = "Groups of neighbours as tiles: what is removed is teal"


@dataclass(frozen=True, eq=False)
class NOfMTiles:
    """``values`` and ``kept`` (rows, columns) of the sheet, nan between groups of ``m``; ``least`` and ``most`` are how
    many weights the groups shown have left."""

    tiles: LayerTiles
    values: np.ndarray
    kept: np.ndarray
    m: int
    groups: tuple[int, int]
    least: int
    most: int


def n_of_m_tiles_data(tiles: Any) -> NOfMTiles:
    """From ``layer_tiles`` with a granularity ``NofM``: (rows, groups, m)."""
    rows, groups, m = tiles.values.shape
    sheets = []
    for tensor in (tiles.values, tiles.kept):
        sheet = np.full((rows, groups, m + 1), np.nan, np.float32)
        sheet[:, :, :m] = tensor
        sheets.append(sheet.reshape(rows, -1)[:, :-1])
    left = tiles.kept.sum(-1)
    values, kept = sheets
    return NOfMTiles(tiles, values, kept, m, (rows, groups), int(left.min(initial=m)), int(left.max(initial=0)))


def alt_n_of_m_tiles(data: NOfMTiles) -> str:
    """The picture in words."""
    rows, groups = data.groups
    text = f"{data.tiles.name} in groups of {data.m} neighbouring inputs, {plural(rows, 'row')} of {groups}"
    return f"{text}: {_left(data)}."


@drawing
def draw_n_of_m_tiles(data: NOfMTiles, colours: Palette) -> Plain:
    """A row an output, a tile a group: grey by value where weights are kept, teal where they are gone."""
    rows, groups = data.groups
    step = data.m + 1
    return frame(
        pixels(data.values, data.kept, colours), title=TITLE,
        subtitle=f"{data.tiles.name}: {percent(data.tiles.sparsity)} removed; {_left(data)}",
        x=f"group of {data.m} neighbouring inputs", y="output (row)", alt=alt_n_of_m_tiles(data), hovermode="closest",
        showlegend=False, height=int(min(max(130 + 20 * rows, 240), 700)),
        xaxis={"constrain": "domain", "showline": False, "ticks": "", "showgrid": False, "zeroline": False,
               "tickvals": [g * step + (data.m - 1) / 2 for g in range(groups)],
               "ticktext": [str(g) for g in range(groups)]},
        yaxis={"range": [rows - 0.4, -0.6], "showgrid": False, "zeroline": False},
    )  # fmt: skip


def _left(data: NOfMTiles) -> str:
    if data.least == data.most:
        return f"exactly {data.least} of every {data.m} are left in the groups shown"
    return f"{data.least} to {data.most} of every {data.m} are left in the groups shown"
