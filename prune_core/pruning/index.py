"""What a slider needs: threshold, counts by layer and histograms at any sparsity, without making a mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prune_core.errors import ConfigError
from prune_core.pruning.allocation import allocate, sparsity_where
from prune_core.pruning.masks import Scope, check_mask, check_sparsity, comparable, count_kept
from prune_core.pruning.select import NAN
from prune_core.pruning.tolerance import LossCurve

Floats = npt.NDArray[Any]

BINS = 80
STRIDE = 256  # every 256th score of each layer goes into the sample that all layers share


@dataclass(frozen=True)
class Histogram:
    """``counts`` (bins,) of weights between neighbouring ``edges`` (bins + 1,), symmetric about 0."""

    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


class WeightIndex:
    """The scores of a model, sorted once (about 40 ns a weight); then any sparsity is answered within a millisecond.

    ``scores`` are a criterion's, of the weights' names and shapes; |w| unless given. Entries that ``keep`` has as False
    were removed earlier and go first. ``curves`` are for the scope "sensitivity" and may be set later. What it says is
    exactly what ``make_masks`` does, ties included. It copies: later changes of the weights do not show. Raises
    ConfigError for no weights, a score that is nan and unfitting masks.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        scores: Mapping[str, Tensor] | None = None,
        keep: Mapping[str, Tensor] | None = None,
        curves: Mapping[str, LossCurve] | None = None,
    ) -> None:
        if not weights:
            raise ConfigError("An index needs at least one weight, got none; this model has nothing to prune.")
        self.shapes = {name: tuple(w.shape) for name, w in weights.items()}
        self.sizes = {name: w.numel() for name, w in weights.items()}
        self.total = sum(self.sizes.values())
        self.curves = curves
        self._gone = dict.fromkeys(weights, 0)  # removed earlier: minus infinity below, so that they go first
        self._sorted: dict[str, Floats] = {}
        self._histograms: dict[str, Histogram] = {}
        for name, w in weights.items():
            w = w.detach()
            score = w.abs() if scores is None else scores[name].detach()
            if keep and name in keep:
                check_mask(name, keep[name], w)
                score = comparable(score).masked_fill(~keep[name], -math.inf)
                self._gone[name] = w.numel() - count_kept(keep[name])
            self._sorted[name] = _sorted(score)
            self._histograms[name] = histogram_of(w)
        self._sample = np.sort(np.concatenate([a[STRIDE - 1 :: STRIDE] for a in self._sorted.values()]))

    def threshold_at(self, sparsity: float) -> float:
        """The highest score removed where all layers are compared with each other; below all scores where none is."""
        k = self._wanted(sparsity)
        return self._kth(k) if k > sum(self._gone.values()) else min(self._floor(name) for name in self.sizes)

    def thresholds_at(self, sparsity: float, scope: Scope = "global") -> dict[str, float]:
        """``threshold_at`` for every layer: one for all with the scope "global", else each layer's own."""
        if scope == "global":
            return dict.fromkeys(self.sizes, self.threshold_at(sparsity))
        wanted = self.removed_at(sparsity, scope)
        return {
            name: float(self._sorted[name][k - 1]) if k > self._gone[name] else self._floor(name)
            for name, k in wanted.items()
        }

    def removed_at(self, sparsity: float, scope: Scope = "global") -> dict[str, int]:
        """How many weights of each layer are gone at ``sparsity``, those removed earlier included."""
        left = self._wanted(sparsity)
        if scope != "global":
            return allocate(self.shapes, sparsity, self._gone, scope, curves=self.curves)
        if left == 0:
            return dict.fromkeys(self.sizes, 0)
        threshold = self._kth(left)
        removed = self._count(threshold, "left")
        left -= sum(removed.values())
        for name, upto in self._count(threshold, "right").items():  # ties go in the order of the layers
            ties = min(left, upto - removed[name])
            removed[name] += ties
            left -= ties
        return removed

    def sparsity_at(self, threshold: float) -> float:
        """Share of all weights that score at most ``threshold``: the other way round, equal but for ties."""
        return sum(self._count(threshold, "right").values()) / self.total

    def sparsity_for(self, threshold: float, scope: Scope, layer: str) -> float:
        """The sparsity at which ``layer`` loses what scores at most ``threshold``; with "global" all layers do."""
        if scope == "global":
            return self.sparsity_at(threshold)
        share = self.layer_sparsity(threshold)[layer]
        if scope == "layer":
            return share
        return sparsity_where(
            lambda s: allocate(self.shapes, s, None, scope, curves=self.curves)[layer], share * self.sizes[layer]
        )

    def layer_sparsity(self, threshold: float) -> dict[str, float]:
        """Share of each layer's weights that score at most ``threshold``."""
        return {name: n / max(self.sizes[name], 1) for name, n in self._count(threshold, "right").items()}

    def largest(self, layer: str = "") -> float:
        """The highest finite score, of one layer or of all: the threshold that takes all that may go."""
        ends = self._count(math.inf, "left")
        names = [layer] if layer else list(self.sizes)
        return max((float(self._sorted[name][ends[name] - 1]) for name in names if ends[name]), default=0.0)

    def histogram(self, layer: str) -> Histogram:
        """The weights of one layer in 80 equal bins up to the largest |w|."""
        return self._histograms[layer]

    def _wanted(self, sparsity: float) -> int:
        """How many go, all layers together: never fewer than are gone already."""
        check_sparsity(sparsity)
        return max(round(sparsity * self.total), sum(self._gone.values()))

    def _floor(self, name: str) -> float:
        """A number below every score of a layer that is still there; 0 where that is one."""
        left = self._sorted[name][self._gone[name] :]
        return min(0.0, float(np.nextafter(left[0], left.dtype.type(-math.inf)))) if len(left) else 0.0

    def _count(self, value: float, side: Any) -> dict[str, int]:
        # in the scores' own type: numpy would convert whole layers to the type of the value
        return {name: int(a.searchsorted(a.dtype.type(value), side)) for name, a in self._sorted.items()}

    def _kth(self, k: int) -> float:
        """The ``k``-th lowest score of all layers together.

        Each sampled score stands for STRIDE scores of its layer, so that two neighbours in rank close in on the answer;
        the few scores of each layer between them are then looked at.
        """
        first, last = k // STRIDE - len(self.sizes), -(-k // STRIDE)
        low = float(self._sample[first - 1]) if first > 0 else -math.inf
        high = float(self._sample[last - 1]) if last <= len(self._sample) else math.inf
        start, stop = self._count(low, "right"), self._count(high, "left")
        below = sum(start.values())
        if below >= k:
            return low
        if sum(stop.values()) < k:
            return high
        between = np.concatenate([a[start[name] : stop[name]] for name, a in self._sorted.items()])
        return float(np.partition(between, k - 1 - below)[k - 1 - below])


def _sorted(score: Tensor) -> Floats:
    flat = comparable(score).reshape(-1).cpu()
    if flat.dtype == torch.float32 and len(flat) and not flat.signbit().any():
        # the bits of floats that are not negative order as the floats do, and integers sort in half the time
        ordered = flat.view(torch.int32).sort().values.view(torch.float32).numpy()
    else:
        ordered = np.sort(flat.numpy())
    if len(ordered) and np.isnan(ordered[-1]):  # both ways put nan last
        raise ConfigError(NAN)
    return ordered


def histogram_of(weight: Tensor) -> Histogram:
    """The values of a weight in equal bins up to the largest |w|."""
    reach = float(weight.abs().max()) if weight.numel() else 0.0
    reach = reach if 0 < reach < math.inf else 1.0
    counts = torch.histc(weight.float(), BINS, -reach, reach).to("cpu", torch.int64).numpy()
    return Histogram(np.linspace(-reach, reach, BINS + 1), counts)
