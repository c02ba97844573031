"""What every clipping strategy would do to one gradient, as curves over its threshold.

A *lane* is one strategy with the thresholds at which it was asked. Thresholds of different strategies have different
units: an entry, a length, a share of the weights, a percentile. What makes them comparable is the smallest threshold
that leaves a gradient as it is, ``quiet``: every lane is looked at from there downwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from prune_core.clipping.base import ClipStrategy, ScalingStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.report import COLUMNS, ClipReport
from prune_core.errors import ConfigError
from prune_core.settings import FieldSpec, Settings

Array = np.ndarray[Any, Any]

DECADES = 4  # below ``quiet`` that a lane reaches
A_DECADE = 20  # thresholds, so that 0.01 and 1 are among them
CLOSE = 1e-4  # relative, to which ``quiet`` is known
REMEMBERED = 4096  # norms of a run that a strategy is shown before: the newest
# besides a strategy as it is by default: the norms that it can limit
VARIANTS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "norm": (("norm_1", "By 1-norm", {"norm_type": 1}), ("norm_inf", "By largest entry", {"norm_type": "inf"})),
}


@dataclass(frozen=True)
class Lane:
    """One strategy at many thresholds.

    ``thresholds`` (n,) rise by about an eighth; ``rows`` (n, layers + 1, 4) are the reports there in the order of
    COLUMNS, a row for each layer and the last of all together. ``why`` says why there is none; then both are empty.
    """

    name: str
    label: str
    strategy: ClipStrategy
    state: dict[str, Any]
    thresholds: Array
    rows: Array
    quiet: float
    why: str = ""

    def nearest(self, threshold: float) -> int:
        """The place of the threshold nearest to ``threshold`` on a logarithmic scale."""
        at = math.log(threshold) if threshold > 0 else -math.inf
        return int(np.argmin(np.abs(np.log(self.thresholds) - max(at, -1e3))))

    def overall(self, column: str) -> Array:
        """One column of COLUMNS over the thresholds, (n,), of all layers together."""
        found: Array = self.rows[:, -1, COLUMNS.index(column)]
        return found


def lanes(grads: FlatGradients, norms: Iterable[float] = ()) -> tuple[Lane, ...]:
    """Every registered strategy on ``grads``, in the order of the registry. ``norms`` are those of earlier steps.

    Strategies that remember norms are shown those first, at their default threshold. ``grads`` stay as they are.
    """
    history = [float(n) for n in norms][-REMEMBERED:]
    found = []
    for entry in ClipStrategy.registry:
        found.append(lane(entry.name, _label(entry.label, entry.cls()), entry.cls(), grads, history))
        for name, label, changes in VARIANTS.get(entry.name, ()):
            found.append(lane(name, label, entry.cls(**changes), grads, history))
    return tuple(found)


def _label(label: str, strategy: ClipStrategy) -> str:
    """What it is called; of several in a row, what those are called."""
    names: dict[type, str] = {entry.cls: entry.label for entry in ClipStrategy.registry}
    parts = [names[type(part)] for part in strategy.parts[1:] if type(part) in names]
    if not parts:
        return label
    return ", then ".join([parts[0], *(part[0].lower() + part[1:] for part in parts[1:])])


def lane(name: str, label: str, strategy: ClipStrategy, grads: FlatGradients, norms: Sequence[float] = ()) -> Lane:
    """One strategy on ``grads``, from four decades below where it begins to change anything."""
    none = partial(Lane, name, label, strategy, {}, np.empty(0), np.empty((0, len(grads.layers) + 1, 4)), math.nan)
    if strategy.per_sample:
        return none("clips every example before the average; of a batch's gradient only the average is kept")
    try:
        state = remember(strategy, norms)
        at = strategy.probe(grads, state)
        low, high = _bounds(strategy)
        quiet = _quiet(at, low, high)
    except ConfigError as error:
        return none(str(error))
    if quiet <= low:
        return none(_still(strategy, norms))
    grid = thresholds(quiet, low, high)
    rows = np.stack([_table(at(t)) for t in grid])
    return Lane(name, label, strategy, state, grid, rows, quiet)


def remember(strategy: ClipStrategy, norms: Sequence[float]) -> dict[str, Any]:
    """The state of ``strategy`` in a run whose gradients so far had these ``norms``.

    Raises ConfigError where it remembers more than norms.
    """
    if isinstance(strategy, ScalingStrategy):
        return strategy.state_after(norms)
    state = strategy.init_state()
    remembering = _remembering(strategy)
    if not all(isinstance(part, ScalingStrategy) for part in remembering):
        raise ConfigError(f"{type(strategy).__name__} remembers more of a run than the norms of its gradients.")
    for norm in norms if remembering else ():
        strategy.clip_flat_(FlatGradients(torch.tensor([norm]), ("norm",), (0, 1)), state, layers=False)
    return state


def _remembering(strategy: ClipStrategy) -> list[ClipStrategy]:
    """Itself or the members within that have a memory of their own."""
    parts = [p for p in strategy.parts if isinstance(p, ClipStrategy) and len(p.parts) == 1]
    return [p for p in parts if p.init_state()]


def thresholds(quiet: float, low: float, high: float) -> Array:
    """Twenty a decade, each of three digits, from four decades below ``quiet`` to just above it, within the bounds."""
    first = max(math.log10(max(quiet, 1e-300)) - DECADES, math.log10(low))
    last = min(math.log10(max(quiet, 1e-300)) + 1.5 / A_DECADE, math.log10(high))
    places = range(math.ceil(first * A_DECADE - 1e-9), math.floor(last * A_DECADE + 1e-9) + 1)
    return np.array([float(f"{10 ** (k / A_DECADE):.3g}") for k in places] or [float(f"{quiet:.3g}")])


def threshold_spec(strategy: ClipStrategy) -> FieldSpec:
    """The field that holds the threshold: its label, unit and bounds."""
    part: Settings = strategy
    *path, name = strategy.threshold_field.split(".")
    for step in path:
        part = getattr(part, step)
    return next(spec for spec in part.fields() if spec.name == name)


def _bounds(strategy: ClipStrategy) -> tuple[float, float]:
    spec = threshold_spec(strategy)
    least = 1.0 if spec.unit == "%" else 1e-12  # a run has hundreds of norms, not thousands
    return max(spec.minimum or 0.0, least), min(spec.maximum or math.inf, 1e12)


def _quiet(at: Callable[[float], ClipReport], low: float, high: float) -> float:
    """The smallest threshold that does what the highest does, nothing as a rule, by halving; or one of the bounds."""
    top = at(high).overall  # what a chain's first member changes is changed at any threshold of the second

    def still(threshold: float) -> bool:
        return torch.equal(at(threshold).overall, top)

    if still(low):
        return low
    a, b = math.log(low), math.log(high)
    while b - a > CLOSE:
        middle = (a + b) / 2
        a, b = (a, middle) if still(math.exp(middle)) else (middle, b)
    return math.exp(b)


def _still(strategy: ClipStrategy, norms: Sequence[float]) -> str:
    if not _remembering(strategy):
        return "changes nothing here at any threshold"
    if not len(norms):
        return "goes by the norms of earlier steps, and there are none before the first"
    return f"goes by the norms of the {len(norms)} steps before, among which this gradient does not stand out"


def _table(report: ClipReport) -> Array:
    assert report.by_layer is not None, "a probe reports by layer"
    return np.concatenate([report.by_layer.numpy(), report.overall.numpy()[None]])
