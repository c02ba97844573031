"""What several claims ask for: lists of numbers, and how pruning fits into a training."""

from __future__ import annotations

from typing import Any

from prune_core.errors import ConfigError
from prune_core.pruning import Criterion, Cubic, Pruning


def numbers(name: str, given: Any, low: float, high: float, most: int = 12) -> tuple[float, ...]:
    """What was typed as different numbers between ``low`` and ``high``, both excluded, in order. Raises ConfigError."""
    typed = [given] if isinstance(given, int | float | str) else list(given)
    try:
        found = tuple(sorted({float(value) for value in typed}))
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be numbers separated by commas, got {given!r}.") from None
    if not 1 <= len(found) <= most or not all(low < value < high for value in found):
        raise ConfigError(
            f"{name} must be 1 to {most} numbers greater than {low:g} and less than {high:g}, got {given!r}."
        )
    return found


def gradually(criterion: Criterion, sparsity: float, steps: int) -> Pruning:
    """Pruning from a quarter to three quarters of a training of ``steps``, and fine-tuning for the last quarter."""
    return Pruning(criterion=criterion, schedule=within(sparsity, steps))


def within(sparsity: float, steps: int) -> Cubic:
    """Cubic, from a quarter to three quarters of a training, in some twenty removals, as its authors do."""
    return Cubic(final=sparsity, start=steps // 4, stop=3 * steps // 4, every=max(1, steps // 40))
