"""Paired timing: two sides in one process, alternating and swapping order, judged by the median of their ratios.

On a shared machine a time says little, but whatever slows one side slows the other a moment later.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

STOP = object()


@dataclass(frozen=True)
class Ratio:
    """Seconds of both sides (medians), and how many times faster ours is: median, lower and upper quartile."""

    ours: float
    peer: float
    median: float
    low: float
    high: float
    rounds: int


def paired(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    rounds: int = 9,
    warm: int = 1,
    prepare: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Ratio:
    """Time both sides ``rounds`` times. A result above 1 means that ``ours`` is faster.

    ``prepare`` runs before every call of either side, outside the clock. On a busy machine ``time.process_time`` is the
    fairer ``clock`` for work that waits for nothing.
    """
    for _ in range(warm):
        prepare(), ours(), peer()
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    sides = [("ours", ours), ("peer", peer)]
    for _ in range(rounds):
        for name, side in sides:
            gc.collect()
            prepare()
            began = clock()
            side()
            seconds[name].append(clock() - began)
        sides.reverse()
    return _ratio(seconds, rounds)


def taking_turns(
    ours: Callable[[], Iterator[object]], peer: Callable[[], Iterator[object]], *, rounds: int = 5
) -> Ratio:
    """Time two long jobs that stop for breath every fraction of a second: there the other goes on.

    A machine whose speed drifts from second to second then slows both alike, which whole runs, one after the other, do
    not see. Each round is one whole run of both, beginning and end included, without a warm-up of its own.
    """
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(rounds):
        gc.collect()
        spent = {"ours": 0.0, "peer": 0.0}
        going = {"ours": ours(), "peer": peer()}
        while going:
            for name in sorted(going, reverse=bool(turn % 2)):
                began = time.perf_counter()
                if next(going[name], STOP) is STOP:
                    del going[name]
                spent[name] += time.perf_counter() - began
            turn += 1
        for name, times in seconds.items():
            times.append(spent[name])
    return _ratio(seconds, rounds)


def report(name: str, ratio: Ratio, target: float | None = None, *, unit: str = "ms", count: int = 1) -> bool:
    """Print one line; returns whether the target is met. ``count`` is how often one call did the thing (steps)."""

    def shown(seconds: float) -> str:
        return f"{count / seconds:,.0f} steps/s" if unit == "steps/s" else f"{1e3 * seconds / count:,.3f} ms"

    met = target is None or ratio.median >= target
    aim = "" if target is None else f"  target {target:g}: {'met' if met else 'MISSED'}"
    print(
        f"{name:<62} {ratio.median:7.2f}x  [{ratio.low:.2f}, {ratio.high:.2f}]{aim}"
        f"  (ours {shown(ratio.ours)}, peer {shown(ratio.peer)}, {ratio.rounds} rounds)",
        flush=True,
    )
    return met


def _ratio(seconds: dict[str, list[float]], rounds: int) -> Ratio:
    ratios = [p / o for o, p in zip(seconds["ours"], seconds["peer"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
    return Ratio(statistics.median(seconds["ours"]), statistics.median(seconds["peer"]), middle, low, high, rounds)


def machine() -> str:
    """The machine in one line, as it belongs beside every figure."""
    cpu = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{cpu}, {os.cpu_count()} cores{load}, {torch.get_num_threads()} thread(s), "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
