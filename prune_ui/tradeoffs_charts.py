"""The charts of the Trade-offs page, each made once for all who look at the same, and what a click on them says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
import streamlit as st

from prune_core.comparing import line_fields
from prune_core.comparing.tables import MOST_LINES, begun, is_seed, is_sparsity
from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.figures.parallel import draw_parallel, matching, parallel_data
from prune_core.figures.parallel_axes import Span
from prune_core.figures.threshold_sparsity import draw_threshold_sparsity, threshold_sparsity_data
from prune_core.figures.trade_off import TradeOff, draw_trade_off, knees, trade_off_data
from prune_core.figures.trade_words import Cost, describe_setting
from prune_core.figures.words import number, percent, plural, si
from prune_core.sweeping import Grid, IntUniform, Uniform
from prune_ui import race_link, session
from prune_ui import tradeoffs_state as state
from prune_ui.chart import chart
from prune_ui.fields import plain
from prune_ui.naming import title_of
from prune_ui.tradeoffs_read import View

MOST_LISTED = 12  # points of the front that are named beside the chart
FEW_CELLS, LEAST_FILLED = 25, 0.25  # of the heat map
TITLES = {"clip": "clipping", "threshold": "threshold", "prune": "criterion"}


@dataclass(frozen=True)
class Shown:
    """What is on the page: the sweep, the rows that the filters keep, and the trade-off made of them."""

    view: View
    rows: pd.DataFrame
    titles: Mapping[str, str]
    trade: TradeOff
    by: tuple[str, ...] | None
    key: tuple[Any, ...]


def shown_of(view: View) -> Shown:
    """What the filters and choices of this visitor make of a sweep."""
    cost, by, filters = cast(Cost, state.COST.get()), state.BY.get(), state.FILTERS.get()
    by = None if by is None else [c for c in by if c in view.results]
    key = _key(cost, by, filters)
    return view.made(("shown", *key), lambda: _made(view, cost, by, filters))


def _key(cost: Cost, by: list[str] | None, filters: Mapping[str, Span]) -> tuple[Any, ...]:
    return cost, None if by is None else tuple(by), tuple(sorted(filters.items(), key=lambda item: item[0]))


def _made(view: View, cost: Cost, by: list[str] | None, filters: Mapping[str, Span]) -> Shown:
    titles = view.made("titles", lambda: titles_of(view))
    rows = view.results[matching(view.results, filters)] if filters else view.results
    by = _without_drawn(view) if by is None else by
    trade = trade_off_data(rows, cost, by=by, titles=titles)
    return Shown(view, rows, titles, trade, None if by is None else tuple(by), _key(cost, by, filters))


def _without_drawn(view: View) -> list[str] | None:
    """What tells lines apart where fields were drawn from a range: not these, of which no two runs have the same.

    None where nothing was: then the figure chooses.
    """
    vary = getattr(view.sweep.space, "vary", {})
    drawn = {path for path, values in vary.items() if isinstance(values, Uniform | IntUniform)}
    if not drawn:
        return None
    if any(path == "clip" or path.startswith("clip.") for path in drawn):
        drawn.add("threshold")  # the column that has it whatever the strategy
    return line_fields(view.results.drop(columns=[c for c in drawn if c in view.results]))


def warm(view: View) -> None:
    """Make what everybody sees first."""
    shown = view.made(("shown", "sparsity", None, ()), lambda: _made(view, "sparsity", None, {}))
    trade_figure(shown)


def titles_of(view: View) -> dict[str, str]:
    """What the swept fields are called in names of lines and on axes: the field's own label."""
    found = {"clip": "clipping"}
    for path in view.sweep.space.paths:
        title = title_of(path, [view.sweep.experiment])
        if title != path and "." in path and not path.endswith((".criterion", ".schedule", ".granularity")):
            found[path] = title.rpartition(" · ")[2].partition(" (")[0].lower()
    return found


