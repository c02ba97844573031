"""The Trade-offs page: choose a sweep or make one, watch it, read what it says, take it away."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from prune_core import export
from prune_core.comparing import line_fields, varying
from prune_core.comparing.tables import is_sparsity
from prune_core.errors import LabError
from prune_core.figures.words import count, plural
from prune_core.tracking import SweepRecord
from prune_ui import mlflow_line, present_view, session, take_away, tradeoffs_charts, tradeoffs_form, tradeoffs_words
from prune_ui import tradeoffs_state as state
from prune_ui.explain import time_left
from prune_ui.fields import plain
from prune_ui.session import Key
from prune_ui.tradeoffs_charts import TITLES, Shown
from prune_ui.tradeoffs_read import SAMPLE, View, listing, sample

TICK_S = 1.0
PUBLISHING_TICK_S = 5.0
READ_S = 8.0
NOTE: Key[tuple[str, str, float]] = Key("tradeoffs/note", ("", "", 0.0))  # kind, text, until when
LOOKS = {"running": ("running", "blue"), "finished": ("finished", "green"), "stopped": ("stopped", "orange"),
         "failed": ("failed", "red")}  # fmt: skip


def show() -> None:
    """Draw the page, and go on drawing what moves while the sweep runs."""
    try:
        view = state.shown()
    except LabError as error:  # not even the sample
        st.error(str(error), icon=":material/error:")
        tradeoffs_form.show()
        return
    _choose(view)
    key = "tradeoffs/new"
    if st.session_state.get(key) != state.OPEN.get():
        st.session_state[key] = state.OPEN.get()
    form = st.expander(
        "New sweep", icon=":material/add:", key=key, expanded=state.OPEN.get(),
        on_change=lambda: state.OPEN.set(bool(st.session_state[key])),
    )  # fmt: skip
    if form.open:
        with form:
            tradeoffs_form.show()
    st.fragment(_page, run_every=_tick(view))(_tick(view))


def _tick(view: View) -> float | None:
    """Seconds between two looks at the sweep; None where nothing will change by itself."""
    return TICK_S if view.running else PUBLISHING_TICK_S if view.to_be_published else None


def _choose(view: View) -> None:
    """Which sweep is looked at."""
    found: dict[str, str] = {SAMPLE: f"Sample: {_sample_name()}"}
    found |= {one.id: _called(one) for one in listing()}
    found.setdefault(view.id, view.name or view.id)
    key = "tradeoffs/choose"
    if st.session_state.get(key) != view.id:
        st.session_state[key] = view.id
    st.selectbox(
        "Sweep", list(found), list(found).index(view.id), key=key, format_func=lambda i: found.get(i, i), width=520,
        on_change=lambda: state.choose(st.session_state[key]), label_visibility="collapsed",
    )  # fmt: skip


def _sample_name() -> str:
    try:
        return sample().name
    except LabError:
        return "cannot be read"


def _called(record: SweepRecord) -> str:
    """The same for as long as the sweep is there: a browser knows what is chosen by its words."""
    when = time.strftime("%d %b, %H:%M", time.localtime(record.created))
    mine = "" if record.owner in ("", session.owner()) else " · somebody else's"
    return f"{record.name or 'Sweep'} · {plural(record.total, 'run')} · {when} · {record.id[-4:]}{mine}"


def _page(tick: float | None) -> None:
    view = state.shown()
    # each has a place of its own: a line that comes or goes in one would else make all below it anew, zoom and all
    head, chart, more, words, takeaway = (st.container() for _ in range(5))
    with head:
        _head(view)
        _notes()
    shown = tradeoffs_charts.shown_of(view)
    with chart:
        _controls(shown)
        tradeoffs_charts.trade_off(shown)
        _left_out(shown)
        tradeoffs_charts.beside(shown)
    with more:
        tradeoffs_charts.parallel(shown)
        tradeoffs_charts.heat_map(shown)
    with words:
        tradeoffs_words.section(shown)
    with takeaway:
        _downloads(shown)
        _publishing(view)
    state.keep_link(view)
    if _tick(view) != tick or state.AGAIN.pop():  # another pace from now on, or another sweep
        session.rerun()


def _head(view: View) -> None:
    """How far it is, and what can be done with it."""
    word, colour = LOOKS.get(view.status, (view.status, "gray"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tradeoffs_head"):
        if view.sample:
            st.badge("Sample", icon=":material/auto_stories:", color="violet")
            st.caption(f"{plural(len(view.results), 'run')}, measured on another machine and shipped with the lab.")
        elif view.progress is not None:
            progress = view.progress
            if view.running:
                st.progress(progress.done / max(progress.total, 1), text=_progress(view))
            else:
                st.badge(word, color=colour)  # type: ignore[arg-type]
                st.caption(_progress(view), width="content")
        if view.mine:
            if view.running:
                st.button(
                    "Stop", key="tradeoffs/stop", icon=":material/stop:", on_click=state.steer, args=(view.id, "stop")
                )
            else:
                _ended(view)
        if not view.running:
            st.button(
                "One like it", key="tradeoffs/copy", icon=":material/content_copy:", type="tertiary",
                on_click=_copy, args=(view,), help="Put its experiment on Train and its fields into the form above.",
            )  # fmt: skip
    if view.problem:
        st.warning(f"What is shown may be old: {plain(view.problem)}", icon=":material/cloud_off:")
    if view.status == "failed" and view.reason:
        st.error(plain(view.reason), icon=":material/error:")


def _ended(view: View) -> None:
    progress = view.progress
    if progress is not None and (progress.done < progress.total or progress.failed):
        st.button(
            "Go on" if progress.done < progress.total else "Try the failed ones again", key="tradeoffs/resume",
            icon=":material/play_arrow:", on_click=state.steer, args=(view.id, "resume"),
        )  # fmt: skip
    st.button(
        "Delete", key="tradeoffs/delete", icon=":material/delete:", type="tertiary", on_click=state.delete,
        args=(view.id,), help="Takes the sweep off the list; its runs stay under Runs.",
    )  # fmt: skip


def _copy(view: View) -> None:
    tradeoffs_form.take(view.sweep)
    state.AGAIN.set(True)


def _progress(view: View) -> str:
    assert view.progress is not None
    p = view.progress
    parts = [f"{count(p.done)} of {plural(p.total, 'run')}"]
    parts += [f"{count(p.reused)} there already"] * (p.reused > 0)
    parts += [f"{count(p.failed)} failed"] * (p.failed > 0)
    parts += [time_left(p.seconds_left)] * view.running
    parts += [f"{count(p.running)} at work"] * (view.running and p.running > 0)  # last: it comes and goes
    return " · ".join(x for x in parts if x)


def _left_out(shown: Shown) -> None:
    """Runs that count differently, or not at all."""
    states = shown.rows["status"].value_counts()
    parts = []
    if n := int(states.get("diverged", 0)):
        parts.append(f"{plural(n, 'run')} diverged and count with their last good state")
    if n := int(states.get("stopped", 0)):
        parts.append(f"{plural(n, 'run')} stopped early and are left out")
    if parts:
        st.caption(f"{'; '.join(parts)}.")


def _controls(shown: Shown) -> None:
    """The x axis, and what tells lines apart."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="tradeoffs_controls"):
        cost = state.COST.get()
        key = "tradeoffs/cost/widget"
        if st.session_state.get(key) != cost:
            st.session_state[key] = cost
        st.segmented_control(
            "Accuracy against", list(state.COSTS), default=cost, key=key, format_func=state.COSTS.__getitem__,
            required=True, on_change=lambda: state.COST.set(st.session_state[key]),
            help="Sparsity: weights removed. Bytes: one bit a weight, and the weights left. MACs: of the weights left. "
            "Latency: measured; a mask alone makes nothing faster.",
        )  # fmt: skip
        results = shown.view.results
        fields = shown.view.made("fields", lambda: [c for c in varying(results) if not is_sparsity(c)])
        if len(fields) > 1:
            _lines(shown, fields)


