"""A model under masks for a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from prune_core.data import Dataset
from prune_core.pruning import apply_masks_
from prune_core.pruning.quiet import normalised
from prune_core.training.recalibrate import recalibrate_
from prune_core.training.sensitivity import RECALIBRATED


@contextmanager
def pruned(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    data: Dataset | None = None,
    seed: int | None = None,
    backup: Mapping[str, Tensor] | None = None,
) -> Iterator[nn.Module]:
    """Within the block the model's ``weights`` are pruned by ``masks``; afterwards it is bitwise what it was.

    With ``data`` and ``seed`` batch normalisation is measured anew on 512 training examples first. ``backup`` holds
    the weights as they are where somebody keeps a copy anyway.
    """
    with torch.no_grad():
        held = backup or {name: weights[name].clone() for name in masks}
        anew = data is not None and seed is not None and bool(normalised(model))
        buffers = [(b, b.clone()) for b in model.buffers()] if anew else []
        try:
            apply_masks_(weights, masks)
            if anew:
                assert data is not None and seed is not None, "checked above"
                recalibrate_(model, data, seed, RECALIBRATED)
            yield model
        finally:
            for name in masks:
                weights[name].copy_(held[name])
            for buffer, value in buffers:
                buffer.copy_(value)
