"""What a reproduction is: trials that give figures, published values to stand beside them, claims that must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import prune_core as pc

Figures = dict[str, float]
Means = Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and whether the means over all seeds say the same."""

    sentence: str
    holds: Callable[[Means], bool]


@dataclass(frozen=True)
class Study:
    """``trials`` by name; each takes a seed and gives figures by the names that ``published`` knows them by.

    A figure that is not in ``published`` stands in the table without a value beside it. docs/reproductions.md says how
    the protocols differ from the papers'.
    """

    name: str
    source: str
    unit: str
    trials: Mapping[str, Callable[[int], Figures]]
    published: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()


def error(result: pc.Result) -> float:
    """Test error in per cent after the last step."""
    return 100 * (1 - result.accuracy)
