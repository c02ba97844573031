"""Do criteria agree: rank correlation of their scores, or overlap of what they keep, as a labelled heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from prune_core.errors import ConfigError
from prune_core.figures.drawing import Plain, drawing, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import count, percent

Measure = Literal["rank", "overlap"]
TITLES: dict[str, str] = {
    "rank": "Do they rank the weights alike? Spearman's ρ of scores",
    "overlap": "Do they keep the same weights? Jaccard index of masks",
}


@dataclass(frozen=True, eq=False)
class Agreement:
    """``matrix`` (k, k), nan where unknown. ``chance`` is the overlap of random masks, ``sparsity`` that of the masks,
    ``weights`` how many were ranked."""

    measure: Measure
    names: tuple[str, ...]
    matrix: np.ndarray
    chance: float | None
    sparsity: float | None
    weights: int | None


def agreement_data(
    matrix: Any,
    names: Sequence[str] = (),
    measure: Measure = "rank",
    *,
    chance: float | None = None,
    sparsity: float | None = None,
    weights: int | None = None,
) -> Agreement:
    """From a square DataFrame, as ``compare_criteria`` gives, or an array with ``names``."""
    if measure not in TITLES:
        raise ConfigError(f"measure must be 'rank' or 'overlap', got {measure!r}.")
    values = np.asarray(matrix, float)
    rows: Any = getattr(matrix, "index", range(len(values)))
    called = tuple(map(str, names or rows))
    return Agreement(measure, called, values, chance, sparsity, weights)


def alt_agreement(data: Agreement) -> str:
    """The picture in words: every pair."""
    pairs = [
        f"{data.names[i]} and {data.names[j]} {_cell(data, data.matrix[i, j])}"
        for i, j in combinations(range(len(data.names)), 2)
    ]
    text = f"{TITLES[data.measure]}. {'; '.join(pairs) or 'Nothing to compare'}."
    return text + (f" Two random masks: {percent(data.chance, 0)}." if data.chance is not None else "")


@drawing
def draw_agreement(data: Agreement, colours: Palette) -> Plain:
    """Strong where two agree, pale where they do not; every cell says its number."""
    shades = colours.sequence[:4]  # on the pale half the numbers can be read
    stops = [[i / (len(shades) - 1), c] for i, c in enumerate(shades)]
    picture: Plain = {
        "type": "heatmap", "name": "agreement", "z": np.clip(data.matrix, 0, 1), "x": list(data.names),
        "y": list(data.names), "zmin": 0, "zmax": 1, "colorscale": stops, "xgap": 2, "ygap": 2, "showscale": False,
        "text": [[_cell(data, v) for v in row] for row in data.matrix], "texttemplate": "%{text}",
        "textfont": {"size": 13, "color": colours.ink}, "hoverongaps": False,
        "hovertemplate": "%{y} and %{x}: %{text}<extra></extra>",
    }  # fmt: skip
    return frame(
        [picture], title=TITLES[data.measure], subtitle=_subtitle(data), x="criterion", y="criterion ",
        alt=alt_agreement(data), height=150 + 46 * max(len(data.names), 2), hovermode="closest",
        xaxis={"tickvals": list(data.names), "ticktext": [n.replace(" ", "<br>", 1) for n in data.names],
               "tickangle": 0, "tickfont": {"size": 10.5}, "type": "category", "showline": False, "ticks": "",
               "fixedrange": True, "title": {"text": "criterion"}},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "fixedrange": True,
               "nticks": len(data.names), "title": {"text": "criterion"}},
    )  # fmt: skip


def _subtitle(data: Agreement) -> str:
    if data.measure == "rank":
        many = f", over {count(data.weights)} weights" if data.weights else ""
        return f"1: the same order; 0: none in common; below 0: opposite{many}"
    text = "Kept by both, as a share of what either keeps"
    if data.sparsity is not None:
        text += f", {percent(data.sparsity, 0)} removed"
    return text + (f"; two random masks: {percent(data.chance, 0)}" if data.chance is not None else "")


def _cell(data: Agreement, value: float) -> str:
    if not math.isfinite(value):
        return "–"
    if data.measure == "overlap":
        return percent(value, 0)
    return f"{value if abs(value) >= 0.005 else 0:.2f}".replace("-", "\u2212")
