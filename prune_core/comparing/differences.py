"""Is one method better than another? An answer in words, that also says when nothing is shown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from prune_core.comparing.intervals import LEVEL
from prune_core.errors import ConfigError


@dataclass(frozen=True)
class Difference:
    """Two methods at one cost. ``difference`` is mean of ``a`` minus mean of ``b``, at least 0, and its 95 % interval.

    ``paired`` says that the same seeds were compared one by one; ``p`` is of the t-test, ``p_holm`` corrected for all
    tests of the table; both are nan where nothing can be tested. ``n_a`` and ``n_b`` count seeds.
    """

    a: str
    b: str
    cost: Any
    n_a: int
    n_b: int
    paired: bool
    difference: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def shown(self) -> bool:
        """Whether there is a difference, at 5 % over all tests of the table."""
        return self.p_holm < 1 - LEVEL

    @property
    def sentence(self) -> str:
        """The answer in words; differences in percentage points."""
        n = min(self.n_a, self.n_b)
        if n < 1:
            return f"{self.a} and {self.b} have no finished run in common here."
        if n < 2:
            return f"{self.a} and {self.b}: one seed says nothing about a difference; run at least two."
        seeds = f"{n} seeds" if self.n_a == self.n_b else f"{self.n_a} and {self.n_b} seeds"
        if math.isnan(self.p):
            return f"{self.a} and {self.b}: no difference shown (no spread between {seeds} to judge by)."
        if not self.shown:
            return f"{self.a} and {self.b}: no difference shown ({_p(self.p_holm)}, {seeds})."
        return (
            f"{self.a} is better than {self.b} by {100 * self.low:.2f} to {100 * self.high:.2f} points "
            f"(95 %; {_p(self.p_holm)}, {seeds})."
        )


def differences(
    table: pd.DataFrame, *, method: str = "method", cost: str = "sparsity", value: str = "accuracy", seed: str = "seed"
) -> list[Difference]:
    """Compare every pair of methods wherever both were measured at the same cost, by cost.

    ``table`` has a row a run. Where two methods share at least two seeds, the differences of equal seeds are tested
    (paired t-test, seeds that only one has left out), otherwise the means (Welch's t-test). Several runs of one seed
    count as their mean. p-values are corrected over all tests (Holm, 1979). A test without any spread has p = nan:
    accuracies come in steps of one example, and two equal differences may be chance. Raises ConfigError for a column
    that is not there.
    """
    for column in (method, cost, value, seed):
        if column not in table:
            raise ConfigError(f"The table has no column {column!r}; it has {', '.join(map(str, table.columns))}.")
    rows = table.loc[table[value].notna()]
    found: list[Difference] = []
    for level, part in rows.groupby(cost, dropna=False, sort=True):
        by_method = {name: runs.groupby(seed)[value].mean() for name, runs in part.groupby(method, sort=False)}
        found += [_pair(a, b, level, by_method[a], by_method[b]) for a, b in itertools.combinations(by_method, 2)]
    corrected = holm([d.p for d in found])
    return [replace(d, p_holm=p) for d, p in zip(found, corrected, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for being many, in their order; nan stays nan and does not count.

    The k-th smallest of m is multiplied by m - k + 1, and none is smaller than one before it. Source: Holm, 1979.
    """
    values = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    scaled = values[order] * np.arange(len(order), 0, -1)
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(order) else scaled
    return [float(v) for v in corrected]


def _pair(a: Hashable, b: Hashable, level: Any, of_a: pd.Series, of_b: pd.Series) -> Difference:
    shared = of_a.index.intersection(of_b.index)
    if len(shared) >= 2:
        delta = (of_a.loc[shared] - of_b.loc[shared]).to_numpy(float)
        n_a = n_b = len(shared)
        mean, spread = float(delta.mean()), float(delta.var(ddof=1)) / n_a
        freedom = float(n_a - 1)
    else:
        x, y = of_a.to_numpy(float), of_b.to_numpy(float)
        n_a, n_b = len(x), len(y)
        mean, spread, freedom = float(x.mean() - y.mean()), math.nan, math.nan
        if min(n_a, n_b) >= 2:
            u, v = float(x.var(ddof=1)) / n_a, float(y.var(ddof=1)) / n_b
            spread = u + v
            # Welch–Satterthwaite
            freedom = spread**2 / (u**2 / (n_a - 1) + v**2 / (n_b - 1)) if spread > 0 else math.nan
    low = high = p = math.nan
    if spread > 1e-18:  # nan, 0 and what rounding leaves of 0 are no spread
        error = math.sqrt(spread)
        half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
        low, high, p = mean - half, mean + half, 2 * float(stdtr(freedom, -abs(mean) / error))
    elif spread >= 0 and mean == 0:
        low = high = 0.0
        p = 1.0
    if mean < 0:
        a, b, n_a, n_b, mean, low, high = b, a, n_b, n_a, -mean, -high, -low
    return Difference(str(a), str(b), level, n_a, n_b, len(shared) >= 2, mean, low, high, p, p)


def _p(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}" if p < 0.095 else f"p = {p:.2f}"