def _lines(shown: Shown, fields: list[str]) -> None:
    view = shown.view
    first = view.made("line fields", lambda: line_fields(view.results))
    by = [c for c in (shown.by if shown.by is not None else first) if c in fields]
    key = "tradeoffs/by/widget"
    if st.session_state.get(key) != by:
        st.session_state[key] = by
    st.multiselect(
        "A line for each", fields, by, key=key, width=420, placeholder="all in one",
        format_func=lambda c: TITLES.get(c) or shown.titles.get(c) or c.rpartition(".")[2].replace("_", " "),
        on_change=lambda: state.BY.set(list(st.session_state[key])),
    )  # fmt: skip


def _notes() -> None:
    """What a click came to. It stays for as long as it takes to read, however often the page is drawn meanwhile."""
    for kind, key in (("error", state.SAID), ("done", state.DONE)):
        if text := key.pop():
            NOTE.set((kind, text, time.monotonic() + READ_S))
    kind, text, until = NOTE.get()
    if time.monotonic() <= until:
        if kind == "error":
            st.error(plain(text), icon=":material/error:")
        else:
            st.success(plain(text), icon=":material/check:")


def _downloads(shown: Shown) -> None:
    """The results as a table, as a file, and the sweep as a notebook. Pictures are saved at the charts."""
    view = shown.view
    table = st.expander(f"All {plural(len(view.results), 'run')} as a table", key="tradeoffs/table", on_change="rerun")
    if table.open:
        with table:
            rows = shown.rows
            st.dataframe(rows, key="tradeoffs/rows", hide_index=True, height=380, column_config=_columns(rows))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = f"sweep-{view.id}"
        st.download_button(
            "Results (CSV)", lambda: view.raw.to_csv(index=False), f"{name}.csv", "text/csv", key="tradeoffs/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Open as notebook",
            lambda: export.written(
                export.sweep_notebook(view.sweep, view.name, "" if view.sample else view.id, state.COST.get())
            ),
            f"{name}.ipynb", "application/x-ipynb+json",
            key="tradeoffs/notebook", icon=":material/book:", on_click="ignore", type="tertiary",
            help="The sweep in full as Python, its results and figures; runs without the app.",
        )  # fmt: skip
        present_view.link_to(sweep=view.id)
        st.caption("Pictures as PNG or SVG: the buttons at each chart.", width="content")
    take_away.box(lambda: export.sweep_code(view.sweep, state.COST.get()), key="tradeoffs/code")


def _publishing(view: View) -> None:
    """Whether MLflow has the sweep."""
    if not view.sample and not view.running:
        mlflow_line.show(
            view, "tradeoffs/publish", state.publish if view.mine else None,
            "The sweep as a parent run with its settings, cost and results, and its runs as child runs.",
        )  # fmt: skip


def _columns(rows: Any) -> dict[str, Any]:
    share = st.column_config.NumberColumn(format="percent")
    return {c: share for c in ("accuracy", "sparsity", "target") if c in rows}
