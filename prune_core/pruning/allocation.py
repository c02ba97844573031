"""How many weights each layer gives up, where the scope decides that and not the scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from prune_core.errors import ConfigError
from prune_core.pruning.tolerance import LossCurve, allocate_by_loss

Shapes = Mapping[str, tuple[int, ...]]
ByLayer = Literal["layer", "erk", "sensitivity"]


def allocate(
    shapes: Shapes,
    sparsity: float,
    gone: Mapping[str, int] | None = None,
    scope: ByLayer = "erk",
    ratios: Mapping[str, float] | None = None,
    curves: Mapping[str, LossCurve] | None = None,
) -> dict[str, int]:
    """Weights removed from each layer, those that are ``gone`` already among them.

    "layer": ``round(sparsity * n)`` of every layer, or that share of it that ``ratios`` names. Where more is gone from
    a layer it stays gone, and no other layer makes up for it: the total is then higher than asked for.

    "erk": ``round(sparsity * n)`` in all, by Erdős–Rényi-kernel allocation: a layer's density is proportional to the
    sum of its sides over their product, kernels included, and at most 1, so that large layers give up more (Mocanu et
    al. 2018, arXiv:1707.04780; Evci et al. 2020, arXiv:1911.11134). Where more is gone from a layer it stays gone, and
    the others keep more instead, in the same proportion; the total is higher only where more is gone in all.

    "sensitivity": ``round(sparsity * n)`` in all, so that every layer alone would cost the same rise of the loss, by
    its curve in ``curves``: see ``allocate_by_loss``. Raises ConfigError for layers without curves, or of other sizes.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    gone = dict.fromkeys(sizes, 0) | dict(gone or {})
    if scope == "layer":
        ratios = ratios or {}
        return {name: max(round(ratios.get(name, sparsity) * n), gone[name]) for name, n in sizes.items()}
    if scope == "sensitivity":
        wanted = max(round(sparsity * sum(sizes.values())), sum(gone.values()))
        return allocate_by_loss(_check_curves(sizes, curves), wanted, gone)
    return _by_shape(shapes, sizes, sparsity, gone)


def allocate_groups(
    together: Iterable[tuple[str, ...]],
    shapes: Shapes,
    sparsity: float,
    gone: Mapping[str, int],
    scope: ByLayer | Literal["global"],
    ratios: Mapping[str, float] | None = None,
    curves: Mapping[str, LossCurve] | None = None,
) -> list[tuple[tuple[str, ...], float]]:
    """Names of weights that are compared with each other, and how many more of them go, where groups go as wholes.

    ``together`` are names whose groups are the same; they have one curve in ``curves``, by the first of their names.
    Shares are not rounded, as a number of groups is what will be: of 25 filters at half, 12 or 13 are equally near.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if scope == "global":
        return [(tuple(sizes), max(sparsity * sum(sizes.values()) - sum(gone.values()), 0.0))]
    if scope == "sensitivity":
        units = {names[0]: names for names in together}
        gone_by_unit = {first: sum(gone[n] for n in names) for first, names in units.items()}
        whole = {first: (sum(sizes[n] for n in names),) for first, names in units.items()}
        by_unit = allocate(whole, sparsity, gone_by_unit, scope, curves=curves)
        return [(names, float(by_unit[first] - gone_by_unit[first])) for first, names in units.items()]
    if scope == "layer":
        wanted = {name: (ratios or {}).get(name, sparsity) * n for name, n in sizes.items()}
    else:
        wanted = {name: float(k) for name, k in allocate(shapes, sparsity, gone, scope).items()}
    return [(names, max(sum(wanted[n] - gone[n] for n in names), 0.0)) for names in together]


def sparsity_where(removed_at: Callable[[float], float], wanted: float) -> float:
    """The lowest sparsity in [0, 1] at which ``removed_at(sparsity)``, which never falls, is ``wanted``; by halving."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if removed_at(middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def erk_densities(shapes: Shapes, sparsity: float, gone: Mapping[str, int] | None = None) -> dict[str, float]:
    """Share of each layer's weights that is kept, in [0, 1], so that ``1 - sparsity`` of all are.

    Layers that would keep more than they have, what is ``gone`` already left out, keep all of that, and the others
    share the rest.
    """
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    left = {name: n - (gone or {}).get(name, 0) for name, n in sizes.items()}
    sides = {name: sum(shape) if sizes[name] else 0 for name, shape in shapes.items()}  # density times size
    budget = min((1 - sparsity) * sum(sizes.values()), sum(left.values()))
    full: set[str] = set()
    while True:
        rest = [name for name in sizes if name not in full]
        weighed = sum(sides[name] for name in rest)
        scale = (budget - sum(left[name] for name in full)) / weighed if weighed else 0.0
        over = {name for name in rest if scale * sides[name] > left[name]}
        if not over:
            kept = {name: left[name] if name in full else scale * sides[name] for name in sizes}
            return {name: kept[name] / n if n else 0.0 for name, n in sizes.items()}
        full |= over


def _by_shape(shapes: Shapes, sizes: dict[str, int], sparsity: float, gone: dict[str, int]) -> dict[str, int]:
    wanted = max(round(sparsity * sum(sizes.values())), sum(gone.values()))
    density = erk_densities(shapes, sparsity, gone)
    exact = {name: (1 - density[name]) * n for name, n in sizes.items()}
    removed = {name: max(math.floor(exact[name]), gone[name]) for name in sizes}
    # what rounding left over goes to the largest remainders, the first of equals
    by_remainder = sorted(sizes, key=lambda name: math.floor(exact[name]) - exact[name])
    while (missing := wanted - sum(removed.values())) > 0:
        for name in by_remainder:
            if missing > 0 and removed[name] < sizes[name]:
                removed[name] += 1
                missing -= 1
    for name in reversed(sizes):
        excess = sum(removed.values()) - wanted
        removed[name] -= min(max(excess, 0), removed[name] - gone[name])
    return removed


def _check_curves(sizes: dict[str, int], curves: Mapping[str, LossCurve] | None) -> dict[str, LossCurve]:
    """The curves of the layers, in their order."""
    if curves is None:
        raise ConfigError("Scope 'sensitivity' needs the layers' curves of the loss, which a scan makes: see prune_.")
    for name, n in sizes.items():
        if name not in curves or curves[name].removed[-1] != n:
            found = f"one of {curves[name].removed[-1]}" if name in curves else "none"
            raise ConfigError(f"Layer {name!r} needs a curve up to its {n} weights, got {found}; scan this model.")
    return {name: curves[name] for name in sizes}
