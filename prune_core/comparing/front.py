"""The Pareto front: what nothing else beats in all respects."""

from __future__ import annotations

from typing import Any

import numpy as np

from prune_core.errors import ConfigError


def pareto_front(gain: Any, cost: Any) -> np.ndarray:
    """Mark the points (n,) that no other beats: with at least the gain for at most the cost, and one of them better.

    ``gain`` is maximised, ``cost`` minimised. Points that are equal in both are all on the front or all off it; of
    equal gain only those with the least cost are on it, of equal cost only those with the highest gain. A point with
    not-a-number is never on it. Raises ConfigError where the lengths differ.
    """
    gains, costs = np.asarray(gain, float), np.asarray(cost, float)
    if gains.shape != costs.shape or gains.ndim != 1:
        raise ConfigError(f"gain and cost must be of one length, got {gains.shape} and {costs.shape}.")
    front = np.zeros(len(gains), bool)
    known = np.flatnonzero(~(np.isnan(gains) | np.isnan(costs)))
    if not len(known):
        return front
    order = known[np.lexsort((-gains[known], costs[known]))]  # cheapest first, of equal cost the highest gain first
    sorted_gains, sorted_costs = gains[order], costs[order]
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(sorted_gains)[:-1]])
    better = sorted_gains > best_before
    # a copy of a point on the front is not beaten either: it has the gain and the cost of the last one that was better
    last = np.maximum.accumulate(np.where(better, np.arange(len(order)), 0))
    front[order] = (sorted_gains == sorted_gains[last]) & (sorted_costs == sorted_costs[last])
    return front
