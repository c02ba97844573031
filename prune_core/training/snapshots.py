"""Histograms of weights and gradients by layer, on edges that stay fixed for a run, and the 2-D decision boundary."""

from __future__ import annotations

import numpy as np
import torch

from prune_core.clipping import ClipReport
from prune_core.data import Dataset
from prune_core.events import (
    GRADIENT_BINS,
    GRADIENT_DECADES,
    MAX_LAYERS,
    WEIGHT_BINS,
    Boundary,
    LayerSnapshot,
    SnapshotEvent,
)
from prune_core.training.binning import bin_counts
from prune_core.training.flat import FlatModel
from prune_core.training.masking import RunMasks

GRID = 60


@torch.no_grad()
def gradient_counts(flat: FlatModel, masks: RunMasks) -> dict[str, tuple[np.ndarray, int]]:
    """``{layer: (counts (60,) of log10|g|, entries exactly 0)}`` of the largest layers; call it before clipping."""
    found = {}
    for name in shown(masks):
        g = flat.gradients.values[flat.span(name)]
        zeros = g.numel() - int(g.count_nonzero())
        # what is below the lowest bin belongs to it; left as it is, the logarithm of 0 and of denormals is slow
        size = g.abs().clamp_(min=10 ** GRADIENT_DECADES[0])
        counts = bin_counts(size.log10_(), *GRADIENT_DECADES, GRADIENT_BINS)
        counts[0] -= zeros
        found[name] = (counts, zeros)
    return found


@torch.no_grad()
def snapshot(
    step: int,
    flat: FlatModel,
    masks: RunMasks,
    gradients: dict[str, tuple[np.ndarray, int]],
    report: ClipReport | None,
    dataset: Dataset,
) -> SnapshotEvent:
    """The state after ``step`` updates. Before the first update there is no gradient and its counts are 0."""
    norms = _by_layer(report, flat)
    layers = []
    for name in shown(masks):
        w = masks.weights[name].detach()
        mask = masks.masks.get(name)
        low, high = masks.edges[name]
        counts, kept = bin_counts(w.reshape(-1), low, high, WEIGHT_BINS), w.numel()
        if mask is not None:
            kept = masks.kept[name]
            # removed weights are exactly 0: all of them counted in one bin
            counts -= (w.numel() - kept) * bin_counts(w.new_zeros(1), low, high, WEIGHT_BINS)
        hist, zeros = gradients.get(name, (np.zeros(GRADIENT_BINS, np.int32), 0))
        before, after, clipped, cosine = norms.get(name, (0.0, 0.0, 0.0, 1.0))
        layers.append(
            LayerSnapshot(
                name=name,
                shape=tuple(w.shape),
                numel=w.numel(),
                kept=kept,
                edges=(low, high),
                weights=counts,
                removed=masks.removed_counts(name),
                gradients=hist,
                zero_gradients=zeros,
                threshold=masks.thresholds.get(name),
                norm_before=before,
                norm_after=after,
                clipped=clipped,
                cosine=cosine,
            )
        )
    return SnapshotEvent(step, tuple(layers), boundary(flat.model, dataset))


def shown(masks: RunMasks) -> list[str]:
    """The layers that snapshots show: all, or the 64 with most weights, in the model's order."""
    names = list(masks.weights)
    if len(names) <= MAX_LAYERS:
        return names
    largest = sorted(names, key=lambda n: -masks.weights[n].numel())[:MAX_LAYERS]
    return [n for n in names if n in set(largest)]


def boundary(model: torch.nn.Module, dataset: Dataset) -> Boundary | None:
    """Class regions over the extent of a 2-D data set; None for any other."""
    extent = dataset.extent
    if extent is None:
        return None
    x0, x1, y0, y1 = extent
    xs, ys = torch.linspace(x0, x1, GRID), torch.linspace(y0, y1, GRID)
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], -1).reshape(-1, 2)  # (3600, 2), row 0 lowest y
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        shares = torch.softmax(model(grid.to(dataset.train_y.device)).float(), 1)
    model.train(was_training)
    best, which = shares.max(1)
    return Boundary(
        extent,
        which.to("cpu", torch.uint8).view(GRID, GRID).numpy(),
        (best * 255).round().to("cpu", torch.uint8).view(GRID, GRID).numpy(),
    )


def _by_layer(report: ClipReport | None, flat: FlatModel) -> dict[str, tuple[float, float, float, float]]:
    if report is None:
        return {}
    columns = (report.layer_norm_before, report.layer_norm_after, report.layer_changed, report.layer_cosine)
    rows = torch.stack([c.float() for c in columns], 1).tolist()  # (layers, 4)
    return {name: tuple(row) for name, row in zip(flat.names, rows, strict=True)}
