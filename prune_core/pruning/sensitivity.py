"""What pruning one layer alone costs in loss, on training examples: the scan behind the scope "sensitivity"."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prune_core.errors import ConfigError
from prune_core.pruning.criteria import Criterion
from prune_core.pruning.evidence import Batch, Evidence
from prune_core.pruning.granularity import Groups, Unit
from prune_core.pruning.masks import Masks, apply_masks_, count_kept, make_masks, stay_in_units
from prune_core.pruning.quiet import normalised, quiet
from prune_core.pruning.tolerance import LossCurve

EXAMPLES = 512  # training examples: the same for every point, so that differences are of the layer alone
SHARES = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)  # of a layer; close where curves bend


class Loss(NamedTuple):
    """The mean loss with ``removed`` weights of ``layer`` gone; of the model as it is where ``layer`` is empty."""

    layer: str
    removed: int
    loss: float


@dataclass(frozen=True)
class Scanned:
    """What is scanned at once: a layer of ``size`` weights, or layers that lose the same groups, by the first's name.

    ``gone`` of its weights were removed earlier. ``nearest(share)`` says how many are then to be gone, as exactly as
    its groups allow, and ``lowest(k)`` makes the masks that leave out so many.
    """

    name: str
    size: int
    gone: int
    nearest: Callable[[float], int]
    lowest: Callable[[int], Masks]

    @property
    def counts(self) -> list[int]:
        """What is measured for a curve: only what is more than gone already."""
        return [k for k in sorted({self.nearest(share) for share in SHARES}) if k > self.gone]


def scanned(
    weights: Mapping[str, Tensor],
    scores: Mapping[str, Tensor],
    keep: Mapping[str, Tensor],
    groups: Groups | None = None,
) -> list[Scanned]:
    """What ``losses`` measures: each of SHARES or, of ``groups`` that go as wholes, the number that comes nearest."""
    if groups is not None:
        return [_unit(unit, scores, keep) for unit in groups.of(weights)]
    return [_layer(name, w.numel(), scores, keep) for name, w in weights.items()]


def losses(at: Evidence, layers: Iterable[Scanned]) -> Iterator[Loss]:
    """Measure the model as it is, then each of ``layers`` alone at its counts, one at a time.

    Removed are the lowest scores of the layer, what ``at.masks`` removed earlier first; the others stay as they are.
    Normalisation takes each batch's own statistics, which fit the pruned layer, and nothing is dropped by chance.
    Between two points the model is as it was. Raises ConfigError without data, and for a loss that is not finite before
    anything is removed.
    """
    weights, batches = at.weights, list(at.batches(EXAMPLES))
    before = _mean_loss(at.model, batches)
    if not math.isfinite(before):
        raise ConfigError(
            f"Scope 'sensitivity' needs a model with a finite loss on training examples, got {before}; look for a run "
            "that diverged."
        )
    yield Loss("", 0, before)
    for layer in layers:
        for removed in layer.counts:
            yield Loss(layer.name, removed, _with(layer.lowest(removed), weights, at.model, batches))


def loss_curves(layers: Iterable[Scanned], seen: Iterable[Loss]) -> dict[str, LossCurve]:
    """The curves of all ``layers`` from what ``losses`` yielded."""
    before, *rest = seen
    found = {layer.name: {layer.gone: before.loss} if layer.gone else {} for layer in layers}
    for one in rest:
        found[one.layer][one.removed] = one.loss
    return {name: LossCurve.measured(at, before.loss) for name, at in found.items()}


def check_scan(criterion: Criterion) -> None:
    """Raise ConfigError where layers cannot be scanned under ``criterion``."""
    if criterion.before_training:
        raise ConfigError(
            f"Pruning.scope 'sensitivity' measures a network that has learned something, and "
            f"{type(criterion).__name__} is defined before training; choose another scope, or another criterion."
        )


def scan_curves(at: Evidence, scores: Mapping[str, Tensor], groups: Groups | None = None) -> dict[str, LossCurve]:
    """``losses`` to the end, as curves; where weights of ``groups`` go together, by the first name of each unit."""
    layers = scanned(at.weights, scores, at.masks, groups)
    return loss_curves(layers, losses(at, layers))


def lowest(name: str, scores: Tensor, removed: int, keep: Mapping[str, Tensor]) -> Masks:
    """The mask of one layer that leaves out its ``removed`` lowest scores, those gone earlier among them."""
    n = scores.numel()
    if removed >= n:  # no sparsity below 1 does that
        return {name: torch.zeros_like(scores, dtype=torch.bool)}
    return make_masks({name: scores}, removed / n, "layer", keep=keep)


def gone_from(name: str, keep: Mapping[str, Tensor]) -> int:
    """Weights of a layer that were removed earlier."""
    return keep[name].numel() - count_kept(keep[name]) if name in keep else 0


def _layer(name: str, size: int, scores: Mapping[str, Tensor], keep: Mapping[str, Tensor]) -> Scanned:
    """One layer, whose weights go one by one."""
    gone = gone_from(name, keep)
    return Scanned(
        name,
        size,
        gone,
        lambda share: max(round(share * size), gone),
        lambda removed: lowest(name, scores[name], removed, keep),  # some scores are made when they are asked for
    )


def _unit(unit: Unit, scores: Mapping[str, Tensor], keep: Mapping[str, Tensor]) -> Scanned:
    """One unit, whose groups go as wholes."""
    left = unit.left(scores, keep).sum(1)
    size = sum(scores[name].numel() for name in unit.names)
    gone = size - int(left.sum())

    def stay(removed: float) -> Tensor:
        return stay_in_units([unit], scores, [left], max(removed - gone, 0.0))[0]

    return Scanned(
        unit.names[0],
        size,
        gone,
        lambda share: size - int(left[stay(share * size)].sum()),
        lambda removed: unit.masks(stay(removed), keep),
    )


def _with(mask: Masks, weights: Mapping[str, Tensor], model: nn.Module, batches: list[Batch]) -> float:
    """The mean loss under the mask of one layer, whose weights are put back."""
    held = {name: weights[name].clone() for name in mask}
    try:
        apply_masks_(weights, mask)
        return _mean_loss(model, batches)
    finally:
        for name, value in held.items():
            weights[name].copy_(value)


@torch.no_grad()
def _mean_loss(model: nn.Module, batches: list[Batch]) -> float:
    total, seen = 0.0, 0
    with quiet(model, eval_mode=True):
        layers = normalised(model)
        for x, y in batches:
            for layer in layers:
                layer.training = len(y) > 1  # one example has no statistics
            total += float(F.cross_entropy(model(x).float(), y, reduction="sum"))
            seen += len(y)
    return total / seen
