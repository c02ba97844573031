"""Do two criteria agree? Rank correlation of their scores, overlap of what they keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from prune_core.errors import ConfigError
from prune_core.pruning import Scope
from prune_core.seeding import generator

Matrix = npt.NDArray[np.float64]
MOST = 1_000_000  # weights that are ranked; of larger models so many, drawn by the seed


def rank_correlations(
    scores: Sequence[Mapping[str, Tensor]],
    *,
    keep: Mapping[str, Tensor] | None = None,
    scope: Scope = "global",
    most: int = MOST,
    seed: int = 0,
) -> Matrix:
    """Spearman's rank correlation of each pair of ``scores`` (mappings of equal names and shapes), (k, k), in [-1, 1].

    Ties have the mean of their ranks. With the scope "global", where criteria compare weights of all layers, all are
    ranked together; with any other within their layers, and a layer counts as much as it has weights. Weights that
    ``keep`` has as False were removed earlier and count in neither. At most about ``most`` weights are looked at,
    drawn by ``seed``. nan where one of the two is constant. Source: Spearman 1904.
    """
    names = list(scores[0]) if scores else []
    if any(list(s) != names for s in scores):
        raise ConfigError("Scores can be compared where they are of the same weights in the same order.")
    total = sum(scores[0][name].numel() for name in names)
    share = min(1.0, most / max(total, 1))
    draw = generator(seed, "scoring", 1)
    parts = {name: _column(name, scores, keep, share, draw) for name in names}
    if scope == "global":
        return _correlation(np.concatenate(list(parts.values())))
    found = [(len(table), _correlation(table)) for table in parts.values() if len(table) > 1]
    sums = np.zeros((len(scores), len(scores)))
    weights = np.zeros_like(sums)
    for n, matrix in found:
        known = ~np.isnan(matrix)
        sums[known] += n * matrix[known]
        weights += n * known
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(weights > 0, sums / weights, np.nan))


def jaccard(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Weights that both masks keep, as a share of those that at least one keeps; 1 where neither keeps any.

    Source: Jaccard 1901.
    """
    if a.keys() != b.keys():
        raise ConfigError("Masks can be compared where they are of the same weights.")
    both = sum(int((a[name] & b[name]).sum()) for name in a)
    either = sum(int((a[name] | b[name]).sum()) for name in a)
    return both / either if either else 1.0


def overlaps(masks: Sequence[Mapping[str, Tensor]]) -> Matrix:
    """``jaccard`` of each pair, (k, k), in [0, 1]."""
    found = np.eye(len(masks))
    for i in range(len(masks)):
        for j in range(i):
            found[i, j] = found[j, i] = jaccard(masks[i], masks[j])
    return found


def chance_overlap(density: float, other: float | None = None) -> float:
    """The Jaccard index of masks that keep these shares of the same weights, each at random: pq / (p + q - pq).

    Expected of large layers; ``other`` is ``density`` unless given.
    """
    p, q = density, density if other is None else other
    return p * q / (p + q - p * q) if p + q > 0 else 1.0


def _column(
    name: str,
    scores: Sequence[Mapping[str, Tensor]],
    keep: Mapping[str, Tensor] | None,
    share: float,
    draw: torch.Generator,
) -> Matrix:
    """(weights looked at, criteria): the scores of one layer."""
    tables = [s[name].detach().reshape(-1).cpu().double() for s in scores]
    there = keep[name].reshape(-1).cpu() if keep and name in keep else None
    if share < 1:
        seen = torch.rand(tables[0].shape, generator=draw) < share
        there = seen if there is None else there & seen
    return np.stack([(t if there is None else t[there]).numpy() for t in tables], axis=1)


def _correlation(table: Matrix) -> Matrix:
    """Pearson's correlation of the columns' ranks."""
    ranks = pd.DataFrame(table).rank(method="average").to_numpy(float)
    ranks = ranks - (ranks.mean(axis=0) if len(ranks) else 0.0)
    length = np.sqrt((ranks**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (ranks.T @ ranks) / np.outer(length, length)
    return np.asarray(np.clip(found, -1.0, 1.0), np.float64)
