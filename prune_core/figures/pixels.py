"""Weights as pixels: grey from the most negative to the most positive, what is removed in the colour of pruning."""

from __future__ import annotations

import numpy as np

from prune_core.figures.drawing import Plain
from prune_core.figures.palette import Palette

MARKED = 900  # removed cells up to which each carries a cross


def pixels(values: np.ndarray, kept: np.ndarray, colours: Palette) -> list[Plain]:
    """Two heat maps over each other from (rows, columns); nan is a gap. ``kept`` is 1 or 0 where there is a weight."""
    reach = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    gone = np.where(kept == 0, 1.0, np.nan)
    shades = (colours.grid, colours.baseline, colours.ink)
    common: Plain = {"type": "heatmap", "hoverongaps": False, "xgap": 1, "ygap": 1, "showscale": False}
    marks: Plain = {}
    if np.nansum(gone) <= MARKED:
        cross = [["×" if cell == 1 else "" for cell in row] for row in gone.tolist()]
        marks = {"text": cross, "texttemplate": "%{text}", "textfont": {"size": 10, "color": colours.background}}
    return [
        {**common, "name": "kept", "z": np.where(kept == 1, values, np.nan).astype(np.float32), "zmin": -reach,
         "zmax": reach, "colorscale": [[i / 2, c] for i, c in enumerate(shades)],
         "hovertemplate": "kept: %{z:.3g}<extra></extra>", "showscale": True,
         "colorbar": {"title": {"text": "weight", "side": "right"}, "thickness": 10, "outlinewidth": 0, "len": 0.9,
                      "nticks": 3, "tickfont": {"size": 11, "color": colours.muted}}},
        {**common, "name": "removed", "z": gone.astype(np.float32), "zmin": 0, "zmax": 1,
         "colorscale": [[0, colours.pruning], [1, colours.pruning]],
         "hovertemplate": "removed<extra></extra>", **marks},
    ]  # fmt: skip
