"""One layer's mask as a picture: which weights are left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import count, percent

SIDE = 96  # cells along the longer side


@dataclass(frozen=True)
class MaskPicture:
    """``kept`` (rows, columns): share of weights kept in each cell, in [0, 1]; a row is an output of the layer."""

    name: str
    kept: np.ndarray
    rows: np.ndarray  # first output of each cell
    columns: np.ndarray  # first input of each cell
    shape: tuple[int, ...]
    cell: tuple[int, int]  # weights a cell stands for, down and across
    sparsity: float


def mask_picture_data(name: str, mask: Any, side: int = SIDE) -> MaskPicture:
    """From a mask (out, ...) of bools or of kept shares, True or 1 = kept.

    Everything behind the first dimension is laid out in one row: inputs, and for each the kernel's positions. More than
    ``side`` cells either way are averaged in equal blocks, the last one shorter.
    """
    values = mask.detach().cpu().numpy() if hasattr(mask, "detach") else np.asarray(mask)
    shape = tuple(int(n) for n in values.shape)
    flat = values.reshape(shape[0], -1) if values.ndim > 1 else values.reshape(1, -1)
    down, across = (math.ceil(n / side) for n in flat.shape)
    kept = _blocks(_blocks(flat.astype(np.float32), down, 0), across, 1)
    rows, columns = np.arange(kept.shape[0]) * down, np.arange(kept.shape[1]) * across
    return MaskPicture(name, kept, rows, columns, shape, (down, across), 1 - float(flat.mean()) if flat.size else 0.0)


def mask_picture_shares(name: str, kept: np.ndarray, shape: tuple[int, ...]) -> MaskPicture:
    """From shares kept that are averaged already: (rows, columns) in [0, 1] over a weight of ``shape``."""
    outputs, inputs = shape[0], math.prod(shape[1:])
    rows = np.arange(kept.shape[0]) * outputs // kept.shape[0]
    columns = np.arange(kept.shape[1]) * inputs // kept.shape[1]
    cell = math.ceil(outputs / kept.shape[0]), math.ceil(inputs / kept.shape[1])
    return MaskPicture(name, kept, rows, columns, shape, cell, 1 - float(kept.mean()) if kept.size else 0.0)


def _blocks(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    if size == 1:
        return values
    starts = np.arange(0, values.shape[axis], size)
    sums = np.add.reduceat(values, starts, axis=axis)
    lengths = np.diff(np.append(starts, values.shape[axis])).astype(np.float32)
    return np.asarray(sums / (lengths[:, None] if axis == 0 else lengths[None, :]))


def alt_mask_picture(data: MaskPicture) -> str:
    """The picture in words."""
    gone = int((data.kept.max(axis=1) == 0).sum())
    shape = "×".join(map(str, data.shape))
    text = f"Mask of {data.name}, shape {shape}: {percent(data.sparsity)} of the weights removed"
    return text + (f"; {count(gone)} of {count(len(data.kept))} rows are empty." if gone else ".")


@drawing
def draw_mask_picture(data: MaskPicture, colours: Palette) -> Plain:
    """Dark where weights are kept, pale where they are gone."""
    stops = [[i / (len(colours.sequence) - 1), c] for i, c in enumerate(colours.sequence)]
    single = data.cell == (1, 1)
    cell = "one cell is one weight" if single else f"one cell is {data.cell[0]} × {data.cell[1]} weights"
    # whole per cents in one byte a cell: a quarter of what goes to the browser with each move of a slider
    percents = np.rint(100 * data.kept).astype(np.uint8)
    picture: Plain = {
        "type": "heatmap", "name": "kept", "z": percents, "x": data.columns, "y": data.rows, "zmin": 0, "zmax": 100,
        "colorscale": stops, "showscale": not single, "xgap": 0, "ygap": 0,
        "hovertemplate": "output %{y}, input %{x}: %{z} % kept<extra></extra>",
        "colorbar": {"title": {"text": "kept", "side": "top"}, "ticksuffix": "\u00a0%", "thickness": 10,
                     "outlinewidth": 0, "len": 0.9, "nticks": 3, "tickfont": {"size": 11, "color": colours.muted}},
    }  # fmt: skip
    return frame(
        [picture], title="The mask: which weights are left", x="input weight (column)", y="output (row)",
        subtitle=f"{data.name}, {' × '.join(map(str, data.shape))}: {percent(data.sparsity)} removed; {cell}",
        alt=alt_mask_picture(data), hovermode="closest", dragmode="zoom",
        xaxis={"constrain": "domain", "showline": False, "ticks": ""},
        yaxis={"autorange": "reversed", "showgrid": False},
    )  # fmt: skip
