"""The sections of the Prune page: one is open, the others cost nothing."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from prune_core.errors import LabError
from prune_core.jobs import PreviewReply
from prune_ui.prune_state import Source
from prune_ui.session import Key

NAMES = {
    "cut": ":material/content_cut: What goes",
    "pictures": ":material/grid_on: Masks",
    "criteria": ":material/compare_arrows: Criteria",
    "layers": ":material/layers: Layers",
    "forgotten": ":material/psychology_alt: Forgotten",
    "noise": ":material/blur_on: Noise",
}
FIRST = NAMES["cut"]
OPEN: Key[str] = Key("prune/section", FIRST)
Section = Callable[[Source, PreviewReply], bool]


def is_open(name: str) -> bool:
    """Whether the section of that name is the one that shows."""
    return OPEN.get() == NAMES[name]


def show(sections: dict[str, Section], source: Source, reply: PreviewReply) -> bool:
    """Draw the section that is open; returns whether more will come."""
    if OPEN.get() not in NAMES.values():
        OPEN.set(FIRST)
    more = False
    # a hidden tab would be computed all the same
    for name, tab in zip(NAMES, st.tabs(list(NAMES.values()), key=OPEN.name, on_change="rerun"), strict=True):
        if tab.open:
            with tab:
                try:
                    more |= sections[name](source, reply)
                except (LabError, OSError) as error:  # the engine was ended meanwhile, say
                    st.error(str(error), icon=":material/error:")
    return more


def read(text: str) -> None:
    """From the link: the section's name."""
    OPEN.set(NAMES.get(text, FIRST))


def text() -> str:
    """For the link; empty for the first."""
    return next((name for name, label in NAMES.items() if label == OPEN.get() != FIRST), "")
