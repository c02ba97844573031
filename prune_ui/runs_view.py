"""The Runs page: one fragment with the table of all runs and, below it, what is chosen."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import streamlit as st

from prune_core.figures.words import count, plural
from prune_ui import runs_compare, runs_engine, runs_one, session
from prune_ui import runs_state as state
from prune_ui.live import LiveRun
from prune_ui.runs_grid import grid
from prune_ui.runs_table import MORE, MOST, STATUS, Listing, matching, table_csv
from prune_ui.session import Key

TICK_S, IDLE_S = 1.0, 5.0
READ_S = 8.0
NOTE: Key[tuple[str, str, float]] = Key("runs/note", ("", "", 0.0))  # kind, text, until when


def show() -> None:
    """Draw the page, and go on drawing it: often while something runs."""
    active = state.table().active
    st.fragment(_page, run_every=TICK_S if active else IDLE_S)(active)


def _page(active: bool) -> None:
    found = state.table()
    # each has a place of its own: a line that comes or goes in one would else make all below it anew, zoom and all
    table, actions, chosen, engine = (st.container() for _ in range(4))
    with table:
        _filter()
        with st.container():
            if found.problem:
                st.warning(f"What is shown may be old: {found.problem}", icon=":material/cloud_off:")
            at = _matching(found)
        if len(at):
            grid(found, at)
        _older(found)
    runs = state.chosen_runs()
    with actions:
        _actions(found, at, runs)
        _notes()
    with chosen:
        if len(runs) > 1:
            runs_compare.compare(runs)
        elif runs:
            runs_one.one(runs[0])
        elif len(at):
            st.caption("Tick a run to look into it, or two to six to compare them.")
    with engine:
        runs_engine.show(found)
    state.keep_link()
    if active != found.active:  # another pace from now on
        st.rerun()


def _older(found: Listing) -> None:
    """What the table leaves out, and a button for it."""
    if not found.older:
        return
    rows = int((~found.frame["sample"].astype(bool)).sum())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        looked = f" A filter looks through the newest {count(MOST)}." if rows < MOST else ""
        st.caption(f"The newest {count(rows)} of {count(rows + found.older)} runs.{looked}", width="content")
        if rows < MOST < rows + found.older:
            st.button(
                f"Show {count(MOST)}", key="runs/more/button", icon=":material/expand_more:", type="tertiary",
                on_click=MORE.set, args=(1,),
            )  # fmt: skip
        if MORE.get() < 2:
            st.button(
                "Show all", key="runs/older", icon=":material/history:", type="tertiary", on_click=MORE.set, args=(2,),
            )  # fmt: skip


def _notes() -> None:
    """What a click came to. It stays for as long as it takes to read, however often the page is drawn meanwhile."""
    for kind, key in (("error", state.SAID), ("done", state.DONE)):
        if text := key.pop():
            NOTE.set((kind, text, time.monotonic() + READ_S))
    kind, text, until = NOTE.get()
    if time.monotonic() > until:
        return
    if kind == "error":
        st.error(text, icon=":material/error:")
    else:
        st.success(text, icon=":material/check:")


def _matching(found: Listing) -> np.ndarray:
    """Numbers of the rows to show; where there are none, a sentence says why."""
    owner = session.owner() if state.MINE.get() else None
    at = matching(found, state.TEXT.get(), state.STATUSES.get(), owner)
    if len(at):
        return at
    if not len(found.frame) or (owner is not None and not (found.frame["owner"] == owner).any()):
        yet = "You have no run of your own yet." if len(found.frame) else "There is no run yet."
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{yet} Train one, and it stands here a moment later.")
            st.page_link("pages/train.py", label="Go to Train", icon=":material/play_circle:")
        return matching(found, "", ["sample"], None)
    st.info("No run is like that. Take something out of the filter.", icon=":material/filter_alt_off:")
    return at


def _filter() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="runs_filter"):
        state.keep_filter()
        st.text_input(
            "Find", key=state.TEXT.name, placeholder="a model, data, method, name ...", width=260,
            icon=":material/search:",
        )  # fmt: skip
        st.multiselect(
            "Status",
            list(STATUS),
            key=state.STATUSES.name,
            format_func=lambda s: STATUS[s],
            placeholder="any",
            width=260,
        )
        st.toggle("Only mine", key=state.MINE.name)


def _actions(found: Listing, at: np.ndarray, runs: Sequence[LiveRun]) -> None:
    """Buttons for what is chosen, and for the table."""
    mine = state.deletable(runs)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs_actions"):
        st.button(
            f"Delete {plural(len(mine), 'run')}" if mine else "Delete", key="runs/delete", icon=":material/delete:",
            disabled=not mine, on_click=state.delete, args=(mine,),
            help="Your own runs that have ended. They can be brought back right afterwards.",
        )  # fmt: skip
        if gone := state.DELETED.get():
            st.button(
                f"Undo: bring back {plural(len(gone), 'run')}", key="runs/undo", icon=":material/undo:",
                type="primary", on_click=state.undo,
            )  # fmt: skip
        st.button(
            "Choose none", key="runs/none", icon=":material/deselect:", type="tertiary", disabled=not runs,
            on_click=state.CHOSEN.set, args=((),),
        )  # fmt: skip
        st.download_button(
            "Table (CSV)", lambda: table_csv(found, at), "runs.csv", "text/csv", key="runs/csv",
            icon=":material/download:", type="tertiary", on_click="ignore", disabled=not len(at),
        )  # fmt: skip
        st.download_button(
            "Steps of the chosen (CSV)", lambda: state.steps_csv(runs), "steps.csv", "text/csv", key="runs/steps",
            icon=":material/download:", type="tertiary", on_click="ignore", disabled=not runs,
        )  # fmt: skip
