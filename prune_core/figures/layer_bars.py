"""Which layers lose how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, percent, plural

TITLE = "Layer by layer: the share of weights removed"
LIMIT = 64  # bars


@dataclass(frozen=True)
class LayerBars:
    """One entry a layer, in the network's order. ``sparsity`` in [0, 1]; ``chosen`` is the layer looked at."""

    names: tuple[str, ...]
    sparsity: np.ndarray
    numel: np.ndarray
    overall: float
    chosen: str


def layer_bars_data(layers: Any, chosen: str = "") -> LayerBars:
    """From a snapshot, or from records or a DataFrame with name, numel and sparsity or kept.

    Beyond 64 layers the largest stay, in their order; the overall sparsity counts all.
    """
    rows = [_row(item) for item in _each(layers)]
    numel = np.array([n for _, n, _ in rows], dtype=float)
    sparsity = np.array([s for _, _, s in rows], dtype=float)
    overall = float((numel * sparsity).sum() / numel.sum()) if numel.sum() else 0.0
    shown = np.sort(np.argsort(-numel, kind="stable")[:LIMIT])
    return LayerBars(tuple(rows[i][0] for i in shown), sparsity[shown], numel[shown], overall, chosen)


def _each(layers: Any) -> Iterable[Any]:
    if hasattr(layers, "layers"):
        return layers.layers  # type: ignore[no-any-return]
    if hasattr(layers, "to_dict") and hasattr(layers, "columns"):
        return layers.to_dict("records")  # type: ignore[no-any-return]
    return layers  # type: ignore[no-any-return]


def _row(item: Any) -> tuple[str, int, float]:
    values: Mapping[str, Any] = item if isinstance(item, Mapping) else vars(item)
    numel = int(values["numel"])
    share = values.get("sparsity")
    if share is None:
        share = 1 - values["kept"] / numel if numel else 0.0
    return str(values["name"]), numel, float(share)


def alt_layer_bars(data: LayerBars) -> str:
    """The picture in words."""
    if not data.names:
        return f"{TITLE}. No layers."
    most, least = int(data.sparsity.argmax()), int(data.sparsity.argmin())
    return (
        f"Share of weights removed in {plural(len(data.names), 'layer')}: most in {data.names[most]} "
        f"({percent(data.sparsity[most])}), least in {data.names[least]} ({percent(data.sparsity[least])}); "
        f"{percent(data.overall)} overall."
    )


@drawing
def draw_layer_bars(data: LayerBars, colours: Palette) -> Plain:
    """One bar a layer, the first on top; a dotted line at the overall share."""
    if not data.names:
        return empty(TITLE, "No layer has weights to remove.", x="weights removed", y="layer")
    many = len(data.names) > 12
    full = colours.pruning
    pale = rgba(full, 0.5) if data.chosen else full
    bars: Plain = {
        "type": "bar", "orientation": "h", "name": "removed", "x": data.sparsity, "y": list(data.names),
        "customdata": [[name, count(n)] for name, n in zip(data.names, data.numel, strict=True)],
        "hovertemplate": "%{customdata[0]}: %{x:.1%} of %{customdata[1]} weights<extra></extra>",
        "marker": {"color": [full if name == data.chosen else pale for name in data.names], "line": {"width": 0}},
        "text": [percent(s, 0 if many else 1) for s in data.sparsity],
        "textposition": ["inside" if s > 0.25 else "outside" for s in data.sparsity], "textangle": 0,
        "cliponaxis": False,
        # on a pale bar the page's own text colour reads best
        "insidetextfont": {"color": [colours.background if name == data.chosen or not data.chosen else colours.ink
                                     for name in data.names]},
        "constraintext": "none",
    }  # fmt: skip
    line: Plain = {
        "type": "line", "name": "overall", "yref": "paper", "y0": 0, "y1": 1, "x0": data.overall, "x1": data.overall,
        "line": {"color": colours.muted, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
    return frame(
        [bars], title=TITLE, x="weights removed", y="", alt=alt_layer_bars(data),
        subtitle=f"{percent(data.overall)} overall, the dotted line", shapes=[line], bargap=0.3, hovermode="closest",
        height=max(170, 110 + (18 if many else 30) * len(data.names)),
        xaxis={"range": [0, 1.08], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1], "showgrid": True},
        yaxis={"range": [len(data.names) - 0.5, -0.5], "type": "category", "showgrid": False, "nticks": len(data.names),
               "tickfont": {"size": 10.5 if many else 12.5, "color": colours.ink}},
    )  # fmt: skip
