"""The charts of the Train page. Each is made once a snapshot of a run, for all who watch it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from prune_core.clipping import ClipStrategy, NormClip
from prune_core.events import STEP_FIELDS, LayerSnapshot, SnapshotEvent
from prune_core.figures.clipped_share import clipped_share_data, draw_clipped_share
from prune_core.figures.decision_boundary import decision_boundary_data, draw_decision_boundary
from prune_core.figures.drawing import empty
from prune_core.figures.gradient_histogram import draw_gradient_histogram, gradient_histogram_data
from prune_core.figures.gradient_norm import draw_gradient_norm, gradient_norm_data
from prune_core.figures.loss_accuracy import draw_loss_accuracy, loss_accuracy_data
from prune_core.figures.palette import idea_of, palette
from prune_core.figures.sparsity import draw_sparsity, sparsity_data
from prune_core.figures.weight_histogram import draw_weight_histogram, weight_histogram_data
from prune_ui import cache, theme
from prune_ui.chart import chart
from prune_ui.live import LiveRun

Figure = dict[str, Any]
TALL, HIGH = 400, 320  # px
AT_LEAST = 1000  # steps on an axis; shorter runs have all of theirs on it from the start


def reach(run: LiveRun) -> int:
    """How far the axis of steps goes: to the end of the run, or as far as there is anything to see.

    A long run that has just begun would be a line at the edge; it gets a part of the axis that doubles when it is full.
    """
    steps, made = run.record.steps, run.step
    if not run.active:
        return steps if 4 * made >= steps else max(10, made)
    while steps > AT_LEAST and steps // 2 > 4 * made:
        steps //= 2
    return steps


def limits_norm(clip: ClipStrategy | None) -> bool:
    """Whether the strategy's threshold is a length of the whole gradient, so that it stands on the norm's axis."""
    return isinstance(clip, NormClip) and clip.norm_type == 2


def learning(run: LiveRun) -> None:
    """Loss and test accuracy."""
    experiment = run.record.experiment
    idea = idea_of(clipped=experiment.clip is not None, pruned=experiment.prune is not None)
    _show("learning", TALL, run.made("learning", lambda r: draw_loss_accuracy.plain(
        loss_accuracy_data(r.history, r.evals, r.marks, reach(r)), "light", idea)))  # fmt: skip


def norms(run: LiveRun, threshold: float | None, on_drag: Callable[[float], None] | None, height: int = TALL) -> None:
    """Gradient norm before and after; the threshold as a line to take, where it limits the norm."""
    clip = run.record.experiment.clip
    line = threshold if limits_norm(clip) else None
    start = clip.threshold if clip is not None and line is not None else None
    figure = run.made(("norms", line), lambda r: draw_gradient_norm.plain(
        gradient_norm_data(r.history, line, r.marks, reach(r), start)))  # fmt: skip
    _show("norms", height, figure, on_drag, low=1e-6)


def clipped(run: LiveRun) -> None:
    """Share of entries changed, and the cosine."""
    _show("clipped", HIGH, run.made("clipped", lambda r: draw_clipped_share.plain(
        clipped_share_data(r.history, r.marks, reach(r)))))  # fmt: skip


def sparsity(run: LiveRun) -> None:
    """Share of weights removed, with the schedule."""
    _show("sparsity", HIGH, run.made("sparsity", lambda r: draw_sparsity.plain(
        sparsity_data(r.history, plan(r), r.marks, reach(r)))))  # fmt: skip


def weights(run: LiveRun, layer: LayerSnapshot | None) -> None:
    """Histogram of a layer's weights, with what pruning took."""
    if layer is None:
        _show("weights", HIGH, _waiting("Weights: what stays and what pruning takes", "weight", "weights per bin"))
        return
    _show("weights", HIGH, run.made(("weights", layer.name), lambda r: draw_weight_histogram.plain(
        weight_histogram_data(layer))))  # fmt: skip


def gradients(
    run: LiveRun, layer: LayerSnapshot | None, threshold: float | None, on_drag: Callable[[float], None] | None
) -> None:
    """Histogram of a layer's gradient entries; the threshold as a line to take, where it limits entries."""
    if layer is None:
        _show("gradients", HIGH, _waiting("Gradient entries: how large they are", "magnitude", "entries per bin"))
        return
    clip = run.record.experiment.clip
    line = threshold if clip is not None and clip.kind == "value" else None
    figure = run.made(("gradients", layer.name, line), lambda r: draw_gradient_histogram.plain(
        gradient_histogram_data(layer, line)))  # fmt: skip
    _show("gradients", HIGH, figure, on_drag)


