"""Measured figures in the sentences of verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from prune_core.comparing import Against

SPACE = "\u00a0"


def percent(share: float, digits: int = 1) -> str:
    """A share as ``12.3 %``."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def points(share: float, digits: int = 1) -> str:
    """A difference of shares as ``2.3 points``."""
    number = f"{100 * share:.{digits}f}".replace("-", "−")
    return f"{number}{SPACE}{'point' if number == '1' else 'points'}"


def span(found: Against, digits: int = 1) -> str:
    """A difference of shares and its 95 % interval: ``2.3 points (1.2 to 3.4)``."""
    if math.isnan(found.low):
        return points(found.mean, digits)
    between = f"{100 * found.low:.{digits}f} to {100 * found.high:.{digits}f}".replace("-", "−")
    return f"{points(found.mean, digits)} ({between})"


def changed(loss: Against) -> str:
    """A loss of accuracy in words: ``loses 2.3 points (1.2 to 3.4)``, or gains."""
    if loss.mean >= 0:
        return f"loses {span(loss)}"
    return f"gains {span(replace(loss, mean=-loss.mean, low=-loss.high, high=-loss.low))}"


def times(found: Against) -> str:
    """A ratio and its 95 % interval: ``0.41 × (0.40 to 0.43)``; exactly equal where there is no spread."""
    if found.low == found.high:
        exactly = "exactly " if found.mean == round(found.mean, 6) else ""
        return f"{exactly}{found.mean:.3g}{SPACE}×"
    digits = 2 if found.high - found.low > 0.02 else 3
    return f"{found.mean:.{digits}f}{SPACE}× ({found.low:.{digits}f} to {found.high:.{digits}f})"


def listed(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    found = list(parts)
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
