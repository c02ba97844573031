"""What a criterion is: a score for every weight, the lowest removed first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from prune_core.formulas import SIZE, Pieces, PruneNumbers, tex, words
from prune_core.pruning.evidence import Evidence
from prune_core.registry import Registered, Registry
from prune_core.settings import setting

Need = Literal["model", "data", "training"]


class Criterion(Registered):
    """Says how much each weight matters. A member gives ``score``.

    ``needs`` names what it looks at besides the weights: the "model" itself, "data" (labelled examples), or a
    "training" run that it follows. ``before_training`` says that it is defined at initial weights only, ``by_size``
    that within a layer it goes by |w|, so that a threshold of |w| says what goes, ``within_outputs`` that it compares
    weights of one output only, so that outputs as wholes all score alike. ``symbol`` is what a weight's score is called
    in formulas, as LaTeX.
    """

    registry: ClassVar[Registry[Criterion]] = Registry("pruning criterion")
    needs: ClassVar[frozenset[Need]] = frozenset()
    before_training: ClassVar[bool] = False
    by_size: ClassVar[bool] = False
    within_outputs: ClassVar[bool] = False
    symbol: ClassVar[str] = "s_i"

    def score(self, at: Evidence) -> Mapping[str, Tensor]:
        """A score of each weight's shape, by the weights' names; the lowest are removed first.

        Scores are compared across layers where the scope is global. Everything comes from ``at``: the weights and what
        ``needs`` says; whatever is random is drawn from its generator. Raises ConfigError for what cannot be had there.
        """
        raise NotImplementedError

    def contributions(self, at: Evidence) -> Mapping[str, Tensor]:
        """What each weight adds to the score of a group of weights: its own score unless a member says otherwise."""
        return self.score(at)

    def of_groups(self, contributions: Tensor, there: Tensor) -> Tensor:
        """Scores (groups,) from what the weights in them add (groups, size), of those that are ``there`` (bool).

        The mean, unless a member says otherwise: groups of any size can then be compared with each other.
        """
        total = contributions.where(there, 0).sum(1, dtype=contributions.dtype)
        return total / there.sum(1).clamp(min=1)

    def filled(self, now: PruneNumbers) -> Pieces:
        """What stays, with the numbers of one pruning, as pieces of LaTeX: the mask where there is one threshold."""
        if now.threshold is None:
            return ()
        mask, score = ("m_G", "s_G") if now.groups else ("m_i", SIZE if now.sizes else self.symbol)
        where = rf" \;\; {words(f'({now.where})')}" if now.where else ""
        return (rf"{mask} = \mathbf{{1}}\left[\, {score} > {tex(now.threshold)} \,\right]{where}",)

    def can_score(self, layer: nn.Module) -> bool:
        """Whether it can score the weights of ``layer``: all there are, unless a member says otherwise."""
        return True

    def rounds_to(self, sparsity: float) -> int:
        """In how many rounds, scored anew in each, ``sparsity`` is reached; the weights left shrink geometrically."""
        return 1


def examples_setting(default: int) -> Any:
    """The field ``examples`` of a criterion that looks at data."""
    return setting(
        default,
        ge=1,
        le=1_000_000,
        unit="examples",
        help="Training examples it looks at, drawn by the seed.",
        advanced=True,
    )


class DataCriterion(Criterion):
    """A criterion that looks at training examples."""

    needs: ClassVar[frozenset[Need]] = frozenset({"model", "data"})
    examples: int = examples_setting(512)
