"""The Prune page: one fragment with the two sliders, what they leave, and the section that is open below."""

from __future__ import annotations

import math

import streamlit as st

from prune_core import export
from prune_core.errors import LabError
from prune_core.figures.words import count, number, percent, si
from prune_core.jobs import Cost, PreviewReply
from prune_core.pruning import Criterion, Weights
from prune_ui import (
    formulas,
    prune_budget,
    prune_criteria,
    prune_curve,
    prune_forgotten,
    prune_noise,
    prune_pictures,
    prune_sections,
    prune_tune,
    session,
    take_away,
)
from prune_ui import prune_charts as charts
from prune_ui import prune_link as link
from prune_ui import prune_state as state
from prune_ui.naming import GRANULARITY, in_text, part_label
from prune_ui.prune_state import Source
from prune_ui.session import Key

TICK_S = 0.6
LISTED = 6  # names of layers in a sentence
BUDGET_S = prune_curve.BUDGET_S
GROWING: Key[bool] = Key("prune/growing", False)
REPLY: Key[tuple[str, str, PreviewReply] | None] = Key("prune/reply", None)
"""The last answer: to what about the model, to which question, and what it was."""


def show() -> None:
    """Draw the picture, and go on drawing it while the curve grows."""
    st.fragment(_page, run_every=TICK_S if GROWING.get() else None)(GROWING.get())


def _page(growing: bool) -> None:
    session.hold(state.SPARSITY, state.LAYER, state.RECALIBRATE, prune_sections.OPEN)
    source = state.source()
    if said := state.SAID.pop():
        st.error(said, icon=":material/error:")
    if lost := state.LOST.get():
        st.error(
            f"Run {lost} cannot be pruned: it is not in this lab, or has no checkpoint yet.", icon=":material/error:"
        )
    if source is None:
        st.info(
            "There is no trained run to prune yet. Train one, or take a model of torchvision.",
            icon=":material/compress:",
        )
        st.page_link("pages/train.py", label="Go to Train", icon=":material/play_circle:")
        link.keep_link(None)
        return
    if state.least(source) >= state.most():
        st.info(
            f"This run has removed {percent(source.removed)}, and this granularity allows at most "
            f"{percent(state.most(), 0)}: choose another granularity, or another run.",
            icon=":material/compress:",
        )
        link.keep_link(source)
        return
    state.SPARSITY.set(state.held(source, state.SPARSITY.get()))
    headline = st.container()
    with st.container(horizontal=True, gap="medium", key="prune_sliders"):
        st.slider(
            "Sparsity", state.least(source), state.most(), key=state.SPARSITY.name, step=0.001, format="percent",
            help="Share of the prunable weights that is removed.",
        )  # fmt: skip
        beside, last = st.container(), st.container()
    reply = _answer(source, headline)
    if reply is None:
        if said := state.SAID.pop():
            headline.error(said, icon=":material/error:")
            st.button("Try again", key="prune/again", icon=":material/refresh:")
        return
    _threshold_slider(source, reply, beside)
    _layer(reply, last)
    headline.html(_lesson(reply))
    if source.removed > 0:
        st.caption(f"This run removed {percent(source.removed)} while it trained; those weights stay at zero.")
    _uncut(reply)
    grain, criterion = state.grain(), Criterion.registry[state.CRITERION.get()].cls()
    formulas.show("prune", [formulas.of_preview(reply, criterion, grain, state.SCOPE.get())])
    if reply.normalised and reply.accuracy is not None:
        st.toggle(
            "Measure normalisation anew", key=state.RECALIBRATE.name,
            help="Mean and variance of every batch normalisation are taken anew from 512 training examples under the "
            "mask; those of the dense network do not fit a pruned one.",
        )  # fmt: skip
    more = prune_sections.show(SECTIONS, source, reply)
    take_away.box(lambda: _code(source, reply), key="prune/code")
    link.keep_link(source)
    if growing != more:
        GROWING.set(more)
        st.rerun()


def _uncut(reply: PreviewReply) -> None:
    """Layers that stay dense because of the granularity."""
    if not reply.uncut:
        return
    names = ", ".join(reply.uncut[:LISTED]) + (f" and {len(reply.uncut) - LISTED} more" if reply.uncut[LISTED:] else "")
    st.caption(f"Not cut into {in_text(part_label(GRANULARITY, state.grain().registered_as))}, so dense: {names}.")


def _answer(source: Source, place: st.delta_generator.DeltaGenerator) -> PreviewReply | None:
    """The worker's answer for the slider's place; the one before where a newer question is on its way."""
    request = source.request(sparsity=state.SPARSITY.get(), budget_s=BUDGET_S, tiles=prune_sections.is_open("pictures"))
    of = source.request().replace(layer="").model_dump_json()
    stamp, before = source.stamp, REPLY.get()
    question = f"{stamp}/{request.model_dump_json()}"
    if before is not None and before[1] == question:  # the curve has grown, nothing else
        return before[2]
    if before is None or before[0] != of:  # a model that the worker does not hold yet may take seconds
        what = "Measuring what each layer bears" if state.SCOPE.get() == "sensitivity" else f"Loading {source.name}"
        with place, st.spinner(f"{what} ...", show_time=True):
            reply = state.ask(request)
    else:
        reply = state.ask(request)
    if reply is not None:
        layer = reply.picture.name if reply.picture is not None else ""  # the largest, where none was asked for
        REPLY.set((of, f"{stamp}/{request.replace(layer=layer).model_dump_json()}", reply))
        return reply
    return before[2] if before is not None and before[0] == of and not state.SAID.get() else None


