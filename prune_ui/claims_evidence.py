"""The evidence of a trial: its figures, the formula with the numbers filled in, the table, and the runs behind it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from prune_core import export
from prune_core.claims import Claim, Picture
from prune_core.errors import LabError
from prune_core.figures.claim_curve import claim_curve_data, draw_claim_curve
from prune_core.figures.claim_dots import claim_dots_data, draw_claim_dots
from prune_core.figures.words import plural
from prune_core.registry import Entry
from prune_ui.chart import chart
from prune_ui.claims_read import View
from prune_ui.fields import plain

NAMES = {"arm": "what", "at": "at", "seed": "seed", "measure": "measure", "value": "value", "unit": "unit"}
MOST_ARMS = 6  # that get a link of their own
MOST_SEEDS = 6  # runs that can be compared at once


def show(entry: Entry[Claim], view: View) -> None:
    """Draw all of it; each chart keeps its place and size while the figures fill in."""
    waits = view.claim.looks and view.verdict is None and not len(view.table)
    if waits:  # nothing is known before the end: empty frames would only push the rest away
        titles = "; ".join(picture.title[0].lower() + picture.title[1:] for picture in view.claim.pictures)
        st.caption(plain(f"To be seen here once it is measured: {titles}."))
    for number, picture in enumerate([] if waits else view.claim.pictures):
        _show(
            entry.name,
            number,
            view.made(("figure", number), partial(drawn, view.table, picture, _places(view, picture))),
        )
    if view.verdict is not None:
        _formula(entry, view)
    if len(view.table):
        _table(entry, view)
    if entry.reference:
        st.caption(f"Reference: {plain(entry.reference)}")


def drawn(table: pd.DataFrame, picture: Picture, places: int = 0) -> dict[str, Any]:
    """A claim's picture as a plain figure, with room for so many rows."""
    if picture.kind == "curve":
        return draw_claim_curve.plain(claim_curve_data(table, picture))
    return draw_claim_dots.plain(claim_dots_data(table, picture, places))


def _places(view: View, picture: Picture) -> int:
    """How many rows there will be, of a trial without a verdict yet."""
    arms = {arm.name for arm in view.claim.arms()} - {picture.relative_to}
    return len(arms) * len(picture.measures) if view.verdict is None else 0


def _show(name: str, number: int, figure: dict[str, Any]) -> None:
    layout = figure["layout"]
    alt = str(layout["meta"].get("alt", ""))
    chart(figure, key=f"claims/{name}/{number}", height=int(layout["height"]), alt=alt)


def _formula(entry: Entry[Claim], view: View) -> None:
    try:
        text = view.made("formula", lambda: view.claim.formula(view.table))
    except LabError:
        return
    if text:
        with st.container(key="claims_numbers"):
            st.markdown("**In numbers**")
            st.latex(text)


def _table(entry: Entry[Claim], view: View) -> None:
    """Every measured figure with its unit, as a table and as a file; and the runs they are of."""
    table = view.table
    fold = st.expander(f"All {plural(len(table), 'measured figure')}", key="claims/table", on_change="rerun")
    if fold.open:
        with fold:
            st.dataframe(_dressed(view), key="claims/rows", hide_index=True, height=340, column_config=_columns(view))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="claims_takeaway"):
        st.download_button(
            "Figures (CSV)", lambda: table.to_csv(index=False), f"claim-{entry.name}-{view.id}.csv", "text/csv",
            key="claims/csv", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        if (verdict := view.verdict) is not None:
            st.download_button(
                "Open as notebook", lambda: export.written(export.claim_notebook(view.claim, table, verdict)),
                f"claim-{entry.name}-{view.id}.ipynb", "application/x-ipynb+json", key="claims/notebook",
                icon=":material/book:", on_click="ignore", type="tertiary",
                help="The trial in full, to be done again without the app and compared with what was recorded.",
            )  # fmt: skip
        if view.sample:
            st.caption("The sample's runs are not in this lab: run the trial to have some to open.", width="content")
            return
        _links(view)


def _links(view: View) -> None:
    """The runs behind it: all of them as a sweep, and those of one arm beside each other."""
    st.page_link(
        "pages/trade_offs.py", label="All its runs", icon=":material/scatter_plot:", query_params={"sweep": view.id}
    )  # fmt: skip
    first = view.table[["arm", "at", "run"]].drop_duplicates("run")
    groups = list(first.groupby("arm", sort=False))
    for arm, runs in groups[:MOST_ARMS]:
        label = f"Runs: {arm}" if len(groups) > 1 else "Its runs side by side"
        ids = ",".join(str(run) for run in list(runs["run"])[:MOST_SEEDS])
        st.page_link("pages/runs.py", label=label, icon=":material/table_rows:", query_params={"runs": ids})


def _dressed(view: View) -> pd.DataFrame:
    found = view.table.rename(columns=NAMES).drop(columns=["idea"])
    if view.sample:
        return found.drop(columns=["run"])
    return found.assign(run="/runs?runs=" + found["run"])


def _columns(view: View) -> dict[str, Any]:
    config: dict[str, Any] = {"value": st.column_config.NumberColumn(format="%.6g")}
    if not view.sample:
        config["run"] = st.column_config.LinkColumn("run", display_text=r"runs=(.*)")
    if view.table["at"].isna().all():
        config["at"] = None
    return config
