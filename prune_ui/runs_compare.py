"""Two to six runs side by side: their lines in one chart each, and only those settings that differ."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from prune_core.figures.overlay import draw_overlay, overlay_data
from prune_core.figures.palette import idea_of, palette
from prune_core.figures.words import count, percent
from prune_core.tracking import RunRecord
from prune_ui import present_view, take_away, theme
from prune_ui.chart import chart
from prune_ui.live import LiveRun
from prune_ui.naming import differing, short_names, title_of, value_text

Metric = Literal["loss", "accuracy", "grad_norm_before", "grad_norm_after", "clipped", "cosine", "lr", "sparsity"]
CHARTS: tuple[tuple[Metric, Metric], ...] = (("accuracy", "loss"), ("grad_norm_before", "sparsity"))
MORE: tuple[tuple[Metric, Metric], ...] = (("clipped", "cosine"), ("grad_norm_after", "lr"))
STROKES = ("━━━", "╍╍╍", "┅┅┅", "━ · ━", "━━ ━━", "━━ · ━━")  # as the overlay's dashes, in its order
PERCENT = "%.1f\u00a0%%"
MOST_FIGURES = 64

_drawn: dict[tuple[Any, ...], dict[str, Any]] = {}
_drawing = threading.Lock()


def compare(runs: Sequence[LiveRun]) -> None:
    """Draw the comparison."""
    names = short_names([run.record for run in runs])
    lines = [_line(run, name) for run, name in zip(runs, names, strict=True)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"{len(runs)} runs compared", anchor=False, width="stretch")
        take_away.notebook([run.record for run in runs], names, key="runs/compared_notebook")
        present_view.link_to(runs=",".join(run.record.id for run in runs))
    st.dataframe(
        _results(runs, lines),
        key="runs/results",
        hide_index=True,
        column_config={
            "line": st.column_config.TextColumn(width=56, help="How the run is drawn below."),
            "test accuracy": st.column_config.NumberColumn(format=PERCENT),
            "sparsity": st.column_config.NumberColumn(format=PERCENT, help="Share of the prunable weights removed."),
            "parameters left": st.column_config.NumberColumn(
                format="localized", help="Parameters that are not exactly zero."
            ),
            "test loss": st.column_config.NumberColumn(format="%.4g"),
            "took": st.column_config.NumberColumn(format="%.1f s", help="Time spent training."),
        },
        placeholder="–",
    )
    for pair in CHARTS:
        _pair(runs, lines, pair)
    more = st.expander("What clipping did, and the learning rates", key="runs/more", on_change="rerun")
    if more.open:  # else its charts would be drawn and sent for nobody
        with more:
            for pair in MORE:
                _pair(runs, lines, pair)
    differences(runs, names)


def differences(runs: Sequence[LiveRun], names: Sequence[str]) -> None:
    """A row a setting that is not the same everywhere."""
    experiments = [run.record.experiment for run in runs]
    st.subheader("What is set differently", anchor=False)
    paths = differing(experiments)
    if not paths:
        digest = runs[0].record.digest
        st.caption(
            f"Nothing: they have the same settings (digest `{digest}`), so they are one experiment. {_same(runs)}"
        )
        return
    rows = [
        {
            "setting": title_of(path, experiments),
            **{name: value_text(path, experiment) or "–" for name, experiment in zip(names, experiments, strict=True)},
        }
        for path in paths
    ]
    st.dataframe(pd.DataFrame(rows), key="runs/differences", hide_index=True, height="content")


def _same(runs: Sequence[LiveRun]) -> str:
    """Whether runs of one experiment came to one result."""
    ended = [run for run in runs if run.record.status == "finished"]
    if len(ended) < len(runs):
        return "Carried to the end, they come to the same result."
    first = ended[0]
    if all(r.record.accuracy == first.record.accuracy and r.history.equals(first.history) for r in ended[1:]):
        return "Their results are bitwise the same."
    return "Their results differ all the same: something was changed in mid-run, or they ran on different machines."


def _results(runs: Sequence[LiveRun], lines: Sequence[dict[str, Any]]) -> Styler:
    """What each run came to, and how it is drawn: the table is the legend of all charts."""
    records = [run.record for run in runs]
    ideas = [line["idea"] for line in lines]
    colours = palette(theme.current())
    frame = pd.DataFrame(
        {
            "line": [STROKES[ideas[:i].count(idea)] for i, idea in enumerate(ideas)],
            "run": [line["name"] for line in lines],
            "status": [f"{r.status}, step {count(r.step)} of {count(r.steps)}" for r in records],
            "test accuracy": [_percent(r.accuracy) for r in records],
            "sparsity": [_percent(r.sparsity) for r in records],
            "parameters left": [r.summary.get("nonzero") for r in records],
            "test loss": [r.loss for r in records],
            "took": [r.summary.get("seconds") or _seconds(r) for r in records],
        }
    )
    return frame.style.apply(lambda _: [f"color: {colours.idea(idea)}" for idea in ideas], subset=["line"])


def _seconds(record: RunRecord) -> float | None:
    """From its start to now or to its end."""
    return None if record.started is None else (record.ended or time.time()) - record.started


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _line(run: LiveRun, name: str) -> dict[str, Any]:
    experiment = run.record.experiment
    idea = idea_of(clipped=experiment.clip is not None, pruned=experiment.prune is not None)
    return {"name": name, "idea": idea, "history": run.history, "evals": run.evals}


def _pair(runs: Sequence[LiveRun], lines: Sequence[dict[str, Any]], pair: tuple[Metric, Metric]) -> None:
    for column, metric in zip(st.columns(2, gap="medium"), pair, strict=True):
        with column:
            figure = _figure(runs, lines, metric)
            chart(figure, key=f"runs/{metric}", height=380, alt=figure["layout"]["meta"].get("alt", ""))


def _figure(runs: Sequence[LiveRun], lines: Sequence[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    """Drawn anew only where one of the runs has moved, and once for all who compare the same."""
    moved = [(r.record.id, r.record.attempt, r.version, r.step, len(r.evals)) for r in runs]
    state = (metric, *moved, *(line["name"] for line in lines))
    with _drawing:
        figure = _drawn.pop(state, None) or draw_overlay.plain(overlay_data(lines, metric))
        _drawn[state] = figure  # the last one used goes last
        while len(_drawn) > MOST_FIGURES:
            _drawn.pop(next(iter(_drawn)))
    return figure


def worth(run: LiveRun) -> str:
    """What a run came to, in a few words."""
    record = run.record
    parts = []
    if record.accuracy is not None:
        parts.append(f"test accuracy {percent(record.accuracy)}")
    if record.sparsity:
        parts.append(f"{percent(record.sparsity)} of the prunable weights removed")
    left, total = record.summary.get("nonzero"), record.summary.get("parameters")
    if left is not None and total is not None:
        parts.append(f"{count(left)} of {count(total)} parameters are not zero")
    return ", ".join(parts)
