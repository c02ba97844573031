"""The section "Layers": what each layer bears, a budget for each by hand, and what that budget costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from prune_core.figures.allocation_accuracy import allocation_accuracy_data, draw_allocation_accuracy
from prune_core.figures.layer_budget import draw_layer_budget, layer_budget_data
from prune_core.figures.words import count, percent
from prune_core.jobs import PreviewReply, PreviewRequest, SensitivityScan
from prune_core.probing import bearable
from prune_core.pruning import Weights
from prune_core.training.sensitivity import sensitivity_table
from prune_ui import prune_asking as asking
from prune_ui import prune_charts as charts
from prune_ui import prune_curve, prune_sensitivity, prune_tune, session
from prune_ui import prune_state as state
from prune_ui.chart import chart
from prune_ui.prune_state import Source
from prune_ui.session import Key

LOSSES = (0.005, 0.01, 0.02, 0.05, 0.1)
SLIDERS = 24  # layers that each have a slider of their own; of more only the chosen one
LARGEST = 0.999
SAME = 1e-5  # a share that the browser sends back as it was
WAYS = {"Yours": "", "Global": "one global ranking", "Same share": "the same share of every layer"}
SHARES: Key[dict[str, float]] = Key("prune/budget/shares", {})
"""By layer; empty: as the sliders above have it."""
LOSS: Key[float] = Key("prune/budget/loss", 0.01)
BEFORE: Key[tuple[str, dict[int, PreviewReply]] | None] = Key("prune/budget/before", None)
"""The last answers, and about which model: what stands while newer ones are on their way."""


def section(source: Source, reply: PreviewReply) -> bool:
    """Draw it; returns whether more will come."""
    start = {layer.name: layer.sparsity for layer in reply.layers}

    def put(layer: str, share: float) -> None:
        SHARES.set({**_shares(start), layer: min(max(share, 0.0), LARGEST)} if layer in start else SHARES.get())

    scan, more = prune_sensitivity.section(source, reply, put)
    if not isinstance(state.grain(), Weights):
        st.caption("A budget is of single weights: choose the granularity Weights to set one.")
        return more
    with st.container(border=True, key="prune_budget"):
        st.markdown("**A budget for each layer**")
        st.caption(
            "It starts as the sliders above have it. Drag a layer's handle, or use its slider: "
            "every layer gives up the share that you say, the lowest by the criterion."
        )
        _fill(scan, start)
        shares = _shares(start)
        asked = _ask(source, reply, shares) if reply.accuracy is not None else None
        replies, waiting = _replies(asked, source) if asked is not None else ({}, False)
        left, right = st.columns(2, gap="medium")
        with left:
            _chart(reply, shares, _bears(scan), replies.get(1), put)
        with right:
            _cost(reply, replies)
        _sliders(reply, shares)
    if source.run:
        prune_tune.fine_tune(source, _total(reply, shares), _texts(shares))
    return more or waiting


def _shares(start: Mapping[str, float]) -> dict[str, float]:
    """The visitor's, for the layers that are there."""
    mine = SHARES.get()
    return {name: mine.get(name, share) if mine else share for name, share in start.items()}


def _total(reply: PreviewReply, shares: Mapping[str, float]) -> float:
    """The share of all weights that the budget removes."""
    return sum(round(shares[v.name] * v.numel) for v in reply.layers) / max(sum(v.numel for v in reply.layers), 1)


def _texts(shares: Mapping[str, float]) -> tuple[str, ...]:
    """As Pruning.layer_sparsity has them."""
    return tuple(f"{name}={share:.6g}" for name, share in shares.items())


def _fill(scan: SensitivityScan | None, start: Mapping[str, float]) -> None:
    """Budgets that need no hand: from the scan, or as the sliders above."""
    bears = _bears(scan)
    with st.container(horizontal=True, vertical_alignment="bottom" if bears else "center", gap="small"):
        if bears:
            session.hold(LOSS)
            st.selectbox(
                "Each layer alone may cost", LOSSES, key=LOSS.name, width=190,
                format_func=lambda loss: f"{100 * loss:g} {'point' if loss == 0.01 else 'points'}",
            )  # fmt: skip
            st.button(
                "Fill from the scan", key="prune/budget/fill", icon=":material/auto_fix_high:", on_click=SHARES.set,
                args=(_clean(bears, start),),
                help="Gives every layer the highest sparsity that costs no more than this, alone.",
            )  # fmt: skip
        else:
            st.caption("Once every layer is measured, the budget can be filled from that.", width="content")
        st.button(
            "As the sliders above", key="prune/budget/reset", icon=":material/undo:", on_click=SHARES.set, args=({},),
            disabled=not SHARES.get(), type="tertiary",
        )  # fmt: skip


def _clean(bears: Mapping[str, float], start: Mapping[str, float]) -> dict[str, float]:
    return {name: bears.get(name, 0.0) for name in start}


def _bears(scan: SensitivityScan | None) -> dict[str, float]:
    """What each layer bears, where all are measured."""
    if scan is None or scan.dense is None or not scan.total or len(scan.cells) < scan.total:
        return {}
    return bearable(sensitivity_table(scan.cells), scan.dense.accuracy, LOSS.get())


