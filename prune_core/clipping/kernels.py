"""Loops over a gradient in main memory, compiled: every entry is changed and measured on one way through memory.

A float32 vector is cut into units by ``ends`` (units + 1,): unit i spans ``ends[i:i + 2]``. Sums are made in float32
over BLOCK entries and in float64 over blocks; a block whose squares overflow, vanish or are not finite is summed anew
in float64, so that sums are finite if and only if all entries are. Nothing depends on threads, chance or earlier calls.

To import this takes a second, and once after an installation some seconds for compiling: what was compiled is kept
on disk, beside this file or among the user's own. ``prune_core.clipping.quick`` imports it when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit

from prune_core.compiling import Array, Function, compiled

BLOCK = 1024  # 4 KiB, found again in the core's own cache; a float32 sum of it is good to 1e-6 even where all are equal
SMALL, LARGE = 1e-24, 1e36  # between these, no float32 square that counts vanished, and none overflowed


def summing(function: Function) -> Function:
    """Compile as part of each caller; sums may be made in any order, so eight at a time. What is not finite is kept."""
    return cast(Function, njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")(function))


def _sums_in(kind: type[np.floating[Any]]) -> tuple[Callable[..., Any], ...]:
    """The loops that sum, in float32 or in float64: of ``clamp_``, of ``compare``, of ``norms``."""

    @summing
    def of_clamping(values: Array, bound: float) -> tuple[Any, ...]:
        """Of entries a and what they are to become, b: Σa², Σb², Σa·b and how many differ."""
        aa = bb = ab = n = kind(0)
        for i in range(values.size):
            a = values[i]
            b = bound if a > bound else a  # nan stays nan, as in torch
            b = -bound if b < -bound else b
            aa += kind(a) * kind(a)
            bb += kind(b) * kind(b)
            ab += kind(a) * kind(b)
            n += kind(1) if a != b else kind(0)
        return aa, bb, ab, n

    @summing
    def of_change(before: Array, after: Array) -> tuple[Any, ...]:
        aa = bb = ab = n = kind(0)
        for i in range(before.size):
            a, b = before[i], after[i]
            aa += kind(a) * kind(a)
            bb += kind(b) * kind(b)
            ab += kind(a) * kind(b)
            n += kind(1) if a != b else kind(0)
        return aa, bb, ab, n

    @summing
    def of_squares(values: Array) -> Any:
        total = kind(0)
        for i in range(values.size):
            total += kind(values[i]) * kind(values[i])
        return total

    return of_clamping, of_change, of_squares


_clamp_sums, _change_sums, _square_sum = _sums_in(np.float32)
_clamp_sums_safe, _change_sums_safe, _square_sum_safe = _sums_in(np.float64)


@summing
def _scale_(values: Array, factor: float) -> Any:
    """Multiply, and count what changed."""
    n = np.float32(0)
    for i in range(values.size):
        b = values[i] * factor
        n += np.float32(1) if values[i] != b else np.float32(0)
        values[i] = b
    return n


@summing
def _add(sums: Array, aa: float, bb: float, ab: float, n: float) -> None:
    sums[0] += aa
    sums[1] += bb
    sums[2] += ab
    sums[3] += n


@compiled("void(float32[::1], int64[::1], float32, float64[:, ::1])")
def clamp_(values: Array, ends: Array, bound: float, sums: Array) -> None:
    """Limit every entry to [−bound, bound].

    Writes ``sums`` (units, 4): of a unit's entries a before and b after, Σa², Σb², Σa·b and how many changed.
    """
    sums[:] = 0.0
    for unit in range(ends.size - 1):
        for start in range(ends[unit], ends[unit + 1], BLOCK):
            part = values[start : min(start + BLOCK, ends[unit + 1])]
            aa, bb, ab, n = _clamp_sums(part, bound)
            if SMALL < aa < LARGE and SMALL < bb < LARGE:
                _add(sums[unit], aa, bb, ab, n)
            else:
                _add(sums[unit], *_clamp_sums_safe(part, bound))
            for i in range(part.size):
                b = bound if part[i] > bound else part[i]
                part[i] = -bound if b < -bound else b


@compiled("void(float32[::1], int64[::1], float32[::1], float64[::1])")
def scale_(values: Array, ends: Array, factors: Array, changed: Array) -> None:
    """Multiply each unit by its own factor; writes how many entries ``changed`` (units,)."""
    for unit in range(factors.size):
        changed[unit] = 0.0
        if factors[unit] != 1:
            for start in range(ends[unit], ends[unit + 1], BLOCK):
                changed[unit] += _scale_(values[start : min(start + BLOCK, ends[unit + 1])], factors[unit])


@compiled("void(float32[::1], float32[::1], int64[::1], float64[:, ::1])")
def compare(before: Array, after: Array, ends: Array, sums: Array) -> None:
    """Write the ``sums`` of ``clamp_`` for a change that was made otherwise."""
    sums[:] = 0.0
    for unit in range(ends.size - 1):
        for start in range(ends[unit], ends[unit + 1], BLOCK):
            stop = min(start + BLOCK, ends[unit + 1])
            aa, bb, ab, n = _change_sums(before[start:stop], after[start:stop])
            if SMALL < aa < LARGE and SMALL < bb < LARGE:
                _add(sums[unit], aa, bb, ab, n)
            else:
                _add(sums[unit], *_change_sums_safe(before[start:stop], after[start:stop]))


@compiled("void(float64[:, ::1], int64[::1], float64[:, ::1])")
def describe(sums: Array, ends: Array, rows: Array) -> None:
    """Write norm before, norm after, share changed, cosine of each unit, and in the last row of all: (units + 1, 4)."""
    units = ends.size - 1
    rows[units] = 0.0
    for unit in range(units):
        rows[unit] = sums[unit]
        rows[units] += sums[unit]
    for unit in range(units + 1):
        n = ends[unit + 1] - ends[unit] if unit < units else ends[units] - ends[0]
        a, b = np.sqrt(rows[unit, 0]), np.sqrt(rows[unit, 1])
        product, changed = rows[unit, 2], rows[unit, 3]
        cosine = 1.0
        if not np.isfinite(a + b) or (a == 0 and changed):
            cosine = np.nan  # there is no direction
        elif b == 0 and changed:
            cosine = 0.0
        elif changed:
            cosine = min(max(product / (a * b), -1.0), 1.0)
        rows[unit, 0], rows[unit, 1] = a, b
        rows[unit, 2], rows[unit, 3] = changed / max(n, 1), cosine


@compiled("void(float32[::1], int64[::1], float64[::1])")
def norms(values: Array, ends: Array, lengths: Array) -> None:
    """Write the L2 norm of each unit to ``lengths`` (units,)."""
    for unit in range(lengths.size):
        total = 0.0
        for start in range(ends[unit], ends[unit + 1], BLOCK):
            part = values[start : min(start + BLOCK, ends[unit + 1])]
            quick = _square_sum(part)
            total += quick if SMALL < quick < LARGE else _square_sum_safe(part)
        lengths[unit] = np.sqrt(total)
