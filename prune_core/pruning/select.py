"""Keep the highest, exactly as many as asked, in one pass over the scores.

Sorting 86 million scores takes seconds, and so does ``torch.topk``. Here a small sample brackets the threshold; one
pass then decides all scores but the one per cent inside the bracket, whose ranks decide the rest. A bracket that missed
costs a second pass, never a wrong mask. Blocks are small enough to stay in the cache between operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_core.errors import ConfigError

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[Any]

NAN = "Scores must be numbers to be ranked, but some are nan; look for a run that diverged."
BLOCK = 65_536  # entries: 256 KiB of float32, a quarter of a usual second-level cache
SAMPLE = (4096, 131_072)  # fewest and most entries sampled: the sample is sorted, so it must stay small
DEVIATIONS = 4.0  # half-width of the bracket in standard deviations of a sampled rank: misses once in 16,000


@dataclass
class Part:
    """One tensor of scores (n,): ``values``, or their absolute values; entries not in ``keep`` are already removed."""

    values: Floats
    absolute: bool
    keep: Bools | None
    mask: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.mask = np.empty(len(self.values), np.bool_)

    @property
    def candidates(self) -> int:
        """How many are still there to be removed."""
        return len(self.values) if self.keep is None else int(np.count_nonzero(self.keep))

    def blocks(self) -> Iterator[tuple[Bools, Floats, Bools | bool]]:
        """Mask, scores and keep (True for all) of one block after the other; the scores only until the next."""
        scratch = np.empty(min(BLOCK, len(self.values)), self.values.dtype)
        for start in range(0, len(self.values), BLOCK):
            span = slice(start, start + BLOCK)
            block = self.values[span]
            if self.absolute:
                block = np.abs(block, out=scratch[: len(block)])
            yield self.mask[span], block, True if self.keep is None else self.keep[span]

    def sample(self, step: int) -> Floats:
        """Every ``step``-th score of those still there."""
        values = self.values[step // 2 :: step]
        if self.keep is not None:
            values = values[self.keep[step // 2 :: step]]
        return np.abs(values) if self.absolute else values


def keep_highest(parts: list[Part], remove: int) -> None:
    """Fill every ``mask``: False for the ``remove`` lowest candidates of all parts together, ties by position.

    ``remove`` is at least 0 and at most the number of candidates. Raises ConfigError where a candidate's score is nan.
    """
    candidates = sum(p.candidates for p in parts)
    low, high = _bracket(parts, remove, candidates)
    while True:
        if low == high and _cut_at(parts, low, remove, candidates):
            return
        inside = [_split(p, low, high) for p in parts]
        values = np.concatenate([v for _, v in inside])
        if np.isnan(values).any():
            raise ConfigError(NAN)
        above = sum(int(np.count_nonzero(p.mask)) for p in parts)
        below = candidates - above - len(values)
        if below <= remove <= below + len(values):
            break
        low, high = (-math.inf, low) if remove < below else (high, math.inf)  # the sample misled: take that whole side
    stay = ~_lowest(values, remove - below)
    start = 0
    for part, (where, _) in zip(parts, inside, strict=True):
        part.mask[where] = stay[start : start + len(where)]
        start += len(where)


def _cut_at(parts: list[Part], value: float, remove: int, candidates: int) -> bool:
    """Where the bracket is one score, shared by many as a rule (0): cut there without listing them all.

    False, and no mask is valid, where the rank turns out to lie elsewhere, or a score is nan.
    """
    below = 0
    for part in parts:
        for mask, block, keep in part.blocks():
            np.less(block, value, out=mask)
            mask &= keep
            below += int(np.count_nonzero(mask))
            np.greater_equal(block, value, out=mask)
            mask &= keep
    ties = remove - below
    if ties < 0 or below + sum(int(np.count_nonzero(p.mask)) for p in parts) != candidates:
        return False
    for part in parts:
        for mask, block, keep in part.blocks():
            if ties == 0:
                return True
            equal = (block == value) & keep
            if (found := int(np.count_nonzero(equal))) > ties:
                equal[np.flatnonzero(equal)[ties:]] = False
            mask &= ~equal
            ties -= min(found, ties)
    return ties == 0


def _lowest(values: Floats, n: int) -> Bools:
    """Mark the ``n`` lowest, the first of equals first."""
    if n == 0:
        return np.zeros(len(values), np.bool_)
    threshold = np.partition(values, n - 1)[n - 1]
    lowest: Bools = values < threshold
    lowest[np.flatnonzero(values == threshold)[: n - np.count_nonzero(lowest)]] = True
    return lowest


def _bracket(parts: list[Part], remove: int, candidates: int) -> tuple[float, float]:
    """Two scores that have the ``remove``-th lowest between them, very likely."""
    total = sum(len(p.values) for p in parts)
    wanted = min(max(candidates // 64, SAMPLE[0]), SAMPLE[1])
    step = max(1, total // wanted)
    while (
        step > 1 and math.gcd(step, 2 * 3 * 5 * 7) > 1
    ):  # or it would see the same columns of a kernel again and again
        step += 1
    sample = np.concatenate([p.sample(step) for p in parts]) if parts else np.empty(0)
    n = len(sample)
    if n == 0 or candidates == 0:
        return -math.inf, math.inf
    rank = n * remove / candidates
    reach = 0.0 if step == 1 else DEVIATIONS * math.sqrt(rank * (1 - remove / candidates)) + 2
    first, last = math.floor(rank - reach) - 1, math.ceil(rank + reach) - 1
    ordered = np.partition(sample, [min(max(i, 0), n - 1) for i in (first, last)])
    # beyond the ends of the sample anything may lie
    return (
        -math.inf if first < 0 else float(ordered[first]),
        math.inf if last >= n else float(ordered[last]),
    )


def _split(part: Part, low: float, high: float) -> tuple[npt.NDArray[np.intp], Floats]:
    """Mark what is above ``high``; return positions and scores of what is neither above nor below ``low``."""
    below = np.empty(min(BLOCK, len(part.values)), np.bool_)
    where, found = [np.empty(0, np.intp)], [part.values[:0]]
    start = 0
    for mask, block, keep in part.blocks():
        rest = below[: len(block)]
        np.greater(block, high, out=mask)
        np.less(block, low, out=rest)
        np.equal(mask, rest, out=rest)  # neither: inside, or nan
        if keep is not True:
            mask &= keep
            rest &= keep
        (inside,) = rest.nonzero()
        where.append(inside + start)
        found.append(block[inside])
        start += len(block)
    return np.concatenate(where), np.concatenate(found)
