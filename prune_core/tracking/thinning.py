"""Keep few enough of what a run leaves behind, without losing what matters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def cell_width(last: int, limit: int) -> int:
    """The smallest power of two that divides steps 0 to ``last`` into at most ``limit`` cells.

    Powers of two, so that what is kept of a short run is a part of what was kept when it was shorter.
    """
    width = 1
    while last // width + 1 > limit:
        width *= 2
    return width


def superfluous(steps: Iterable[int], limit: int) -> list[int]:
    """The steps to let go so that about ``limit`` stay, evenly: of each cell the first stays, and the newest of all."""
    steps = sorted(steps)
    if len(steps) <= limit:
        return []
    width = cell_width(steps[-1], limit - 1)
    seen: set[int] = set()
    drop = []
    for step in steps[:-1]:
        if step // width in seen:
            drop.append(step)
        seen.add(step // width)
    return drop


def extremes(rows: np.ndarray, limit: int) -> np.ndarray:
    """At most ``limit`` (at least 16) of the rows (n, 1 + columns): first, last, and the extremes of every bucket.

    Every column counts, so that a peak of any stays; one that never changes has none. Not-a-number never wins over a
    number. The order stays.
    """
    n = len(rows)
    if n <= max(limit, 16):
        return rows
    columns = [c for c in rows[:, 1:].T if np.nanmin(c, initial=np.inf) < np.nanmax(c, initial=-np.inf)]
    buckets = max((max(limit, 16) - 2) // (2 * max(len(columns), 1)), 1)
    size = -(-n // buckets)
    start = np.arange(0, n, size)
    kept = [np.array([0, n - 1])]
    for column in columns:
        for fill, pick in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            padded = np.full(len(start) * size, fill)
            padded[:n] = np.where(np.isnan(column), fill, column)
            kept.append(pick(padded.reshape(len(start), size), axis=1) + start)
    found: np.ndarray = rows[np.unique(np.concatenate(kept).clip(0, n - 1))]
    return found
