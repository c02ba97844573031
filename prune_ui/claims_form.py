"""The settings of a claim, what a trial of them will cost, and the button that starts it."""

from __future__ import annotations

import math

import streamlit as st

from prune_core.claims import Claim
from prune_core.errors import ConfigError, LabError
from prune_core.figures.words import count, plural
from prune_core.jobs import Estimate
from prune_core.sweeping import Sweep
from prune_ui import claims_state as state
from prune_ui.draft import is_part
from prune_ui.explain import duration
from prune_ui.fields import plain
from prune_ui.tradeoffs_cost import estimates


def show(name: str) -> None:
    """Draw the form; while the cost is being found out it looks again by itself."""
    pending = st.session_state.get("claims/pending", False)
    st.fragment(_form, run_every=0.5 if pending else None)(name, pending)


def _form(name: str, pending: bool) -> None:
    form = state.form_of(name)
    claim: Claim | None = form.value
    specs = form.draft.cls.fields()
    left, right = st.columns(2, gap="large")
    with left:
        for spec in (s for s in specs if s.name in ("data", "model")):
            form.part(spec.name)
    with right:
        for spec in (s for s in specs if s.name not in ("data", "model") and not s.advanced):
            (form.part if is_part(spec) else form.field)(spec.name)
        with st.expander("More settings"):
            for spec in (s for s in specs if s.advanced):
                form.field(spec.name)
    form.problem("")
    sweep, sentence = None, ""
    if claim is not None:
        try:
            sweep = claim.experiments()
            sweep.members()
        except ConfigError as error:
            sweep, sentence = None, str(error)
    found = estimates.ask(sweep) if sweep is not None else None
    sentence = sentence or (str(found) if isinstance(found, LabError) else "")
    if sentence:
        st.error(plain(sentence), icon=":material/error:")
    cost = found if isinstance(found, Estimate) else None
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            "Run the trial", key="claims/start", type="primary", icon=":material/gavel:",
            disabled=sweep is None or isinstance(found, LabError), on_click=_start, args=(claim, cost),
        )  # fmt: skip
        if sweep is not None and claim is not None:
            st.markdown(_cost_words(claim, sweep, cost))
    waits = sweep is not None and found is None
    if waits != pending or state.AGAIN.pop():  # another pace from now on, or what is above has changed
        st.session_state["claims/pending"] = waits
        st.rerun()


def _start(claim: Claim | None, cost: Estimate | None) -> None:
    if claim is not None:
        state.start(claim, cost)
        estimates.forget()
        state.AGAIN.set(True)


def _cost_words(claim: Claim, sweep: Sweep, cost: Estimate | None) -> str:
    """How many runs, how many of them are there already, and how long it will take; or that none has to be made."""
    if cost is None:
        return f"**{plural(sweep.total, 'run')}** · finding out what they cost ..."
    if cost.reused == cost.members and state.tried(claim):
        return f"**{plural(cost.members, 'run')}** · tried in this lab already: that trial is shown at once"
    parts = [f"**{plural(cost.members, 'run')}**"]
    if cost.reused:
        parts.append(f"{count(cost.reused)} of them there already")
    seconds = math.ceil(cost.seconds) + math.ceil(claim.measuring_s)
    parts.append(f"about **{duration(seconds)}** with {plural(cost.workers, 'worker')}")
    return " · ".join(parts)
