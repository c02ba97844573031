"""All claims at a glance: the sentence as it is heard, the verdict, and one sentence of why."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from prune_core.claims import Claim, Verdict, claims
from prune_core.registry import Entry
from prune_ui import claims_state as state
from prune_ui.claims_read import View
from prune_ui.fields import plain

Colour = Literal["green", "red", "orange", "gray"]
LOOKS: dict[str, tuple[str, Colour]] = {
    "holds": (":material/check_circle:", "green"),
    "does not hold": (":material/cancel:", "red"),
    "depends": (":material/call_split:", "orange"),
    "not decided": (":material/help:", "gray"),
}
WORDS = {"holds": "Holds", "does not hold": "Does not hold", "depends": "Depends", "not decided": "Not decided"}


def show() -> None:
    """Draw the cards, two beside each other where there is room."""
    st.markdown(
        '<p class="lab-lesson lab-lead">Sentences heard about <b class="clipping">clipping</b> and '
        '<b class="pruning">pruning</b>, each put to a measured test. The rule of each was fixed before looking.</p>',
        unsafe_allow_html=True,
    )
    key = "claims/guess"
    if st.session_state.get(key) != state.GUESS.get():
        st.session_state[key] = state.GUESS.get()
    st.toggle(
        "Guess before you see a verdict", key=key, on_change=lambda: state.GUESS.set(bool(st.session_state[key])),
        help="The link keeps it, so that a class can be sent here without the answers.",
    )  # fmt: skip
    found = claims()
    for at in range(0, len(found), 2):
        for column, entry in zip(st.columns(2, gap="small"), found[at : at + 2], strict=False):
            with column:
                _card(entry)


def _card(entry: Entry[Claim]) -> None:
    view = state.shown(entry.name)
    with st.container(border=True, height="stretch", key=f"claims_card_{entry.name}"):
        st.markdown(f"##### “{plain(entry.cls.statement)}”")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if state.hidden(view):
                st.badge("Guess first", icon=":material/visibility_off:", color="gray")
            else:
                badge(view)
            if view is not None and not view.sample:
                st.caption("your trial" if view.mine else "a trial in this lab", width="content")
        if view is not None and view.verdict is not None and not state.hidden(view):
            st.markdown(plain(in_short(view.verdict)))
        st.button(
            "Make your guess" if state.hidden(view) else "See the evidence",
            key=f"claims/open/{entry.name}", icon=":material/arrow_forward:", type="tertiary",
            on_click=state.choose, args=(entry.name,), help=f"{entry.label}: the rule, the figures and the runs.",
        )  # fmt: skip


def badge(view: View | None) -> None:
    """The verdict in a word, with its colour and sign; or how far it is."""
    if view is None:
        st.badge("Not tried yet", icon=":material/hourglass_empty:", color="gray")
    elif view.verdict is not None:
        icon, colour = LOOKS[view.verdict.word]
        st.badge(WORDS[view.verdict.word], icon=icon, color=colour)
    elif view.going:
        st.badge("On trial", icon=":material/progress_activity:", color="blue")
    else:
        st.badge("No verdict", icon=":material/warning:", color="gray")


def in_short(verdict: Verdict) -> str:
    """One sentence: what it depends on, or the figures."""
    return f"Depends on {verdict.on}." if verdict.on else verdict.sentence
