"""Select and apply: which weights stay, as bool masks, True = kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from prune_core.errors import ConfigError, UnknownNameError
from prune_core.pruning.allocation import allocate, allocate_groups
from prune_core.pruning.granularity import Groups, Unit
from prune_core.pruning.granularity.groups import pick
from prune_core.pruning.scores import AbsoluteValues
from prune_core.pruning.select import NAN, Part, keep_highest
from prune_core.pruning.tolerance import LossCurve

Masks = dict[str, Tensor]
Scope = Literal["global", "layer", "erk", "sensitivity"]


@torch.no_grad()
def make_masks(
    scores: Mapping[str, Tensor],
    sparsity: float,
    scope: Scope = "global",
    keep: Mapping[str, Tensor] | None = None,
    ratios: Mapping[str, float] | None = None,
    groups: Groups | None = None,
    curves: Mapping[str, LossCurve] | None = None,
) -> Masks:
    """Mark the lowest ``sparsity`` share of entries for removal.

    Exactly ``round(sparsity * n)`` go in each group: all layers together ("global") or every layer for itself
    ("layer"). With "erk" and "sensitivity" as many go in all, and ``allocate`` says from where. Of equal scores the
    first in the model goes first, so the realised sparsity never depends on ties. ``keep`` holds masks of earlier
    removals: what is False there stays removed and counts, so masks only ever shrink; where more is gone already than
    asked for, nothing changes. ``ratios`` names layers that lose another share than ``sparsity`` ("layer" only),
    ``curves`` is what ``scan_curves`` measured ("sensitivity" only, which needs it), of the same ``groups``.

    With ``groups`` whose weights go together, every weight has its group's score, and as many groups go as come nearest
    to those counts, of two that are equally near the even number. Where of every group only some may go, they are the
    lowest, and counts are exact. Raises ConfigError unless 0 <= sparsity < 1, or up to what the groups allow, for a
    score that is nan, for masks of other shapes and for ratios of layers that are not there.
    """
    check_sparsity(sparsity)
    if scope not in get_args(Scope):
        raise ConfigError(f"scope must be one of {', '.join(map(repr, get_args(Scope)))}, got {scope!r}.")
    if ratios:
        _check_ratios(ratios, scores, scope)
    if groups is not None:
        groups.check(sparsity, *(ratios or {}).values())
    raw = scores.weights if isinstance(scores, AbsoluteValues) else dict(scores)
    kept = {name: keep[name] for name in raw if name in keep} if keep else {}
    for name, mask in kept.items():
        check_mask(name, mask, raw[name])
    if not raw:
        return {}
    gone = {name: kept[name].numel() - count_kept(kept[name]) if name in kept else 0 for name in raw}
    shapes = {name: tuple(s.shape) for name, s in raw.items()}
    if groups is not None and groups.at_most is None:
        together = [unit.names for unit in groups.of(raw)]
        return _select_groups(
            groups, scores, kept, allocate_groups(together, shapes, sparsity, gone, scope, ratios, curves)
        )
    if scope == "global":
        total = round(sparsity * sum(s.numel() for s in raw.values()))
        wanted = [(tuple(raw), total - sum(gone.values()))]
    else:
        by_layer = allocate(shapes, sparsity, gone, scope, ratios, curves)
        wanted = [((name,), by_layer[name] - gone[name]) for name in raw]
    masks: Masks = {}
    for names, remove in wanted:
        group, most, absolute = {n: raw[n] for n in names}, max(remove, 0), isinstance(scores, AbsoluteValues)
        if groups is not None:
            group, free = groups.protect({n: scores[n] for n in names}, kept)
            most, absolute = min(most, free), False
        select = _select if all(s.is_cpu for s in group.values()) else _select_on_device
        masks |= select(group, kept, most, absolute)
    return masks


def apply_masks_(weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    """Set removed weights to exactly 0, in place. Raises ConfigError where a mask has no weight, or another shape."""
    with torch.no_grad():
        for name, mask in masks.items():
            if name not in weights:
                raise ConfigError(f"There is a mask for {name!r}, but no such weight; use masks of this model.")
            check_mask(name, mask, weights[name])
            _zero_(weights[name].detach(), mask)


def sparsity_of(masks: Mapping[str, Tensor]) -> float:
    """Share of entries removed, in [0, 1], of the weights that have masks: not of all parameters. 0 without masks."""
    total = sum(m.numel() for m in masks.values())
    return (total - sum(count_kept(m) for m in masks.values())) / total if total else 0.0


def count_kept(mask: Tensor) -> int:
    """Entries that are True."""
    return int(np.count_nonzero(mask.numpy())) if mask.is_cpu else int(mask.count_nonzero())


def check_sparsity(sparsity: float) -> None:
    """Raise ConfigError unless ``sparsity`` is a number in [0, 1)."""
    try:
        fits = 0 <= float(sparsity) < 1
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ConfigError(f"sparsity must be a number at least 0 and less than 1, got {sparsity!r}.")


def check_mask(name: str, mask: Tensor, weight: Tensor) -> None:
    """Raise ConfigError unless ``mask`` is a bool tensor of the weight's shape."""
    if mask.dtype != torch.bool or mask.shape != weight.shape:
        raise ConfigError(
            f"The mask of {name!r} must be bool of shape {tuple(weight.shape)}, got {mask.dtype} of shape "
            f"{tuple(mask.shape)}; use masks of this model."
        )


