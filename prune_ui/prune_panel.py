"""The Prune page's side bar: what is pruned, and by what."""

from __future__ import annotations

from functools import partial

import streamlit as st

from prune_core.export.python import PARTS as FAMILIES
from prune_core.models.torchvision_models import torchvision_names
from prune_core.pruning import Criterion
from prune_ui import prune_state as state
from prune_ui import session
from prune_ui.fields import choice_label, plain
from prune_ui.naming import part_label
from prune_ui.options import not_offered

KEPT = (
    state.KIND, state.CHOSEN, state.ARCHITECTURE, state.WEIGHTS, state.MODEL, state.DATA, state.CRITERION, state.SCOPE,
)  # fmt: skip


def panel() -> None:
    """Draw the choices in the side bar."""
    with st.container(border=True):
        session.hold(*KEPT)
        st.radio(
            "What to prune", (state.RUNS, state.FRESH, state.PUBLISHED), key=state.KIND.name, on_change=state.another
        )
        if state.KIND.get() == state.PUBLISHED:
            st.selectbox("Architecture", torchvision_names(), key=state.ARCHITECTURE.name, on_change=state.another)
            st.segmented_control("Weights", ("random", "pretrained"), key=state.WEIGHTS.name, required=True)
            st.caption("No test data belongs to it: threshold, layers and mask are shown, accuracy is not.")
        elif state.KIND.get() == state.FRESH:
            _fresh()
        elif runs := state.candidates():
            if state.CHOSEN.get() not in runs:
                state.source()  # says why a run of a link is not there
            st.selectbox(
                "Run", list(runs), key=state.CHOSEN.name, format_func=lambda i: runs.get(i, i),
                on_change=state.another,
            )  # fmt: skip
        else:
            st.caption("No run has a checkpoint yet.")
    with st.container(border=True, key="settings_prune"):
        if state.CRITERION.get() not in state.criteria():
            state.CRITERION.set("magnitude")
        entry = Criterion.registry[state.CRITERION.get()]
        st.selectbox(
            "Criterion", state.criteria(), key=state.CRITERION.name,
            format_func=lambda name: part_label("prune.criterion", name),
        )  # fmt: skip
        st.caption(entry.summary)
        if reasons := state.not_offered():
            st.caption(f"Not offered here: {reasons}.")
        if against := state.settle():
            st.caption(f":material/info: Single weights again: {plain(against)}.")
        scopes = state.scopes()
        offered = [scope for scope, why in scopes.items() if not why]
        if state.SCOPE.get() not in offered:
            state.SCOPE.set(offered[0])
        st.selectbox(
            "Scope", offered, key=state.SCOPE.name, format_func=choice_label,
            help="Compare all weights with each other, the same share of every layer, more of large ones (ERK), or of "
            "each as much as raises the loss on training examples equally (by sensitivity).",
        )  # fmt: skip
        not_offered({choice_label(scope): why for scope, why in scopes.items()})
        state.grain_form().part("granularity")


def _fresh() -> None:
    """A model with its initial weights, and the data it is for."""
    for label, key, family in (("Model", state.MODEL, "model"), ("Data", state.DATA, "data")):
        st.selectbox(
            label, FAMILIES[family].names(), key=key.name, on_change=state.another,
            format_func=partial(part_label, family),
        )  # fmt: skip
    st.caption("Weights as they are before the first step, seed 0: where SNIP and GraSP are defined, and nothing is "
               "learnt yet.")  # fmt: skip
