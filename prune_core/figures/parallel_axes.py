"""Axes of parallel coordinates: where a value stands on its axis, what its ticks are, and what a part of it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prune_core.comparing.tables import value_name
from prune_core.figures.words import number, percent, si

MANY = 12  # different values up to which each has a place of its own
SHARES = ("accuracy", "sparsity", "target")


@dataclass(frozen=True)
class Span:
    """A part of an axis: the numbers from ``low`` to ``high``, or the ``levels`` by name."""

    low: float = -math.inf
    high: float = math.inf
    levels: tuple[str, ...] = ()

    def holds(self, values: pd.Series) -> np.ndarray:
        """Which of the values lie in it."""
        if self.levels:
            return np.asarray(values.map(value_name).isin(self.levels), bool)
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
        inside: np.ndarray = (numbers >= self.low) & (numbers <= self.high)
        return inside


@dataclass(frozen=True)
class Axis:
    """One axis. ``place`` (n,) is where each row stands, from 0 at the bottom to 1, nan where it has no value.

    ``ticks`` are pairs of a place and its words. ``levels`` names equally spaced places, empty on an axis of numbers;
    there ``ends`` are the values at 0 and 1, as log10 where ``log``.
    """

    column: str
    title: str
    place: np.ndarray
    ticks: tuple[tuple[float, str], ...]
    levels: tuple[str, ...] = ()
    ends: tuple[float, float] = (0.0, 1.0)
    log: bool = False

    def span(self, low: float, high: float) -> Span | None:
        """What lies between two places; None where nothing does."""
        low, high = sorted((low, high))
        if self.levels:
            inside = tuple(name for name, at in zip(self.levels, self._spots(), strict=True) if low <= at <= high)
            return Span(levels=inside) if inside else None
        return Span(self._value(low), self._value(high))

    def places(self, span: Span) -> tuple[float, float]:
        """Between which places a part of the axis lies."""
        if self.levels:
            spots = [at for name, at in zip(self.levels, self._spots(), strict=True) if name in span.levels]
            half = min(0.4 / max(len(self.levels) - 1, 1), 0.05)
            return (max(min(spots) - half, -0.04), min(max(spots) + half, 1.04)) if spots else (0.0, 0.0)
        return self._spot(span.low), self._spot(span.high)

    def _spots(self) -> list[float]:
        return [i / max(len(self.levels) - 1, 1) if len(self.levels) > 1 else 0.5 for i in range(len(self.levels))]

    def _value(self, place: float) -> float:
        if place <= 0 or place >= 1:  # whoever drags to the end means all there is
            return -math.inf if place <= 0 else math.inf
        value = self.ends[0] + place * (self.ends[1] - self.ends[0])
        return float(10**value if self.log else value)

    def _spot(self, value: float) -> float:
        if not math.isfinite(value):
            return 0.0 if value < 0 else 1.0
        value = math.log10(value) if self.log and value > 0 else value
        return float(min(max((value - self.ends[0]) / (self.ends[1] - self.ends[0] or 1.0), 0), 1))


def axis_of(table: pd.DataFrame, column: str, title: str) -> Axis:
    """Up to twelve different values get places of their own, numbers in their order; more numbers a scale."""
    values = table[column]
    numbers = pd.to_numeric(values, errors="coerce")
    kinds = values.map(value_name)
    different = list(dict.fromkeys(kinds))
    outcome = column in ("accuracy", "loss", "sparsity", "seconds") or column.endswith(("_bytes", "_macs", "_ms"))
    if (outcome and numbers.notna().any()) or (len(different) > MANY and numbers.notna().mean() > 0.5):
        return _scale(column, title, numbers.to_numpy(float))
    if len(different) > 4 * MANY:  # names that nobody could read: the most frequent, and the rest has no place
        different = list(kinds.value_counts().index[: 4 * MANY])
    value_of: Mapping[str, float] = dict(zip(kinds, numbers, strict=True))
    levels = [n for n in different if not math.isfinite(value_of[n])] + sorted(
        (n for n in different if math.isfinite(value_of[n])), key=lambda n: value_of[n]
    )
    spot = {name: i / (len(levels) - 1) if len(levels) > 1 else 0.5 for i, name in enumerate(levels)}
    shares = column in (*SHARES, "prune.schedule.final")
    ticks = tuple((spot[n], percent(value_of[n], 0) if shares and math.isfinite(value_of[n]) else n) for n in levels)
    return Axis(column, title, kinds.map(spot).to_numpy(float), ticks, levels=tuple(levels))


def _scale(column: str, title: str, numbers: np.ndarray) -> Axis:
    known = numbers[np.isfinite(numbers)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    log = low > 0 and high > 30 * low
    ends = (math.log10(low), math.log10(high)) if log else (low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        shown = np.log10(numbers) if log else numbers
    place = (shown - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else np.where(np.isnan(shown), np.nan, 0.5)
    at = [ends[0] + i * (ends[1] - ends[0]) / 4 for i in range(5)] if ends[1] > ends[0] else [ends[0]]
    ticks = tuple(
        (i / 4 if len(at) > 1 else 0.5, _tick(column, 10**value if log else value)) for i, value in enumerate(at)
    )
    return Axis(column, title, place, ticks, ends=ends, log=log)


def _tick(column: str, value: float) -> str:
    if column in (*SHARES, "prune.schedule.final"):
        return percent(value)
    if column.endswith("_bytes"):
        return si(value, "B")
    return si(value) if column.endswith("_macs") else number(value)
