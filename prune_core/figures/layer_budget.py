"""A budget for the layers: what each gives up, what it was found to bear, what other ways would take from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prune_core.figures.drawing import Plain, drawing, empty, frame, threshold_line
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import count, percent

TITLE = "Your budget: how much each layer gives up"
HANDLES = 24  # layers that each have a handle; of more only the chosen one
LIMIT = 40  # layers shown: the largest, in their order


@dataclass(frozen=True, eq=False)
class LayerBudget:
    """Shares in [0, 1] by layer; ``bears`` is nan where nothing was measured, ``other`` what a scope would take.

    ``chosen`` is the layer whose share is taken by the handle, "" for none; ``total`` is that of all layers together.
    """

    names: tuple[str, ...]
    numel: np.ndarray
    budget: np.ndarray
    bears: np.ndarray
    other: np.ndarray
    least: float
    chosen: str
    total: float


def layer_budget_data(
    numel: Mapping[str, int],
    budget: Mapping[str, float],
    *,
    bears: Mapping[str, float] | None = None,
    other: Mapping[str, float] | None = None,
    chosen: str = "",
    least: float = 0.0,
) -> LayerBudget:
    """From weights and shares by layer. ``least`` is what a run has removed from the chosen layer already."""
    names = list(numel)
    largest = sorted(names, key=lambda n: -numel[n])[:LIMIT]
    shown = [n for n in names if n in largest or n == chosen]
    total = sum(budget.get(n, 0.0) * numel[n] for n in names) / max(sum(numel.values()), 1)
    columns = (
        np.array([found.get(n, np.nan) for n in shown], float) for found in (budget, bears or {}, other or {})
    )  # fmt: skip
    share, holds, others = columns
    return LayerBudget(
        tuple(shown), np.array([numel[n] for n in shown]), np.nan_to_num(share), holds, others, least,
        chosen if chosen in shown else "", total,
    )  # fmt: skip


def alt_layer_budget(data: LayerBudget) -> str:
    """The picture in words."""
    if not data.names:
        return f"{TITLE}. No layers."
    rows = ", ".join(f"{n} {percent(s, 0)}" for n, s in zip(data.names[:12], data.budget, strict=False))
    return f"{TITLE}: {rows}; {percent(data.total)} of all weights."


@drawing
def draw_layer_budget(data: LayerBudget, colours: Palette) -> Plain:
    """A dot and a handle a layer (of many only the chosen one's); bars for what each bears, rings for a scope's."""
    if not data.names:
        return empty(TITLE, "No layer has weights to remove.", x="weights of that layer removed", y="layer")
    names, many = list(data.names), len(data.names) > 14
    traces: list[Plain] = []
    if np.isfinite(data.bears).any():
        traces.append(
            {"type": "bar", "orientation": "h", "name": "bears alone", "x": data.bears, "y": names,
             "marker": {"color": rgba(colours.baseline, 0.35), "line": {"width": 0}}, "width": 0.5,
             "hovertemplate": "%{y} alone bears %{x:.0%}<extra></extra>"}
        )  # fmt: skip
    if np.isfinite(data.other).any():
        traces.append(
            {"type": "scatter", "mode": "markers", "name": "global, same total", "x": data.other, "y": names,
             "marker": {"size": 11, "symbol": "diamond-open", "color": colours.muted,
                        "line": {"width": 1.8, "color": colours.muted}},
             "hovertemplate": "%{y}: a global ranking would take %{x:.1%}<extra></extra>"}
        )  # fmt: skip
    traces.append(
        {"type": "scatter", "mode": "markers", "name": "your budget", "x": data.budget, "y": names,
         "customdata": [count(n) for n in data.numel],
         "marker": {"size": 10 if many else 13, "color": colours.pruning,
                    "line": {"width": 2, "color": colours.background}},
         "hovertemplate": "%{y}: %{x:.1%} of %{customdata} weights removed<extra></extra>"}
    )  # fmt: skip
    shapes, drag = [], None
    if data.chosen:
        i = names.index(data.chosen)
        share = float(data.budget[i])
        shapes = [threshold_line("x", share, colours.pruning)]
        drag = {"axis": "x", "min": data.least, "max": 0.999, "percent": True, "color": "pruning", **_row(data, i)}
        if len(names) <= HANDLES:
            drag |= {"rows": [_row(data, k) for k in range(len(names))], "row": i}
    return frame(
        traces, title=TITLE, subtitle=f"{percent(data.total)} of all weights together",
        x="weights of that layer removed",
        y="layer", alt=alt_layer_budget(data), shapes=shapes, drag=drag, hovermode="closest",
        height=int(min(max(170 + (22 if many else 40) * len(names), 240), 1100)),
        xaxis={"range": [-0.02, 1.02], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 0.9, 1], "showgrid": True},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": names, "range": [len(names) - 0.5, -0.5],
               "showgrid": False, "nticks": len(names),
               "tickfont": {"size": 10.5 if many else 12.5, "color": colours.ink}},
    )  # fmt: skip


def _row(data: LayerBudget, i: int) -> Plain:
    """A layer's handle: where it stands, what it is called, and from where to where its line goes."""
    return {"value": float(data.budget[i]), "label": data.names[i], "span": [i - 0.5, i + 0.5]}
