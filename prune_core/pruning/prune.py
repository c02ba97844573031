"""Prune any model once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor, nn

from prune_core.errors import ConfigError, UnknownNameError
from prune_core.pruning.choose import choose_masks, score
from prune_core.pruning.criteria import Criterion, Magnitude
from prune_core.pruning.evidence import Batch, Drawing, Evidence, batches_of
from prune_core.pruning.granularity import Granularity, Groups, Weights
from prune_core.pruning.masks import Masks, Scope, apply_masks_, make_masks
from prune_core.pruning.prunable import prunable
from prune_core.pruning.sensitivity import check_scan, scan_curves
from prune_core.pruning.together import check_together
from prune_core.pruning.tolerance import LossCurve
from prune_core.seeding import generator


def prune_(
    model: nn.Module,
    sparsity: float,
    criterion: Criterion | None = None,
    scope: Scope = "global",
    batch: Batch | Drawing | None = None,
    masks: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    granularity: Granularity | None = None,
    among: Iterable[str] | None = None,
) -> Masks:
    """Remove ``sparsity`` of the prunable weights of any model: set them to 0 in place and return the masks.

    The share is of the weights that ``prunable`` names, the ones removed earlier included: two calls with 0.5 leave
    half, not a quarter, if the second is given the first's ``masks``. Biases and normalisation count in neither. The
    model keeps its parameters and its state dict's keys, and gets no hook: training goes on as before, and
    ``apply_masks_`` after every update keeps removed weights at 0.

    ``criterion`` is Magnitude() unless given; ``batch`` (inputs, class indices) is for those that look at data, all of
    it, in the mode that the model is in, and for the scope "sensitivity", whose scan measures the loss on it: give
    training examples, or a loaded data set, of which as many are drawn as a run would look at. ``seed`` is for those
    that draw. ``granularity`` removes groups of weights instead of single ones; layers in which it finds none stay
    dense and do not count; nor do weights that ``among`` leaves out. Raises ConfigError for a model without prunable
    weights, a sparsity outside [0, 1), a batch that is missing, a criterion that follows training, a name ``among``
    which is no prunable weight's, and for criterion, scope and granularity that do not go together.
    """
    criterion = Magnitude() if criterion is None else criterion
    granularity = Weights() if granularity is None else granularity
    check_together(criterion, scope, granularity)
    found = prunable(model)
    if not found:
        raise ConfigError(
            f"{type(model).__name__} has no prunable weights: it needs linear, convolution, "
            "attention or recurrent layers."
        )
    weights = {name: w.detach() for name, w in found.items()}
    if among is not None:
        chosen = set(among)
        if lost := sorted(chosen - set(weights)):
            raise UnknownNameError("prunable weight", lost[0], weights)
        weights = {name: w for name, w in weights.items() if name in chosen}
    groups = granularity.groups(model, weights)
    if groups is not None:
        weights = {name: weights[name] for name in groups.names}
    draw = generator(seed, "masks")
    batches = None if batch is None else batches_of(batch, seed)

    def look(so_far: Mapping[str, Tensor]) -> Evidence:
        return Evidence(weights, model=model, batches=batches, masks=so_far, generator=draw)

    curves = None
    if scope == "sensitivity":
        check_scan(criterion)
        if batch is None:
            raise ConfigError("Scope 'sensitivity' measures the loss on data: give batch=(inputs, class indices).")
        at = look(masks or {})
        curves = scan_curves(at, score(criterion, at, groups), groups)
        draw.manual_seed(draw.initial_seed())  # what is scored next is what was scanned
    made = choose_masks(criterion, sparsity, partial(_select, scope, curves, groups), look, masks, groups)
    apply_masks_(weights, made)
    return made


def _select(
    scope: Scope,
    curves: Mapping[str, LossCurve] | None,
    groups: Groups | None,
    scores: Mapping[str, Tensor],
    sparsity: float,
    keep: Mapping[str, Tensor] | None,
) -> Masks:
    return make_masks(scores, sparsity, scope, keep=keep, curves=curves, groups=groups)
