"""The charts of the Prune page, all from one answer of the preview worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from prune_core.figures.accuracy_sparsity import accuracy_sparsity_data, draw_accuracy_sparsity
from prune_core.figures.layer_bars import draw_layer_bars, layer_bars_data
from prune_core.figures.layer_sensitivity import draw_layer_sensitivity, layer_sensitivity_data
from prune_core.figures.mask_picture import draw_mask_picture, mask_picture_shares
from prune_core.figures.weight_histogram import draw_weight_histogram, weight_histogram_counts
from prune_core.figures.words import count
from prune_core.jobs import PreviewReply, SensitivityScan
from prune_core.training.sensitivity import sensitivity_table
from prune_ui.chart import chart

TALL, HIGH = 380, 340  # px


def curve(reply: PreviewReply, points: list[dict[str, Any]], on_drag: Callable[[float], None]) -> None:
    """Accuracy against sparsity, with the dot where the slider stands."""
    now = reply.accuracy
    figure = draw_accuracy_sparsity.plain(
        accuracy_sparsity_data(
            points,
            dot=reply.sparsity,
            dot_accuracy=now.accuracy if now else None,
            dot_low=now.interval[0] if now else None,
            dot_high=now.interval[1] if now else None,
            dense=reply.dense.accuracy if reply.dense else None,
            n=now.n if now else None,
            total=now.of if now else None,
        )
    )
    drag = {**figure["layout"]["meta"].get("drag", {}), "live": True}
    _show("curve", TALL, figure, drag, on_drag)


def histogram(reply: PreviewReply, on_drag: Callable[[float], None] | None) -> None:
    """The weights of the layer: what stays, what goes, and the threshold as a line to take."""
    picture = reply.picture
    if picture is None:
        return
    layer = next(x for x in reply.layers if x.name == picture.name)
    # a line on the axis of weights only where the score is their size; then also at 0, to be taken from there
    threshold = (layer.threshold or 0.0) if on_drag is not None else None
    shown, numel = int(picture.weights.sum() + picture.removed.sum()), layer.numel
    name = picture.name if shown == numel else f"{picture.name}, the {count(shown)} weights that the run left"
    figure = draw_weight_histogram.plain(
        weight_histogram_counts(name, picture.edges, picture.weights, picture.removed, threshold)
    )
    drag = figure["layout"]["meta"].get("drag") if on_drag is not None else None
    _show("histogram", TALL, figure, {**drag, "live": True} if drag else None, on_drag)


def layers(reply: PreviewReply, chosen: str) -> None:
    """How much of every layer goes."""
    rows = [{"name": x.name, "numel": x.numel, "kept": x.kept} for x in reply.layers]
    figure = draw_layer_bars.plain(layer_bars_data(rows, chosen))
    _show("layers", int(figure["layout"].get("height") or HIGH), figure)


def mask(reply: PreviewReply) -> None:
    """Which weights of the layer are left."""
    picture = reply.picture
    if picture is None:
        return
    layer = next(layer for layer in reply.layers if layer.name == picture.name)
    data = mask_picture_shares(picture.name, picture.mask.astype(np.float32) / 255, layer.shape)
    # the cells are rounded to 1/255: the counts say it exactly, as the other charts do
    _show("mask", HIGH, draw_mask_picture.plain(replace(data, sparsity=layer.sparsity)))


def sensitivity(scan: SensitivityScan, on_select: Callable[[Mapping[str, Any]], None]) -> None:
    """Accuracy with each layer pruned alone, as far as it is measured: a place for every cell from the start."""
    dense = scan.dense
    figure = draw_layer_sensitivity.plain(
        layer_sensitivity_data(
            sensitivity_table(scan.cells),
            scan.layers,
            scan.request.sparsities,
            dense=dense.accuracy if dense else None,
            n=dense.n if dense else None,
            total=dense.of if dense else None,
        )
    )
    key = "prune/sensitivity"
    chart(figure, key=key, alt=figure["layout"]["meta"]["alt"], select="click", on_select=on_select)


def show(name: str, figure: dict[str, Any]) -> None:
    """A figure of its own height, with the words for it."""
    _show(name, int(figure["layout"]["height"]), figure)


def download(label: str, table: pd.DataFrame, name: str, key: str) -> None:
    """A table to take away; made when it is asked for."""
    st.download_button(
        label, lambda: table.to_csv(index=False), name, "text/csv", key=key, icon=":material/download:",
        type="tertiary", on_click="ignore",
    )  # fmt: skip


def _show(
    name: str,
    height: int,
    figure: dict[str, Any],
    drag: dict[str, Any] | None = None,
    on_drag: Callable[[float], None] | None = None,
) -> None:
    alt = figure["layout"]["meta"].get("alt", "")
    chart(figure, key=f"prune/{name}", height=height, alt=alt, drag=drag, on_drag=on_drag)
