"""The knee of a curve: from where on a little more costs a lot."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from prune_core.errors import ConfigError

FEWEST = 4  # points: of three, the middle one would always be it
LEAST_BEND = 0.1  # how far above the straight line, as a share of the curve's height


@dataclass(frozen=True)
class Knee:
    """Where it is: the ``index`` of the point as given, and its place. ``bend`` is in [0, 1], 0 on a straight line."""

    index: int
    x: float
    y: float
    bend: float


def knee(
    x: Any, y: Any, *, direction: Literal["decreasing", "increasing"] = "decreasing", noise: float = 0.0
) -> Knee | None:
    """The knee of a concave curve: level first, then steep (``decreasing``); or steep, then level (``increasing``).

    It is the last point before the curve bends most, by Kneedle with sensitivity 1. None where there is none: fewer
    than four different x, a curve that bends by less than a tenth of its height away from the straight line, or one
    that moves by no more than ``noise`` (in y's unit) altogether. Not-a-number is left out; of equal x the mean counts.
    Source: Satopaa, Albrecht, Irwin & Raghavan, "Finding a Kneedle in a haystack", 2011.
    """
    if direction not in ("decreasing", "increasing"):
        raise ConfigError(f"direction must be 'decreasing' or 'increasing', got {direction!r}.")
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    if xs.shape != ys.shape or xs.ndim != 1:
        raise ConfigError(f"x and y must be of one length, got {xs.shape} and {ys.shape}.")
    known = np.flatnonzero(np.isfinite(xs) & np.isfinite(ys))
    at, place = np.unique(xs[known], return_inverse=True)
    if len(at) < FEWEST:
        return None
    mean = np.bincount(place, ys[known]) / np.bincount(place)
    if np.ptp(mean) <= max(noise, 1e-12):
        return None
    from kneed import KneeLocator  # takes two seconds to import

    with warnings.catch_warnings():  # that there is no knee is an answer, not something to warn of
        warnings.simplefilter("ignore")
        found = KneeLocator(at, mean, curve="concave", direction=direction, S=1.0)
    if found.knee is None:
        return None
    spot = int(np.argmin(np.abs(at - found.knee)))
    bend = float(_above(at, mean, direction)[spot])
    if not math.isfinite(bend) or bend < LEAST_BEND:
        return None
    candidates = known[place == spot]
    nearest = candidates[np.argmin(np.abs(ys[candidates] - mean[spot]))]
    return Knee(int(nearest), float(at[spot]), float(mean[spot]), bend)


def _above(x: np.ndarray, y: np.ndarray, direction: str) -> np.ndarray:
    """How far each point lies above the diagonal of the box that holds the curve, as a share of its height."""
    right = (x - x.min()) / np.ptp(x)
    up = (y - y.min()) / np.ptp(y)
    above: np.ndarray = up - (1 - right if direction == "decreasing" else right)
    return above