def _ask(source: Source, reply: PreviewReply, shares: Mapping[str, float]) -> asking.Asked:
    """The budget, and the same total shared out in two other ways."""
    bare = source.request(budget_s=prune_curve.BUDGET_S, scope="layer").replace(layer="", picture=False)
    mine = bare.replace(sparsity=0.0, layer_sparsity=_texts(shares))
    others = [bare.replace(sparsity=_total(reply, shares), scope=scope) for scope in ("global", "layer")]
    questions: list[PreviewRequest] = [mine, *others]
    return asking.ask(state.window(), "budget", source.stamp, questions, patience_s=0.2)


def _replies(asked: asking.Asked, source: Source) -> tuple[dict[int, PreviewReply], bool]:
    """The newest answers, or the last whole ones while newer are on their way."""
    of = f"{source.stamp}/{source.name}"
    found: dict[int, Any] | None = asking.look(asked, "budget", dict)
    if found is None:
        return {}, False
    if len(found) == asked.total:
        BEFORE.set((of, found))
        return found, False
    before = BEFORE.get()
    return (before[1] if before is not None and before[0] == of else found), True


def _chart(
    reply: PreviewReply, shares: Mapping[str, float], bears: Mapping[str, float], other: PreviewReply | None, put: Any
) -> None:
    numel = {layer.name: layer.numel for layer in reply.layers}
    chosen = state.LAYER.get() if state.LAYER.get() in numel else next(iter(numel))
    elsewhere = {layer.name: layer.sparsity for layer in other.layers} if other is not None else None
    data = layer_budget_data(numel, shares, bears=bears, other=elsewhere, chosen=chosen)
    figure = draw_layer_budget.plain(data)

    def chose(point: Mapping[str, Any]) -> None:
        if str(point.get("y")) in numel:
            state.LAYER.set(str(point["y"]))

    def moved(row: int, share: float) -> None:
        state.LAYER.set(data.names[row])
        if abs(share - data.budget[row]) > SAME:  # a click takes a handle, and moves nothing
            put(data.names[row], share)

    chart(
        figure, key="prune/budget/chart", drag=figure["layout"]["meta"].get("drag"),
        on_drag=lambda share: put(chosen, share), on_row=moved, select="click", on_select=chose,
    )  # fmt: skip


def _cost(reply: PreviewReply, replies: Mapping[int, PreviewReply]) -> None:
    if reply.accuracy is None:
        st.caption("No test data belongs to this model, so that a budget costs nothing that could be measured.")
        return
    rows = [
        (name, found.sparsity, found.accuracy.accuracy, *found.accuracy.interval)
        for i, name in enumerate(WAYS)
        if (found := replies.get(i)) is not None and found.accuracy is not None
    ]
    dense = reply.dense.accuracy if reply.dense is not None else None
    charts.show("allocation", draw_allocation_accuracy.plain(allocation_accuracy_data(rows, dense=dense)))
    if len(rows) == 3:
        st.markdown(_sentence(rows))
        table = pd.DataFrame(rows, columns=["way", "sparsity", "accuracy", "low", "high"])
        charts.download("Table (CSV)", table, "budget.csv", "prune/budget/csv")


def _sentence(rows: list[tuple[str, float, float, float, float]]) -> str:
    """Whether the budget is better, by intervals that lie apart."""
    _, total, mine, low, high = rows[0]
    better = [WAYS[name] for name, _, _, _, top in rows[1:] if top < low]
    worse = [WAYS[name] for name, _, _, bottom, _ in rows[1:] if bottom > high]
    text = f"Your budget removes {percent(total)} and keeps {percent(mine)}"
    if not better and not worse:
        return f"{text}: the intervals overlap, so that no way is shown to be better."
    parts = [f"better than {' and '.join(better)}"] * bool(better) + [f"worse than {' and '.join(worse)}"] * bool(worse)
    return f"{text}: {', '.join(parts)}, beyond the intervals."


def _sliders(reply: PreviewReply, shares: Mapping[str, float]) -> None:
    """A slider a layer, or of many layers one for the layer chosen above."""
    few = len(reply.layers) <= SLIDERS
    shown = reply.layers if few else [v for v in reply.layers if v.name == state.LAYER.get()]
    if not few:
        st.caption(f"{len(reply.layers)} layers: the slider is of the one chosen above.")
    with st.container(horizontal=True, gap="medium", key="prune_budget_sliders"):
        for layer in shown:
            key: Key[float] = Key(f"prune/share/{layer.name}", 0.0)
            key.set(round(min(shares[layer.name], LARGEST), 3))
            st.slider(
                f"{layer.name}  ·  {count(layer.numel)}", 0.0, LARGEST, key=key.name, step=0.001, format="percent",
                on_change=_moved, args=(key, layer.name, dict(shares)),
            )  # fmt: skip


def _moved(key: Key[float], layer: str, shares: dict[str, float]) -> None:
    SHARES.set({**shares, layer: key.get()})


def read(text: str) -> None:
    """From the link: ``layer:share`` with commas between."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.rpartition(":")
        try:
            value = float(share)
        except ValueError:
            continue
        if name and 0 <= value <= LARGEST:
            found[name] = value
    SHARES.set(found)


def text() -> str:
    """For the link; empty while it follows the sliders."""
    return ",".join(f"{name}:{share:.4g}" for name, share in SHARES.get().items())
