"""How many weights each layer gives up where all bear the same rise of the loss."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HALVINGS = 60  # of a stretch between two stations: a float64 has no finer


@dataclass(frozen=True)
class LossCurve:
    """What pruning one layer alone costs: ``rise`` of the mean loss once ``removed`` weights of it are gone.

    ``removed`` goes up from 0 to all of the layer, ``rise`` starts at 0 and never falls; between two points it is a
    straight line.
    """

    removed: tuple[int, ...]
    rise: tuple[float, ...]

    @classmethod
    def measured(cls, points: Mapping[int, float], before: float) -> LossCurve:
        """From the mean loss by weights removed, and the loss ``before`` any of them went.

        A loss below an earlier one counts as no rise: it is chance, or a network that gains by the removal. One that is
        not finite counts as the largest number there is.
        """
        removed, rise = [0], [0.0]
        for k in sorted(points):
            more = points[k] - before
            more = more if math.isfinite(more) else float(np.finfo(np.float32).max)
            if k > removed[-1]:
                removed.append(k)
                rise.append(max(more, rise[-1]))
        return cls(tuple(removed), tuple(rise))


def allocate_by_loss(curves: Mapping[str, LossCurve], wanted: int, gone: Mapping[str, int]) -> dict[str, int]:
    """Weights removed from each layer, ``wanted`` in all, so that no layer's rise is above the tolerance that takes.

    The tolerance climbs from 0, and with it every layer along its curve; where curves are level, all that are walk
    along their level stretches in step, the same share of each. The k-th weight of a layer goes at a moment of its own,
    and the ``wanted`` earliest of all go, of equals the first layer's: more wanted never gives one back. What is
    ``gone`` stays gone, and the others keep more instead.
    """
    names = list(curves)
    paths = _paths(tuple(curves.values()))
    least = np.array([gone[name] for name in names], dtype=np.int64)
    totals = np.maximum(paths, least[:, None]).sum(axis=0)
    last = min(int(np.searchsorted(totals, wanted, "right")) - 1, paths.shape[1] - 2)
    start, stop = paths[:, last], paths[:, last + 1]
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if np.maximum(start + middle * (stop - start), least).sum() <= wanted:
            low = middle
        else:
            high = middle
    # one less than that of each: the last few go one by one in their order, which no rounding can change
    counts = np.maximum(np.floor(start + low * (stop - start)).astype(np.int64) - 1, least)
    queue = [(_moment(paths[i], k + 1), i) for i, k in enumerate(counts) if k < paths[i, -1]]
    heapq.heapify(queue)
    for _ in range(wanted - int(counts.sum())):
        _, i = heapq.heappop(queue)
        counts[i] += 1
        if counts[i] < paths[i, -1]:
            heapq.heappush(queue, (_moment(paths[i], counts[i] + 1), i))
    return {name: int(k) for name, k in zip(names, counts, strict=True)}


@lru_cache(maxsize=32)
def _paths(curves: tuple[LossCurve, ...]) -> Floats:
    """Weights gone (layers, stations) as the tolerance climbs: two stations for each rise that any curve turns at.

    At the first the curves arrive at that rise, at the second they leave it; between two neighbours all paths are
    straight.
    """
    rises = np.unique(np.concatenate([curve.rise for curve in curves]))
    paths = np.empty((len(curves), 2 * len(rises)))
    for path, curve in zip(paths, curves, strict=True):
        path[0::2], path[1::2] = _gone_at(curve, rises, "left"), _gone_at(curve, rises, "right")
    return np.maximum.accumulate(paths, axis=1)


def _gone_at(curve: LossCurve, rises: Floats, side: Literal["left", "right"]) -> Any:
    """The fewest ("left") or the most ("right") weights at which ``curve`` is at each rise."""
    k, r = np.array(curve.removed, dtype=np.float64), np.array(curve.rise)
    after = np.searchsorted(r, rises, side)
    i = np.clip(after, 1, max(len(r) - 1, 1))
    i, j = np.minimum(i, len(r) - 1), i - 1
    step = r[i] - r[j]
    along = k[j] + (np.clip(rises, r[j], r[i]) - r[j]) / np.where(step > 0, step, 1.0) * (k[i] - k[j])
    return np.where(after == 0, k[0], np.where(after == len(r), k[-1], along))


def _moment(path: Floats, k: int) -> float:
    """When the ``k``-th weight goes, counted in stations."""
    i = int(np.searchsorted(path, k, "left"))
    return float(i - 1 + (k - path[i - 1]) / (path[i] - path[i - 1])) if i else 0.0
