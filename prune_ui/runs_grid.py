"""The table of runs as a widget that keeps its place: what is ticked, how far it is scrolled, how it is sorted.

A browser knows rows by number. While nothing is ticked, rows may come and go in place. As soon as something is, the
rows that are there stay as they are, and a button says how many new ones there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from prune_core.figures.words import plural
from prune_ui import runs_state as state
from prune_ui.runs_table import Listing
from prune_ui.session import Key

HEIGHT, HEAD, ROW = 357, 37, 35  # px
SHARES = ("progress", "test accuracy", "weights removed")
PERCENT = "%.1f\u00a0%%"


@dataclass(frozen=True)
class Shown:
    """The rows that a browser has, and under which name of the widget."""

    ids: tuple[str, ...] = ()
    turn: int = 0
    filter: tuple[Any, ...] = ()


SHOWN: Key[Shown] = Key("runs/shown", Shown())


def grid(found: Listing, at: np.ndarray) -> None:
    """Draw the rows numbered ``at``; ticking them sets what is chosen."""
    at, fresh = _held(found, at)
    ids = tuple(found.frame["id"].iloc[at])
    chosen = [row for row, run_id in enumerate(ids) if run_id in state.CHOSEN.get()]
    before = SHOWN.get()
    key, turn = _key(before.turn), before.turn
    ticked = sorted(st.session_state[key]["selection"]["rows"]) if key in st.session_state else chosen
    moved = ids != before.ids and (ticked or chosen)
    if moved or ticked != chosen:  # chosen elsewhere: by a link, by undo
        turn += 1
        key = _key(turn)
    SHOWN.set(Shown(ids, turn, state.filter_now()))

    def picked() -> None:
        state.choose([ids[row] for row in st.session_state[key]["selection"]["rows"] if row < len(ids)], ids)

    rows = found.shown.iloc[at]
    st.dataframe(
        rows.assign(**{name: 100 * rows[name] for name in SHARES}),
        key=key,
        height=min(HEIGHT, HEAD + ROW * len(rows)),
        hide_index=True,
        on_select=picked,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": chosen, "columns": [], "cells": []}},
        column_config={
            "run": st.column_config.TextColumn(width=175, pinned=True, help="Its name, or its id."),
            "status": st.column_config.TextColumn(width=82, help="Samples come with the lab and cannot be changed."),
            "progress": st.column_config.ProgressColumn(format="%.0f\u00a0%%", min_value=0, max_value=100, width=92),
            "test accuracy": st.column_config.NumberColumn("accuracy", format=PERCENT, width=76, help="On test data."),
            "weights removed": st.column_config.NumberColumn(
                "sparsity", format=PERCENT, width=74, help="Share of the prunable weights that pruning removed."
            ),
            "clipping": st.column_config.TextColumn(width=112, help="How, and the threshold."),
            "pruning": st.column_config.TextColumn(width=112, help="The criterion, and the sparsity aimed at."),
            "model": st.column_config.TextColumn(width=92),
            "learning rate": st.column_config.NumberColumn(format="%.4g"),
            "took": st.column_config.NumberColumn(format="%.1f s", help="From its start to its end, or to now."),
            "started": st.column_config.DatetimeColumn(format="distance"),
        },
        placeholder="–",
        alt="All runs. Tick one to look into it, or two to six to compare them.",
    )
    if fresh:
        st.button(
            f"Show {plural(fresh, 'new run')}", key="runs/fresh", icon=":material/arrow_upward:", type="tertiary",
            on_click=SHOWN.set, args=(Shown((), turn),),
        )  # fmt: skip


def _held(found: Listing, at: np.ndarray) -> tuple[np.ndarray, int]:
    """The rows to show now, and how many more there are: none but those already there while something is ticked."""
    before = SHOWN.get()
    ids = found.frame["id"].iloc[at].tolist()
    known = set(before.ids)
    chosen = [i for i in state.CHOSEN.get() if i in ids]
    if not known or not chosen or before.filter != state.filter_now() or not known.issuperset(chosen):
        return at, 0
    keep = np.array([run_id in known for run_id in ids], bool)
    return at[keep], int((~keep).sum())


def _key(turn: int) -> str:
    return f"runs/table/{turn}"
