"""Which layer bears pruning: accuracy with one layer alone pruned, a row a layer, a column a sparsity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import count, percent

TITLE = "Which layers bear pruning: accuracy with one layer pruned alone"
LIMIT = 64  # layers shown: the largest, in their order
ROW, HEAD = 26, 150  # px of a row, and of title, axis and colour bar
WORDS = 24  # layers up to which every cell says its number


@dataclass(frozen=True)
class LayerSensitivity:
    """``accuracy``, ``low`` and ``high`` (its 95 % interval) are (layers, sparsities), nan where not measured yet.

    ``removed`` counts weights, ``weights`` those of each layer; ``dense`` is the accuracy of the model as it is, from
    ``n`` of ``total`` test examples.
    """

    layers: tuple[str, ...]
    sparsities: tuple[float, ...]
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    removed: np.ndarray
    weights: np.ndarray
    dense: float | None
    n: int | None
    total: int | None


def layer_sensitivity_data(
    cells: Any,
    layers: Any = (),
    sparsities: Any = (),
    *,
    dense: float | None = None,
    n: int | None = None,
    total: int | None = None,
) -> LayerSensitivity:
    """From the table of a scan, or records like its rows; ``layers`` and ``sparsities`` name all that will come."""
    rows = pd.DataFrame(cells).to_dict("records")
    names = list(dict.fromkeys([*layers, *(row["layer"] for row in rows)]))
    shares = sorted({*map(float, sparsities), *(float(row["sparsity"]) for row in rows)})
    found = {key: np.full((len(names), len(shares)), np.nan) for key in ("accuracy", "low", "high", "removed")}
    weights = np.zeros(len(names))
    for row in rows:
        i, j = names.index(row["layer"]), shares.index(float(row["sparsity"]))
        weights[i] = row["weights"]
        for key, values in found.items():
            values[i, j] = row[key]
    shown = np.sort(np.argsort(-weights, kind="stable")[:LIMIT])
    accuracy, low, high, removed = (values[shown] for values in found.values())
    return LayerSensitivity(
        tuple(names[i] for i in shown), tuple(shares), accuracy, low, high, removed, weights[shown], dense, n, total
    )


def alt_layer_sensitivity(data: LayerSensitivity) -> str:
    """The picture in words."""
    if not np.isfinite(data.accuracy).any():
        return f"{TITLE}. Nothing measured yet."
    i, j = np.unravel_index(int(np.nanargmin(data.accuracy)), data.accuracy.shape)
    lowest = percent(data.accuracy[i, j])
    text = f"{TITLE}. Lowest: {lowest} with {percent(data.sparsities[j], 0)} of {data.layers[i]} gone"
    bears = [
        name for name, high in zip(data.layers, data.high, strict=True) if data.dense and (high >= data.dense).all()
    ]
    if bears:
        text += f"; no loss beyond chance at any sparsity in {', '.join(bears)}"
    measured = int(np.isfinite(data.accuracy).sum())
    return text + ("." if measured == data.accuracy.size else f"; {measured} of {data.accuracy.size} cells measured.")


@drawing
def draw_layer_sensitivity(data: LayerSensitivity, colours: Palette) -> Plain:
    """A heat map that fills in: strong where the accuracy holds, pale where it is lost."""
    if not data.layers:
        return empty(TITLE, "A row fills in as its layer is measured.", x="weights of the layer removed", y="layer")
    few = len(data.layers) <= WORDS
    shades = colours.sequence[:3] if few else colours.sequence  # on the pale half the numbers can be read
    stops = [[i / (len(shades) - 1), c] for i, c in enumerate(shades)]
    best = float(np.nanmax([*data.accuracy.ravel(), data.dense or 0.0]))
    text = [["" if np.isnan(a) else f"{100 * a:.0f}" for a in row] for row in data.accuracy]
    picture: Plain = {
        "type": "heatmap", "name": "accuracy", "z": 100 * data.accuracy, "x": [percent(s, 0) for s in data.sparsities],
        "y": list(data.layers), "zmin": 0, "zmax": 100 * best, "colorscale": stops, "xgap": 2, "ygap": 2,
        "hoverongaps": False, "customdata": _details(data), "showscale": not few,
        "hovertemplate": "%{y}, %{customdata}<extra></extra>",
        "colorbar": {"title": {"text": "accuracy", "side": "right"}, "ticksuffix": "\u00a0%", "thickness": 10,
                     "outlinewidth": 0, "len": 1, "nticks": 4, "tickfont": {"size": 11, "color": colours.muted}},
    }  # fmt: skip
    if few:
        picture |= {"text": text, "texttemplate": "%{text}", "textfont": {"size": 12, "color": colours.ink}}
    return frame(
        [picture], title=TITLE, subtitle=_subtitle(data), x="weights of that layer removed", y="layer",
        alt=alt_layer_sensitivity(data), height=HEAD + (ROW if few else 18) * max(len(data.layers), 2),
        hovermode="closest",
        xaxis={"type": "category", "showline": False, "ticks": "", "fixedrange": True},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "nticks": len(data.layers),
               "tickfont": {"size": 12.5 if few else 10.5, "color": colours.ink}},
    )  # fmt: skip


def _subtitle(data: LayerSensitivity) -> str:
    if data.dense is None:
        return ""
    text = f"In per cent; {percent(data.dense)} as it is"
    if data.n is not None and data.total is not None:
        text += f", on {'all ' if data.n == data.total else f'{count(data.n)} of '}{count(data.total)} test examples"
    return text


def _details(data: LayerSensitivity) -> list[list[str]]:
    return [
        [
            ""
            if np.isnan(a)
            else f"{count(k)} of {count(n)} weights removed:<br>accuracy {percent(a)} "
            f"({percent(low)} to {percent(high)})"
            for a, low, high, k in zip(*rows, strict=True)
        ]
        for *rows, n in zip(data.accuracy, data.low, data.high, data.removed, data.weights, strict=True)
    ]
