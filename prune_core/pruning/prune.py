"""Prune any model once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prune_core.errors import ConfigError
from prune_core.pruning.criteria import Criterion, Magnitude
from prune_core.pruning.masks import Masks, Scope, apply_masks_, make_masks
from prune_core.pruning.prunable import prunable
from prune_core.seeding import generator


def prune_(
    model: nn.Module,
    sparsity: float,
    criterion: Criterion | None = None,
    scope: Scope = "global",
    batch: tuple[Tensor, Tensor] | None = None,
    masks: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> Masks:
    """Remove ``sparsity`` of the prunable weights of any model: set them to 0 in place and return the masks.

    The share is of the weights that ``prunable`` names, the ones removed earlier included: two calls with 0.5 leave
    half, not a quarter, if the second is given the first's ``masks``. Biases and normalisation count in neither. The
    model keeps its parameters and its state dict's keys, and gets no hook: training goes on as before, and
    ``apply_masks_`` after every update keeps removed weights at 0.

    ``criterion`` is Magnitude() unless given; ``batch`` (inputs, class indices) is for those that look at gradients of
    the cross entropy; ``seed`` for those that draw. Raises ConfigError for a model without prunable weights, a sparsity
    outside [0, 1) and a batch that is missing.
    """
    criterion = Magnitude() if criterion is None else criterion
    found = prunable(model)
    if not found:
        raise ConfigError(
            f"{type(model).__name__} has no prunable weights: it needs linear, convolution, "
            "attention or recurrent layers."
        )
    weights = {name: w.detach() for name, w in found.items()}
    grads = _gradients(model, found, criterion, batch) if "gradients" in criterion.needs else None
    scores = criterion.score(weights, grads, generator(seed, "masks"))
    made = make_masks(scores, sparsity, scope, keep=masks)
    apply_masks_(weights, made)
    return made


def _gradients(
    model: nn.Module, weights: Mapping[str, nn.Parameter], criterion: Criterion, batch: tuple[Tensor, Tensor] | None
) -> dict[str, Tensor]:
    """Of the mean cross entropy on ``batch``; the parameters' own ``grad`` stays as it is."""
    if batch is None:
        raise ConfigError(f"{type(criterion).__name__} looks at gradients: give batch=(inputs, class indices).")
    inputs, classes = batch
    with torch.enable_grad():
        loss = F.cross_entropy(model(inputs), classes)
        found = torch.autograd.grad(loss, list(weights.values()))
    return dict(zip(weights, found, strict=True))