def _check_ratios(ratios: Mapping[str, float], names: Mapping[str, Tensor], scope: str) -> None:
    if scope != "layer":
        raise ConfigError(f"ratios of single layers need scope 'layer', got {scope!r}.")
    for name, share in ratios.items():
        if name not in names:
            raise UnknownNameError("layer", name, names)
        check_sparsity(share)


def _zero_(weight: Tensor, mask: Tensor) -> None:
    # bits times 0 or 1: a third of the time of a float product, no -0, and 0 for inf and nan too
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[weight.element_size()]
    weight.view(bits).mul_(mask.to(weight.device).view(torch.int8))


def _select(scores: Masks, keep: Masks, remove: int, absolute: bool) -> Masks:
    parts = {
        name: Part(
            comparable(s).reshape(-1).numpy(), absolute, keep[name].cpu().reshape(-1).numpy() if name in keep else None
        )
        for name, s in scores.items()
    }
    keep_highest(list(parts.values()), remove)
    return {name: torch.from_numpy(p.mask).view(scores[name].shape) for name, p in parts.items()}


def _select_groups(
    groups: Groups, scores: Mapping[str, Tensor], keep: Masks, wanted: list[tuple[tuple[str, ...], float]]
) -> Masks:
    masks: Masks = {}
    for names, remove in wanted:
        units = groups.of(dict.fromkeys(names))
        left = [unit.left({n: scores[n] for n in unit.names}, keep).sum(1) for unit in units]
        for unit, stay in zip(units, stay_in_units(units, scores, left, remove), strict=True):
            masks |= unit.masks(stay, keep)
    return {name: masks[name] for name in scores}


def stay_in_units(
    units: Sequence[Unit], scores: Mapping[str, Tensor], left: Sequence[Tensor], remove: float
) -> tuple[Tensor, ...]:
    """Which groups of each unit stay where about ``remove`` weights go from all together; ``left`` are in the groups.

    Every weight has its group's score.
    """
    score = [comparable(unit.parts[0].table(scores[unit.names[0]])[:, 0]) for unit in units]  # any column says it
    return torch.split(pick(torch.cat(score), torch.cat(list(left)), remove), [len(s) for s in score])


def _select_on_device(scores: Masks, keep: Masks, remove: int, absolute: bool) -> Masks:
    """The same by one sort of everything: where sorting is fast and looking is slow."""
    flat = torch.cat([comparable(s).reshape(-1) for s in scores.values()])
    flat = flat.abs() if absolute else flat
    every = {n: keep[n].to(s.device) if n in keep else torch.ones_like(s, dtype=torch.bool) for n, s in scores.items()}
    stay = torch.cat([mask.reshape(-1) for mask in every.values()])
    if bool((flat.isnan() & stay).any()):
        raise ConfigError(NAN)
    # the masks come first: nothing may stand in for a score, the lowest is minus infinity already
    order = flat.argsort(stable=True)
    order = order[stay[order]]
    stay[order[:remove]] = False
    sizes = [s.numel() for s in scores.values()]
    return {n: m.view(s.shape) for (n, s), m in zip(scores.items(), torch.split(stay, sizes), strict=True)}


def comparable(scores: Tensor) -> Tensor:
    """In a type that orders as the scores do, and that numpy knows."""
    if not scores.is_floating_point():
        return scores.double()
    return scores.float() if scores.element_size() < 4 else scores