# --- the three charts -------------------------------------------------------------------------------------------------
def trade_off(shown: Shown) -> None:
    """Accuracy against what it costs."""
    _show("trade", trade_figure(shown), select="click", on_select=state.pick)


def trade_figure(shown: Shown) -> dict[str, Any]:
    """The picture of it, made once for all who look at the same."""
    return shown.view.made(("trade", *shown.key), lambda: draw_trade_off.plain(shown.trade, room=_room(shown)))


def _room(shown: Shown) -> int:
    """How many lines there will be, as far as a grid tells: the picture is as high as that from the start."""
    space = shown.view.sweep.space
    if shown.by is not None or not isinstance(space, Grid):
        return 0
    told = (n for path, values in space.vary.items() if not is_seed(path) and not is_sparsity(path)
            if (n := len(values)) <= MOST_LINES)  # fmt: skip
    return min(math.prod(told), MOST_LINES)


def parallel(shown: Shown) -> None:
    """A line a run; a part of an axis filters everything on the page."""
    view, filters = shown.view, state.FILTERS.get()
    data = view.made(
        ("parallel data", *shown.key[2:]),
        lambda: parallel_data(view.results, titles={**TITLES, **shown.titles}, filters=filters),
    )
    figure = view.made(("parallel", *shown.key[2:]), lambda: draw_parallel.plain(data))
    _show(
        "parallel", figure, brush=len(data.axes),
        on_brush=lambda axis, low, high: state.keep(data.axes, axis, low, high),
    )  # fmt: skip
    if filters:
        names = {axis.column: axis.title for axis in data.axes}
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key="tradeoffs_filters"):
            st.caption("Kept:", width="content")
            for column, span in filters.items():
                st.button(
                    f"{names.get(column, column)}: {_span(column, span)}", key=f"tradeoffs/drop/{column}",
                    icon=":material/close:", on_click=state.drop, args=(column,), help="Take this filter back.",
                )  # fmt: skip


def heat_map(shown: Shown) -> bool:
    """Accuracy by clip threshold and sparsity; returns whether there are at least two of each.

    Nothing where nearly every cell would be empty, as where both were drawn from ranges.
    """
    rows = begun(shown.rows)  # of the others neither is known: an empty row, and gone at the end
    across, down = rows["threshold"].nunique(dropna=False), rows["target"].nunique(dropna=False)
    filled = len(rows[["threshold", "target"]].drop_duplicates())
    if across < 2 or down < 2 or (across * down > FEW_CELLS and filled < LEAST_FILLED * across * down):
        return False
    figure = shown.view.made(
        ("heat", *shown.key[2:]), lambda: draw_threshold_sparsity.plain(threshold_sparsity_data(rows))
    )
    _show("heat", figure, select="click", on_select=state.pick)
    return True


def _show(name: str, figure: dict[str, Any], **more: Any) -> None:
    layout = figure["layout"]
    chart(figure, key=f"tradeoffs/{name}", height=int(layout["height"]), alt=layout["meta"].get("alt", ""), **more)


def _span(column: str, span: Span) -> str:
    if span.levels:
        return ", ".join(span.levels)

    def write(value: float) -> str:
        if column in ("accuracy", "sparsity", "target"):
            return percent(value)
        if column.endswith("_bytes"):
            return si(value, "B")
        return si(value) if column.endswith("_macs") else number(value)

    if span.low == float("-inf"):
        return f"up to {write(span.high)}"
    return f"from {write(span.low)}" + ("" if span.high == float("inf") else f" to {write(span.high)}")


# --- what they say ----------------------------------------------------------------------------------------------------
def beside(shown: Shown) -> None:
    """The point that was clicked, the front by number, and the knees."""
    with st.container():  # one place for what comes and goes
        picked(shown)
    with st.container(key="tradeoffs_said"):
        left, right = st.columns(2, gap="medium")
    with left:
        _fronts(shown.trade)
    bends = knees(shown.trade)
    with right:
        if bends:
            st.markdown("**Where it bends (knees)**")
            st.markdown("\n".join(f"- {plain(sentence.removeprefix('Knee of ').rstrip('.'))}" for sentence in bends))


