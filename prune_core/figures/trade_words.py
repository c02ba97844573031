"""What a trade-off says in words, and its axes: of sparsity, bytes, MACs and latency."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain
from prune_core.figures.words import percent, plural, si

Cost = Literal["sparsity", "kept_bytes", "kept_macs", "latency_ms"]
# title of the figure, of the axis, unit
WORDS: dict[Cost, tuple[str, str, str]] = {
    "sparsity": ("What sparsity costs: test accuracy as weights go", "weights removed", ""),
    "kept_bytes": ("What a byte buys: test accuracy by size", "size with removed weights left out", "B"),
    "kept_macs": ("What arithmetic buys: test accuracy by work left", "multiply-accumulates of the weights left", ""),
    "latency_ms": (
        "What a millisecond buys: test accuracy by measured time",
        "measured time of one example (ms)",
        "ms",
    ),
}

LEFT = (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)  # ticks: shares left
LEAST_LEFT = 1e-4


def place(x: float, cost: Cost) -> str:
    """A value of the x axis with its unit."""
    if cost == "sparsity":
        return f"{percent(x)} removed"
    return f"{x:.3g}\u00a0ms" if cost == "latency_ms" else si(x, WORDS[cost][2] or "MACs")


def describe_setting(row: Any, cost: Cost, joint: str = "; ") -> str:
    """A row of ``TradeOff.points`` in words: what it is, its accuracy with the interval, and its place."""
    accuracy = percent(row["accuracy"])
    if row["n"] > 1:
        low, high = max(float(row["low"]), 0.0), min(float(row["high"]), 1.0)  # two seeds can give more than all
        accuracy += f" ({percent(low)} to {percent(high)}, {plural(int(row['n']), 'seed')})"
    parts = [str(row["name"]), accuracy, place(float(row["x"]), cost)]
    if cost != "sparsity" and row["target"]:
        parts[-1] += f", {percent(row['target'], 0)} of the weights removed"
    return joint.join(p for p in parts if p)


def drawn_at(x: Any, cost: Cost) -> Any:
    """Where a value stands on the axis. Of sparsity it is the share that is left: 90 and 95 % are as far apart as 80
    and 90, since each halves the network."""
    return np.maximum(1 - x, LEAST_LEFT) if cost == "sparsity" else x


def price_of(x: np.ndarray, cost: Cost) -> np.ndarray:
    """What is paid, to three digits: of two files that differ by some bytes of their wrapping none is cheaper."""
    if cost == "sparsity":
        return -np.round(x, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 10.0 ** (np.floor(np.log10(np.abs(x))) - 2)
    rounded: np.ndarray = np.where(x == 0, 0.0, np.round(x / size) * size)
    return rounded


def is_log(points: pd.DataFrame, cost: Cost) -> bool:
    """Whether the axis is logarithmic: of sparsity, and of bytes and MACs over more than a factor of five."""
    if cost == "sparsity":
        return True
    x = points["x"]
    return cost in ("kept_bytes", "kept_macs") and float(x.min()) > 0 and float(x.max()) > 5 * float(x.min())


def axis_of(points: pd.DataFrame, cost: Cost) -> Plain:
    """The x axis."""
    if cost == "sparsity":
        left = drawn_at(points["x"].to_numpy(float), cost)
        ticks = [t for t in LEFT if t >= 0.9 * left.min()]
        return {
            "type": "log", "range": [math.log10(1.1), math.log10(min(left.min(), 0.5) / 1.2)], "tickvals": ticks,
            "ticktext": [f"{100 * (1 - t):.4g}\u00a0%" for t in ticks],
        }  # fmt: skip
    if cost == "latency_ms":
        return {"rangemode": "tozero"}
    unit = WORDS[cost][2]
    if not is_log(points, cost):
        return {"tickformat": "~s", "ticksuffix": unit, "rangemode": "tozero", "nticks": 6}
    low, high = math.log10(points["x"].min()), math.log10(points["x"].max())
    steps = (1, 2, 5) if high - low < 2 else (1, 3) if high - low < 3 else (1,)
    ticks = [m * 10.0**d for d in range(math.floor(low), math.ceil(high) + 1) for m in steps]
    ticks = [t for t in ticks if low - 0.1 <= math.log10(t) <= high + 0.1]
    return {
        "type": "log", "range": [low - 0.06, high + 0.06], "tickvals": ticks,
        "ticktext": [_tick(t, unit) for t in ticks],
    }  # fmt: skip


def _tick(value: float, unit: str) -> str:
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}\u00a0{prefix}{unit}"
    return f"{value:g}\u00a0{unit}".strip()


def accuracy_range(points: pd.DataFrame) -> list[float]:
    """The tenth below the lowest up to just above the highest tenth: the axis moves in steps."""
    low, high = float(points["accuracy"].min()), float(points["accuracy"].max())
    low = min(low, float(points["low"].min())) if points["low"].notna().any() else low
    return [max(0.0, math.floor(10 * low) / 10) - 0.02, min(1.0, math.ceil(10 * high + 0.1) / 10) + 0.03]
