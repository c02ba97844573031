"""Few enough points to send, without losing a spike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LIMIT = 600  # points a line: about one a pixel of a chart in two columns


def keep(columns: Sequence[np.ndarray], limit: int = LIMIT) -> np.ndarray:
    """Positions to keep of equally long columns (n,): the first, the last, and each bucket's extremes of every column.

    At most ``limit`` of n. A peak that stands out in any column stays in all, so that the lines share their x.
    Not-a-number never wins over a number. The result is sorted.
    """
    n = len(columns[0])
    if n <= limit:
        return np.arange(n)
    buckets = max((limit - 2) // (2 * len(columns)), 1)
    size = -(-n // buckets)
    padded = buckets * size
    start = np.arange(buckets)[:, None] * size
    chosen = [np.array([[0], [n - 1]])]
    for column in columns:
        values = np.asarray(column, dtype=float)
        for fill, pick in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            block = np.full(padded, fill)
            block[:n] = np.where(np.isnan(values), fill, values)
            chosen.append(pick(block.reshape(buckets, size), axis=1)[:, None] + start)
    return np.unique(np.concatenate(chosen).clip(0, n - 1))
