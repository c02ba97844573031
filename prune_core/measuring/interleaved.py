"""Which of several is faster, and by how much: timed in turns, so that whatever slows the machine slows them all."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prune_core.errors import ConfigError
from prune_core.measuring.latency import median_interval

WARMUP = 5
LEAST = 8  # rounds: fewer have no 95 % interval
ROUND_S = 2e-4  # what one timing should take at least: shorter ones are repeated within it, the clock is no finer


@dataclass(frozen=True)
class PairedTime:
    """One of those timed. ``median_ms`` of a call with its 95 % interval (order statistics), over ``n`` rounds.

    ``ratio`` is the median of its time divided by the first one's in the same round, with its own interval.
    """

    name: str
    median_ms: float
    low_ms: float
    high_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    n: int


def interleaved(
    calls: Mapping[str, Callable[[], object]], *, rounds: int = 60, budget_s: float = 1.0, seed: int = 0
) -> dict[str, PairedTime]:
    """Time ``calls`` in turns, in an order drawn anew each round; all ratios are to the first.

    A round times each once (a short one several times in a row, of which the mean counts). There are up to ``rounds``,
    fewer when ``budget_s`` seconds are over, never under 8. Raises ConfigError where there is nothing to compare.
    """
    if len(calls) < 2:
        raise ConfigError(f"interleaved compares at least 2 calls, got {len(calls)}.")
    repeats = {name: _warm(call) for name, call in calls.items()}
    order, chance = list(calls), random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in calls}
    end, made = time.perf_counter() + budget_s, 0
    while made < LEAST or (made < rounds and time.perf_counter() < end):
        chance.shuffle(order)
        for name in order:
            call, n = calls[name], repeats[name]
            began = time.perf_counter()
            for _ in range(n):
                call()
            times[name].append(1000 * (time.perf_counter() - began) / n)
        made += 1
    first = times[next(iter(calls))]
    return {name: _of(name, own, first) for name, own in times.items()}


def _warm(call: Callable[[], object]) -> int:
    """Call it some times, and say how many calls fill one timing."""
    taken = []
    for _ in range(WARMUP):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return max(1, round(ROUND_S / max(min(taken), 1e-9)))


def _of(name: str, own: list[float], first: list[float]) -> PairedTime:
    ratios = [a / b for a, b in zip(own, first, strict=True)]
    return PairedTime(
        name, statistics.median(own), *median_interval(own), statistics.median(ratios), *median_interval(ratios),
        len(own),
    )  # fmt: skip
