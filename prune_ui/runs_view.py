"""The Runs page: one fragment with the table of all runs and, below it, what is chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from prune_core.figures.words import plural
from prune_ui import runs_compare, runs_engine, runs_one, session
from prune_ui import runs_state as state
from prune_ui.live import LiveRun
from prune_ui.runs_table import STATUS, displayed, filtered, listing

TICK_S, IDLE_S = 1.0, 5.0
HEIGHT = 320  # px


def show() -> None:
    """Draw the page, and go on drawing it: often while something runs."""
    active = listing().active
    st.fragment(_page, run_every=TICK_S if active else IDLE_S)(active)


def _page(active: bool) -> None:
    found = listing()
    if found.problem:
        st.warning(f"What is shown may be old: {found.problem}", icon=":material/cloud_off:")
    _filter()
    owner = session.owner() if state.MINE.get() else None
    rows = filtered(found.frame, state.TEXT.get(), state.STATUSES.get(), owner)
    if not len(found.frame):
        st.info("No run yet. Train one, and it stands here a moment later.", icon=":material/table_rows:")
        st.page_link("pages/train.py", label="Go to Train", icon=":material/play_circle:")
    elif not len(rows):
        st.info("No run is like that. Take something out of the filter.", icon=":material/filter_alt_off:")
    else:
        _table(rows)
    runs = state.chosen_runs()
    _actions(rows, runs)
    if said := state.SAID.pop():
        st.error(said, icon=":material/error:")
    if done := state.DONE.pop():
        st.success(done, icon=":material/check:")
    if len(runs) > 1:
        runs_compare.compare(runs)
    elif runs:
        runs_one.one(runs[0])
    elif len(rows):
        st.caption("Tick a run to look into it, or two to six to compare them.")
    runs_engine.show()
    state.keep_link()
    if active != found.active:  # another pace from now on
        st.rerun()


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


def _table(rows: pd.DataFrame) -> None:
    """The table. A browser knows rows by number: where they move, it is told again which are chosen."""
    ids = tuple(rows["id"])
    chosen = [i for i, run_id in enumerate(ids) if run_id in state.CHOSEN.get()]
    order = hashlib.sha256(",".join(ids).encode()).hexdigest()[:12]
    key = f"runs/table/{order}"
    if key in st.session_state and list(st.session_state[key]["selection"]["rows"]) != chosen:
        key += f"/{hashlib.sha256(str(chosen).encode()).hexdigest()[:6]}"  # chosen elsewhere: by a link, by undo

    def picked() -> None:
        now = [ids[i] for i in st.session_state[key]["selection"]["rows"] if i < len(ids)]
        kept = [i for i in state.CHOSEN.get() if i in now or i not in ids]
        every = [*kept, *(i for i in now if i not in kept)]
        if len(every) > state.MOST:
            state.SAID.set(f"Compare at most {state.MOST} runs at a time; the first {state.MOST} stay chosen.")
        state.CHOSEN.set(tuple(every[: state.MOST]))

    st.dataframe(
        displayed(rows),
        key=key,
        height=min(HEIGHT, 37 + 35 * len(rows)),
        hide_index=True,
        on_select=picked,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": chosen, "columns": [], "cells": []}},
        column_config={
            "run": st.column_config.TextColumn(width="medium", pinned=True),
            "progress": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width="small"),
            "test accuracy": st.column_config.NumberColumn(format="percent"),
            "weights removed": st.column_config.NumberColumn(format="percent"),
            "learning rate": st.column_config.NumberColumn(format="%.4g"),
            "took": st.column_config.NumberColumn(format="%.1f s"),
            "started": st.column_config.DatetimeColumn(format="distance"),
        },
    )


def _actions(rows: pd.DataFrame, runs: Sequence[LiveRun]) -> None:
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
            "Table (CSV)", lambda: displayed(rows).assign(id=list(rows["id"])).to_csv(index=False), "runs.csv",
            "text/csv", key="runs/csv", icon=":material/download:", type="tertiary", on_click="ignore",
            disabled=not len(rows),
        )  # fmt: skip
        st.download_button(
            "Steps of the chosen (CSV)", lambda: state.steps_csv(runs), "steps.csv", "text/csv", key="runs/steps",
            icon=":material/download:", type="tertiary", on_click="ignore", disabled=not runs,
        )  # fmt: skip
