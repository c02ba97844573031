"""Whole outputs taken out of a model, which then is smaller: torch-pruning follows what hangs together.

A masked model multiplies by zeros. Here channels and neurons go physically: the next layer reads fewer inputs, shapes
change, and dense kernels have less to do. Source: Fang et al. 2023, DepGraph, arXiv:2301.12900.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from prune_core.errors import ConfigError, ModelError
from prune_core.measuring.weights import describe

LARGEST = 20_000_000  # parameters: the graph of a larger one may take minutes, and gigabytes
HALVINGS = 7  # of the interval in which the share by layer is sought: to a hundredth


@dataclass(frozen=True)
class Removed:
    """``model`` has fewer outputs; ``reference`` is the original with those outputs at zero, and answers alike.

    ``sparsity`` is the share of the prunable weights that went, ``by_layer`` the share of outputs in each layer that
    gave some. The last layer keeps all of its outputs: they are the classes.
    """

    model: nn.Module
    reference: nn.Module
    sparsity: float
    by_layer: float


def remove_outputs(model: nn.Module, shape: tuple[int, ...], sparsity: float) -> Removed:
    """Remove the outputs with the smallest L2 norm of weights, the same share in each layer, until ``sparsity`` of the
    prunable weights is gone, or the nearest that whole outputs allow.

    Raises ConfigError unless 0 < sparsity < 1, ModelError for a model whose outputs hang together in ways that are not
    followed here: recurrent layers, attention, no inner layer, or more than 20 million parameters.
    """
    if not 0 < sparsity < 1:
        raise ConfigError(f"sparsity must be greater than 0 and less than 1, got {sparsity}.")
    _check(model)
    low, high = 0.0, 1.0
    best: Removed | None = None
    for _ in range(HALVINGS):
        share = (low + high) / 2
        try:
            made = _remove(model, shape, share)
        except (IndexError, RuntimeError, ValueError, TypeError, KeyError) as error:  # shortcuts that pad, say
            why = " ".join(str(error).split())[:120]
            raise ModelError(f"What hangs together in {type(model).__name__} could not be followed: {why}.") from None
        if best is None or abs(made.sparsity - sparsity) < abs(best.sparsity - sparsity):
            best = made
        if made.sparsity < sparsity:
            low = share
        else:
            high = share
    assert best is not None
    return best


def _check(model: nn.Module) -> None:
    name, weights = type(model).__name__, sum(p.numel() for p in model.parameters())
    if any(isinstance(m, nn.RNNBase | nn.MultiheadAttention) for m in model.modules()):
        raise ModelError(f"{name} has recurrent or attention layers, whose outputs cannot simply be taken out.")
    if weights > LARGEST:
        raise ModelError(f"{name} has {weights:,} parameters; outputs are taken out of models up to {LARGEST:,}.")
    if len(_layers(model)) < 2:
        raise ModelError(f"{name} has no inner layer whose outputs could go.")


def _layers(model: nn.Module) -> list[nn.Module]:
    return [m for m in model.modules() if isinstance(m, nn.Linear | _ConvNd)]


def _remove(model: nn.Module, shape: tuple[int, ...], share: float) -> Removed:
    import torch_pruning  # a second of imports that nothing else needs

    made = copy.deepcopy(model).eval().requires_grad_(True)  # it follows gradients from output to input
    reference = copy.deepcopy(model).eval().requires_grad_(False)
    twins: dict[nn.Module, nn.Module] = dict(zip(made.modules(), reference.modules(), strict=True))
    example = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    norm = torch_pruning.importance.GroupMagnitudeImportance(p=2, target_types=[nn.Linear, _ConvNd])
    pruner: Any = torch_pruning.pruner.BasePruner(
        made, example, importance=norm, pruning_ratio=share, ignored_layers=_layers(made)[-1:],
    )  # fmt: skip
    for group in pruner.step(interactive=True):
        for dependency, index in group:
            if pruner.DG.is_out_channel_pruning_fn(dependency.handler):
                _silence_(twins.get(dependency.target.module), torch.as_tensor(index))
        group.prune()
    before, after = _weights(model), _weights(made)
    return Removed(made.requires_grad_(False), reference, 1 - after / before, share)


@torch.no_grad()
def _silence_(module: nn.Module | None, index: Tensor) -> None:
    """Outputs ``index`` of a layer, or of the normalisation behind it, at zero."""
    if isinstance(module, nn.Linear | _ConvNd | _BatchNorm) and module.weight is not None:
        module.weight[index] = 0
        if module.bias is not None:
            module.bias[index] = 0


def _weights(model: nn.Module) -> int:
    info = describe(model)
    return sum(p.numel() for name, p in model.named_parameters() if info[name].prunable)
