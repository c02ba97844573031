"""Numbers as they stand in formulas, and what is known of one clipping or pruning to fill its formula in.

A method says itself what its formula looks like with numbers in it: ``ClipStrategy.filled``, ``Criterion.filled`` and
``Schedule.filled``. Each gives a few pieces of LaTeX that follow one another and may go into lines of their own; where
a method says nothing, its family's own words stand there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Pieces = tuple[str, ...]
SIZE = "|w_i|"
SPECIAL = {c: rf"\{c}" for c in "_%&#$"} | {"{": r"\{", "}": r"\}", "\\": "/", "^": " ", "~": " "}


@dataclass(frozen=True)
class LayerNumbers:
    """One layer in one clipping: its entries, and its L2 norm before and after."""

    name: str
    size: int
    before: float
    after: float

    @property
    def left(self) -> float:
        """Share of its length that is left."""
        return left(self.before, self.after)


@dataclass(frozen=True)
class ClipNumbers:
    """One clipping. Norms are L2 of the whole gradient, ``changed`` is the share of entries that changed.

    What a run does not record may be missing: the ``entries`` before, the ``layers``, a strategy's ``state``, and how
    many ``norms`` there were so far, this one included.
    """

    before: float
    after: float
    changed: float
    entries: np.ndarray | None = None
    layers: Sequence[LayerNumbers] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    norms: int | None = None

    @property
    def left(self) -> float:
        """Share of the length that is left: the factor, where one number multiplies all."""
        return left(self.before, self.after)

    @property
    def shortest(self) -> LayerNumbers | None:
        """The layer that lost the largest share of its length."""
        return min(self.layers, key=lambda layer: layer.left, default=None)

    @property
    def measured(self) -> Pieces:
        """What it did, whatever the strategy: length before and after, entries changed."""
        return (
            rf"\lVert g \rVert_2 = {tex(self.before)} \to {tex(self.after)}",
            rf"{share(self.changed)} \text{{ of entries changed}}",
        )


@dataclass(frozen=True)
class PruneNumbers:
    """One pruning: how many of all prunable weights are left.

    ``threshold`` is the largest score that went, None where nothing went or scores are not compared with one number;
    ``where`` says in words of which layer or step it is, empty where it is of all. ``groups``: the scores are those of
    groups; ``sizes``: the threshold is one of |w|, whatever the score.
    """

    kept: int
    total: int
    threshold: float | None = None
    where: str = ""
    groups: bool = False
    sizes: bool = False

    @property
    def measured(self) -> Pieces:
        """The sparsity as what it is: a share."""
        gone = self.total - self.kept
        if not self.total:
            return ()
        return (
            rf"s = \frac{{\#\{{i : m_i = 0\}}}}{{\#\{{i\}}}} = \frac{{{whole(gone)}}}{{{whole(self.total)}}} = "
            rf"{share(gone / self.total)}",
        )


def left(before: float, after: float) -> float:
    """Share of a length that is left; 1 of none, nan where it is not finite."""
    return after / before if before != 0 else 1.0


def tex(value: float, digits: int = 3) -> str:
    """A number in a formula, of ``digits`` significant digits."""
    if not math.isfinite(value):
        return r"\text{not finite}"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e5:
        places = max(digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}")))), 0)
        text = f"{value:.{places}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return rf"{mantissa.rstrip('0').rstrip('.')} \cdot 10^{{{int(power)}}}"


def whole(n: int) -> str:
    """A count in a formula, with thin spaces between thousands."""
    return f"{n:,}".replace(",", r"\,")


def share(value: float) -> str:
    """A share in [0, 1] in a formula, as per cent."""
    return rf"{100 * value:.1f}\,\%" if math.isfinite(value) else r"\text{not finite}"


def words(text: str) -> str:
    """Plain text in a formula."""
    return rf"\text{{{''.join(SPECIAL.get(c, c) for c in text)}}}"