def _code(source: Source, reply: PreviewReply) -> str:
    """What gives the numbers above."""
    measured = reply.accuracy
    anew = reply.normalised and state.RECALIBRATE.get() and reply.sparsity > source.removed + 1e-9
    return export.prune_code(
        source.request(sparsity=state.SPARSITY.get()),
        among=[layer.name for layer in reply.layers] if source.keeps_dense else (),
        limit=None if measured is None or measured.n == measured.of else measured.n,
        recalibrate=anew,
    )


def _threshold_slider(source: Source, reply: PreviewReply, place: st.delta_generator.DeltaGenerator) -> None:
    """The other slider: the same truth, seen from the weights."""
    largest = reply.largest if reply.largest > 0 else 1.0
    step = 10.0 ** math.floor(math.log10(largest / 2000))
    at = min(round((reply.threshold or 0.0) / step) * step, largest)
    state.THRESHOLD.set(max(float(f"{at:.12g}"), 0.0))
    picture = reply.picture
    alone = isinstance(state.grain(), Weights) or state.grain().at_most is not None  # weights have scores of their own
    what = "" if alone else " of a group"
    where = f" in {picture.name}" if state.SCOPE.get() != "global" and picture is not None else ""
    place.slider(
        f"Threshold{what}{where}", 0.0, float(f"{largest:.12g}"), key=state.THRESHOLD.name, step=step, format="%.4g",
        on_change=_threshold_moved, args=(source,),
        help="Weights whose score is at most this are removed; for magnitude the score is |w|.",
    )  # fmt: skip


def _threshold_moved(source: Source) -> None:
    state.set_threshold(source, state.THRESHOLD.get())


def _lesson(reply: PreviewReply) -> str:
    total = sum(layer.numel for layer in reply.layers)
    gone = total - sum(layer.kept for layer in reply.layers)
    text = f'Pruning removes <b class="pruning">{count(gone)}</b> of {count(total)} weights ({percent(reply.sparsity)})'
    if reply.accuracy is not None and reply.dense is not None:
        low, high = reply.accuracy.interval
        n, of = reply.accuracy.n, reply.accuracy.of
        on = f"all {count(of)}" if n == of else f"{count(n)} of {count(of)}"
        text += (
            f"; test accuracy goes from {percent(reply.dense.accuracy)} to "
            f'<b class="pruning">{percent(reply.accuracy.accuracy)}</b>'
        )
        note = f"Measured on {on} test examples; 95 % interval {percent(low)} to {percent(high)}."
    else:
        if reply.threshold is not None and state.SCOPE.get() == "global":
            text += f", those scored at most {number(reply.threshold)}"
        note = "Without test data no accuracy is measured."
    aside = f'<p class="lab-aside">{note} {_cost(reply.cost)}</p>'
    return f'<div class="lab-said"><p class="lab-lesson">{text}.</p>{aside}</div>'


def _cost(cost: Cost) -> str:
    text = (
        f"Stored as a bitmask and the values left: {si(cost.kept_bytes, 'B')} instead of {si(cost.dense_bytes, 'B')}."
    )
    if cost.dense_macs is None or cost.kept_macs is None:
        return text
    share = percent(cost.kept_macs / cost.dense_macs if cost.dense_macs else 1.0)
    left = f"{si(cost.kept_macs)} of {si(cost.dense_macs)} ({share})"
    return f"{text} Multiplications that are left: {left}; dense kernels do all of them all the same."


def _cut(source: Source, reply: PreviewReply) -> bool:
    """The first section: the charts, and the way on; returns whether the curve still grows."""
    more = _pictures(source, reply)
    if source.run:
        prune_tune.fine_tune(source, reply.sparsity)
    return more


def _pictures(source: Source, reply: PreviewReply) -> bool:
    """The charts; returns whether the curve still grows."""

    def threshold(value: float) -> None:
        state.set_threshold(source, value)

    def dot(value: float) -> None:
        state.set_sparsity(source, value)

    points, more = _points(source, reply)
    # only then is the score what the histogram shows
    by_size = state.CRITERION.get() == "magnitude" and isinstance(state.grain(), Weights)
    left, right = st.columns(2, gap="medium")
    with left:
        if reply.accuracy is not None:
            charts.curve(reply, points, dot)
        charts.layers(reply, state.LAYER.get())
    with right:
        charts.histogram(reply, threshold if by_size else None)
        charts.mask(reply)
    return more


def _points(source: Source, reply: PreviewReply) -> tuple[list[dict[str, float]], bool]:
    if reply.accuracy is None:
        return [], False
    try:
        return prune_curve.curve(source.request(budget_s=BUDGET_S), source.stamp)
    except (LabError, OSError) as error:
        st.caption(f":red[:material/error: The curve could not be measured: {error}]")
        return [], False


def _layer(reply: PreviewReply, place: st.delta_generator.DeltaGenerator) -> None:
    """The layer whose histogram and mask are shown."""
    by_name = {layer.name: layer for layer in reply.layers}
    shown = reply.picture.name if reply.picture is not None else next(iter(by_name))
    state.LAYER.set(state.LAYER.get() if state.LAYER.get() in by_name else shown)
    place.selectbox(
        "Layer", list(by_name), key=state.LAYER.name, help="Whose histogram and mask are shown.",
        format_func=lambda n: f"{n}  ·  {count(by_name[n].numel)} weights" if n in by_name else n,
    )  # fmt: skip


SECTIONS: dict[str, prune_sections.Section] = {
    "cut": _cut,
    "pictures": prune_pictures.section,
    "criteria": prune_criteria.section,
    "layers": prune_budget.section,
    "forgotten": prune_forgotten.section,
    "noise": prune_noise.section,
}
