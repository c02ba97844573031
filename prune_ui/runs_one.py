"""One run on the Runs page: how it ended, its charts, its settings, and what can be done with it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from prune_core.errors import LabError
from prune_core.tracking import SWEEP
from prune_ui import explain, mlflow_line, present_view, race_link, session, take_away, train_charts
from prune_ui import runs_state as state
from prune_ui.fields import plain
from prune_ui.live import LiveRun
from prune_ui.naming import describe, title_of, value_text
from prune_ui.runs_compare import worth
from prune_ui.train_status import LOOKS


def one(run: LiveRun) -> None:
    """Draw the run."""
    experiment = run.record.experiment
    with st.container():  # one place for what comes and goes: the charts below keep theirs
        _head(run)
    _buttons(run)
    left, right = st.columns(2, gap="medium")
    with left:
        train_charts.learning(run)
    with right:
        train_charts.norms(run, None, None)
    left, right = st.columns(2, gap="medium")
    with left:
        train_charts.clipped(run)
    with right:
        train_charts.sparsity(run)
    with st.expander("All settings"):
        flat = experiment.flat()
        rows = [
            {"setting": title_of(p, [experiment]), "value": value_text(p, experiment), "name in code": p} for p in flat
        ]
        st.dataframe(pd.DataFrame(rows), key="runs/settings", hide_index=True, height="content")
        st.caption(f"Digest `{run.record.digest}`: equal digests are equal settings.")
    with st.expander("The same in code", icon=":material/code:"):
        st.code(_code(run), language="python", wrap_lines=True)
    _publishing(run)


def _head(run: LiveRun) -> None:
    """What the run is, how it ended, and why."""
    record, experiment = run.record, run.record.experiment
    st.subheader(record.name or describe(experiment), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if record.read_only:
            st.badge("Sample run", icon=":material/auto_stories:", color="violet")
        look = LOOKS[record.status]
        st.badge(look.label, icon=look.icon, color=look.colour)
        st.caption(worth(run) or "No accuracy yet.")
    if record.status == "failed":
        st.error(explain.failed(plain(record.reason)), icon=":material/error:")
    elif record.status == "diverged":
        st.warning(explain.diverged(plain(record.reason), experiment.clip is not None), icon=":material/trending_up:")
    elif record.status in ("stopped", "cancelled") and record.reason:
        st.caption(f"Why it ended: {plain(record.reason)}.")
    if warning := str(record.summary.get("warning", "")):
        st.warning(plain(warning), icon=":material/save:")


def _buttons(run: LiveRun) -> None:
    record = run.record
    link = {"run": record.id}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="runs_buttons"):
        st.page_link(
            "pages/train.py", label="Open on Train", icon=":material/play_circle:", query_params=link,
            help="Watch it, with its settings in the form: train it once more, or with something changed.",
        )  # fmt: skip
        if record.checkpoint or record.read_only or record.status == "finished":
            st.page_link("pages/prune.py", label="Prune it", icon=":material/compress:", query_params=link)
        race_link.link_to(run.record.experiment)
        take_away.notebook([record], [record.name or describe(run.record.experiment)], key="runs/one_notebook")
        if record.has_ended:
            present_view.link_to(**link)
        if record.parent and record.parent.startswith(SWEEP):
            st.page_link(
                "pages/trade_offs.py", label="Its sweep", icon=":material/scatter_plot:",
                query_params={"sweep": record.parent}, help="All runs that it was made with, side by side.",
            )  # fmt: skip
        if record.status in ("failed", "stopped", "cancelled") and session.may_control(record):
            st.button(
                "Retry" if record.status == "failed" else "Go on",
                key="runs/retry", icon=":material/replay:", type="tertiary",
                on_click=state.retry, args=(record.id,), help="Go on from the last checkpoint of this run.",
            )  # fmt: skip


def _code(run: LiveRun) -> str:
    record = run.record
    if record.read_only:
        settings = record.experiment.to_json()
        return f'import prune_core as pc\n\nexp = pc.Experiment.from_json("""{settings}""")\nresult = pc.run(exp)'
    return (
        "import prune_core as pc\n\n"
        f'run = pc.Lab().handle("{record.id}")\n'
        "run.history(), run.evals()          # DataFrames\n"
        "exp = run.record.experiment         # the settings\n"
        "result = pc.run(exp)                # the same again, in this process"
    )


def _publishing(run: LiveRun) -> None:
    """Whether MLflow has it, and the way to try again."""
    record = run.record
    if record.read_only or run.active:
        return
    mlflow_line.show(record, "runs/publish", state.publish if _mine(run) else None)


def _mine(run: LiveRun) -> bool:
    try:
        return session.may_control(run.record)
    except LabError:
        return False