def boundary(run: LiveRun) -> None:
    """Which class the model gives to each point of the plane, with the training data."""
    snapshot = run.snapshot
    if snapshot is None or snapshot.boundary is None:
        return

    def make(r: LiveRun) -> Figure:
        x, y = cache.points(r.record.experiment) or (None, None)
        assert snapshot.boundary is not None
        return draw_decision_boundary.plain(decision_boundary_data(snapshot.boundary, x, y, step=snapshot.step))

    _show("boundary", TALL, run.made("boundary", make))


def layer_table(snapshot: SnapshotEvent) -> pd.DataFrame:
    """A row a layer: what it has, what pruning left, what clipping did at that step."""
    return pd.DataFrame(
        {
            "layer": [x.name for x in snapshot.layers],
            "shape": ["×".join(map(str, x.shape)) for x in snapshot.layers],
            "weights": [x.numel for x in snapshot.layers],
            "kept": [x.kept for x in snapshot.layers],
            "removed": [1 - x.kept / x.numel if x.numel else 0.0 for x in snapshot.layers],
            "norm before": [x.norm_before for x in snapshot.layers],
            "norm after": [x.norm_after for x in snapshot.layers],
            "entries clipped": [x.clipped for x in snapshot.layers],
            "cosine": [x.cosine for x in snapshot.layers],
        }
    )


def layers(run: LiveRun) -> None:
    """The layer table."""
    if run.snapshot is None:
        return
    snapshot = run.snapshot
    teal = palette(theme.current()).pruning
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        run.made("layers", lambda _: layer_table(snapshot)),
        key="train/layers",
        hide_index=True,
        column_config={
            "weights": st.column_config.NumberColumn(format="localized"),
            "kept": st.column_config.NumberColumn(format="localized", help="Weights that pruning left."),
            "removed": st.column_config.ProgressColumn(
                format="percent", min_value=0, max_value=1, color=teal, help="Share removed by pruning."
            ),
            "norm before": st.column_config.NumberColumn(format="%.3g", help="Gradient norm before clipping."),
            "norm after": st.column_config.NumberColumn(format="%.3g", help="Gradient norm after clipping."),
            "entries clipped": percent,
            "cosine": st.column_config.NumberColumn(format="%.3f", help="1: clipping kept the gradient's direction."),
        },
    )


def plan(run: LiveRun) -> list[tuple[int, float]] | None:
    """What the schedule asks for, changes in mid-run included: step and sparsity; None without pruning."""
    prune, steps = run.record.experiment.prune, run.record.steps
    if prune is None:
        return None
    schedule = prune.schedule
    targets = run.marks[run.marks["field"] == "sparsity"]
    changes = [(int(s), float(v)) for s, v in zip(targets["step"], targets["value"], strict=True)]
    at = sorted(
        {0, *range(0, steps + 1, max(steps // 200, 1)), min(schedule.end, steps), steps, *(s for s, _ in changes)}
    )
    planned = []
    for step in at:
        while changes and step >= changes[0][0]:
            schedule = schedule.with_final(changes.pop(0)[1])
        planned.append((step, schedule(step)))
    return planned


def blank(name: str) -> None:
    """The chart of that name before there is a run."""
    none = pd.DataFrame(columns=["step", *STEP_FIELDS], dtype=float)
    make: dict[str, Callable[[], tuple[int, Figure]]] = {
        "learning": lambda: (TALL, draw_loss_accuracy.plain(loss_accuracy_data(none))),
        "norms": lambda: (TALL, draw_gradient_norm.plain(gradient_norm_data(none))),
        "clipped": lambda: (HIGH, draw_clipped_share.plain(clipped_share_data(none))),
        "sparsity": lambda: (HIGH, draw_sparsity.plain(sparsity_data(none))),
    }
    height, figure = make[name]()
    _show(name, height, figure)


def _waiting(title: str, x: str, y: str) -> Figure:
    figure = empty(title, "Comes with the first snapshot.", x=x, y=y)
    figure["layout"]["meta"]["theme"] = "light"
    return figure


def _show(
    key: str, height: int, figure: Figure, on_drag: Callable[[float], None] | None = None, *, low: float | None = None
) -> None:
    meta = figure["layout"]["meta"]
    drag = meta.get("drag") if on_drag is not None else None
    if drag is not None and low is not None:
        drag = {**drag, "min": max(drag.get("min", low), low)}
    chart(figure, key=f"train/{key}", height=height, alt=meta.get("alt", ""), drag=drag, on_drag=on_drag)