def _fronts(trade: TradeOff) -> None:
    if trade.front:
        st.markdown("**On the Pareto front**")
        numbered = len(trade.front) <= MOST_LISTED
        lines = [describe_setting(trade.points.loc[at], trade.cost) for at in trade.front[:MOST_LISTED]]
        st.markdown("\n".join(f"{f'{i}.' if numbered else '-'} {plain(line)}" for i, line in enumerate(lines, 1)))
        if not numbered:
            st.caption(f"and {len(trade.front) - MOST_LISTED} more: hover over the rings.")


def picked(shown: Shown) -> None:
    """What the clicked point is, and where to go with it."""
    run = state.PICKED.get()
    rows = shown.view.results
    at = rows.index[rows["run"] == run]
    if not run or not len(at):
        st.caption("Click a point to see what it is, and to open its run.")
        return
    points = shown.trade.points
    own = points[[run in runs for runs in points["runs"]]] if len(points) else points
    runs = list(own.iloc[0]["runs"]) if len(own) else [run]
    members = rows[rows["run"].isin(runs)]
    with st.container(border=True, key="tradeoffs_picked"):
        title = (own.iloc[0]["name"] if len(own) else "") or "This setting"
        first = members.iloc[0]
        target = f", {percent(first['target'], 0)} to be removed" if first["target"] == first["target"] else ""
        st.markdown(f"**{plain(str(title))}**{target}")
        facts = [
            f"accuracy {percent(members['accuracy'].mean())}",
            f"{percent(members['sparsity'].mean())} removed",
            si(members["kept_bytes"].mean(), "B"),
            f"{si(members['kept_macs'].mean())} MACs left",
            f"{members['latency_ms'].mean():.3g}\u00a0ms as it is",
        ]
        st.caption(" · ".join(facts) + (f"; means of {plural(len(runs), 'run')}" if len(runs) > 1 else ""))
        with st.container(horizontal=True, gap="small"):
            _links(shown.view, run, [str(r) for r in members["run"]])


def _links(view: View, run: str, runs: list[str]) -> None:
    experiment = view.made(("experiment", run), lambda: _experiment(view, run))
    if view.sample:
        if experiment is not None and (params := race_link.params_of(experiment)) is not None:
            st.page_link(
                "pages/train.py", label="Train it", icon=":material/play_circle:", query_params=params,
                help="The sample's runs are not in this lab; with the same settings and seed they come out the same.",
            )  # fmt: skip
            race_link.link_to(experiment)
        return
    st.page_link("pages/runs.py", label="Open its run", icon=":material/table_rows:", query_params={"runs": run})
    if len(runs) > 1:
        st.page_link(
            "pages/runs.py", label=f"Compare its {min(len(runs), 6)} seeds", icon=":material/compare_arrows:",
            query_params={"runs": ",".join(runs[:6])},
        )  # fmt: skip
    st.page_link("pages/prune.py", label="Prune it", icon=":material/compress:", query_params={"run": run})
    st.page_link("pages/train.py", label="Open on Train", icon=":material/play_circle:", query_params={"run": run})
    if experiment is not None:
        race_link.link_to(experiment)


def _experiment(view: View, run: str) -> Experiment | None:
    """The settings of a point's run; None where this process cannot make them."""
    try:
        if not view.sample:
            return session.store().run(run).experiment
        place = int(view.results.loc[view.results["run"] == run, "member"].iloc[0])
        changes = next((c for i, c in enumerate(view.sweep.space.rows()) if i == place), None)
        return None if changes is None else view.sweep.member(changes)
    except LabError:
        return None
