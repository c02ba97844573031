"""Two to six runs side by side: their lines in one chart each, and only those settings that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from prune_core.figures.overlay import draw_overlay, overlay_data
from prune_core.figures.palette import idea_of
from prune_core.figures.words import count, percent
from prune_ui import session
from prune_ui.chart import chart
from prune_ui.live import LiveRun
from prune_ui.naming import differing, short_names, title_of, value_text

Metric = Literal["loss", "accuracy", "grad_norm_before", "grad_norm_after", "clipped", "cosine", "lr", "sparsity"]
CHARTS: tuple[tuple[Metric, Metric], ...] = (("accuracy", "loss"), ("grad_norm_before", "sparsity"))
MORE: tuple[tuple[Metric, Metric], ...] = (("clipped", "cosine"), ("grad_norm_after", "lr"))


def compare(runs: Sequence[LiveRun]) -> None:
    """Draw the comparison."""
    names = short_names([run.record for run in runs])
    st.subheader(f"{len(runs)} runs compared", anchor=False)
    st.dataframe(
        _results(runs, names),
        key="runs/results",
        hide_index=True,
        column_config={
            "test accuracy": st.column_config.NumberColumn(format="percent"),
            "weights removed": st.column_config.NumberColumn(format="percent"),
            "parameters left": st.column_config.NumberColumn(
                format="localized", help="Parameters that are not exactly zero."
            ),
            "loss": st.column_config.NumberColumn(format="%.4g"),
            "took": st.column_config.NumberColumn(format="%.1f s", help="Time spent training."),
        },
    )
    lines = [_line(run, name) for run, name in zip(runs, names, strict=True)]
    for pair in CHARTS:
        _pair(runs, lines, pair)
    with st.expander("What clipping did, and the learning rates"):
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
        same = "the results are bitwise the same" if _same_results(runs) else "their results still differ"
        st.caption(f"Nothing: all have the same settings (digest `{digest}`), and {same}.")
        return
    rows = [
        {
            "setting": title_of(path, experiments),
            **{name: value_text(path, experiment) or "–" for name, experiment in zip(names, experiments, strict=True)},
        }
        for path in paths
    ]
    st.dataframe(pd.DataFrame(rows), key="runs/differences", hide_index=True)


def _same_results(runs: Sequence[LiveRun]) -> bool:
    first = runs[0]
    return all(
        run.record.accuracy == first.record.accuracy and run.history.equals(first.history)
        for run in runs
        if not run.active
    )


def _results(runs: Sequence[LiveRun], names: Sequence[str]) -> pd.DataFrame:
    records = [run.record for run in runs]
    return pd.DataFrame(
        {
            "run": list(names),
            "status": [f"{r.status}, step {count(r.step)} of {count(r.steps)}" for r in records],
            "test accuracy": [r.accuracy for r in records],
            "weights removed": [r.sparsity for r in records],
            "parameters left": [r.summary.get("nonzero") for r in records],
            "loss": [r.loss for r in records],
            "took": [r.summary.get("seconds") for r in records],
        }
    )


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
    """Drawn anew only where one of the runs has moved."""
    state = tuple((run.record.id, run.version, line["name"]) for run, line in zip(runs, lines, strict=True))
    made: dict[str, tuple[Any, dict[str, Any]]] = session.Key[dict[str, Any]]("runs/figures", {}).get()
    before = made.get(metric)
    if before is None or before[0] != state:
        made = {**made, metric: (state, draw_overlay.plain(overlay_data(lines, metric)))}
        session.Key[dict[str, Any]]("runs/figures", {}).set(made)
    return made[metric][1]


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
