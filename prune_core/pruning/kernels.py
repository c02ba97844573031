"""Loops over all weights of a layer, compiled: in one way through memory what numpy and torch make in many.

Nothing depends on threads, chance or earlier calls. To import this takes some tenths of a second, and once after an
installation some seconds for compiling; ``prune_core.pruning.quick`` imports it when it is first needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prune_core.compiling import Array, compiled, part

WORDS, MIDDLE, AHEAD = 624, 397, 227  # of the Mersenne Twister's state (Matsumoto, Nishimura 1998)
TOP, REST = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
TWIST, FIRST, SECOND = np.uint32(0x9908B0DF), np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
ONE, SEVEN, ELEVEN, FIFTEEN, EIGHTEEN = (np.uint32(n) for n in (1, 7, 11, 15, 18))
MANTISSA, SCALE = np.uint32(0xFFFFFF), np.float32(2**-24)  # a float32 in [0, 1) takes 24 bits of a word


@compiled("void(float32[::1], uint64[::1])")
def size_keys(values: Array, keys: Array) -> None:
    """Write the bits of |value| above its place, so that ``keys`` order as sizes do, the first of equals first."""
    bits = values.view(np.uint32)
    for i in range(bits.size):
        keys[i] = (np.uint64(bits[i] & REST) << np.uint64(32)) | np.uint64(i)


@compiled("void(uint64[::1], float64[::1])")
def lamp(keys: Array, scores: Array) -> None:
    """From sorted ``size_keys``: every square over the sum of those that do not come before it, written to its place.

    Added up one after the other from the largest on, as ``cumsum`` does; 0 where that sum is 0, or nan.
    """
    sizes, places = keys.view(np.float32), keys.view(np.uint32)  # the upper halves and the lower ones
    rest = 0.0
    for i in range(keys.size - 1, -1, -1):
        square = np.float64(sizes[2 * i + 1]) * np.float64(sizes[2 * i + 1])
        rest += square
        scores[places[2 * i]] = square / rest if rest > 0 else 0.0


@part
def _renewed(word: Any, following: Any, far: Any) -> Any:
    """A word of the next state, from this one's."""
    y = (word & TOP) | (following & REST)
    return far ^ (y >> ONE) ^ (TWIST * (y & ONE))


@part
def _renew(state: Array) -> None:
    """The next state. Each loop reads no word that it has written but long before, so that many go at a time."""
    for i in range(AHEAD):
        state[i] = _renewed(state[i], state[i + 1], state[i + MIDDLE])
    for i in range(AHEAD, 2 * AHEAD):
        state[i] = _renewed(state[i], state[i + 1], state[i - AHEAD])
    for i in range(2 * AHEAD, WORDS - 1):
        state[i] = _renewed(state[i], state[i + 1], state[i - AHEAD])
    state[WORDS - 1] = _renewed(state[WORDS - 1], state[0], state[MIDDLE - 1])


@compiled("int64(uint32[::1], int64, float32[::1])")
def uniform(state: Array, used: int, values: Array) -> int:
    """Fill ``values`` with float32 in [0, 1), as torch draws them from MT19937, and move ``state`` (624,) on.

    ``used`` words of it are used up; returns how many are afterwards.
    """
    done = 0
    while done < values.size:
        if used == WORDS:
            _renew(state)
            used = 0
        n = min(WORDS - used, values.size - done)
        words, drawn = state[used : used + n], values[done : done + n]
        for i in range(n):
            y = words[i]
            y ^= y >> ELEVEN
            y ^= (y << SEVEN) & FIRST
            y ^= (y << FIFTEEN) & SECOND
            y ^= y >> EIGHTEEN
            drawn[i] = np.float32(np.int32(y & MANTISSA)) * SCALE
        used += n
        done += n
    return used
