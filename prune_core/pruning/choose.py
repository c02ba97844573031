"""Score and select, in as many rounds as the criterion takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from prune_core.pruning.criteria import Criterion
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.granularity import Groups
from prune_core.pruning.masks import Masks, check_sparsity, sparsity_of

Select = Callable[[Mapping[str, Tensor], float, Mapping[str, Tensor] | None], Masks]
"""Masks that remove a share of the whole by scores, given the masks so far: ``make_masks`` with its scope settled."""


def choose_masks(
    criterion: Criterion,
    sparsity: float,
    select: Select,
    look: Callable[[Mapping[str, Tensor]], Evidence],
    keep: Mapping[str, Tensor] | None = None,
    groups: Groups | None = None,
) -> Masks:
    """Masks that remove ``sparsity`` of the whole, what ``keep`` removed earlier included.

    ``look(masks)`` is what is known once ``masks`` are applied. With several rounds the share of weights left falls by
    the same factor in each, so that the last round is as careful as the first (Tanaka et al. 2020, algorithm 1).
    Weights of ``groups`` that go together have their group's score.
    """
    check_sparsity(sparsity)
    masks = dict(keep) if keep else {}
    rounds = criterion.rounds_to(sparsity)
    dense, wanted = 1 - sparsity_of(masks), 1 - sparsity
    if wanted >= dense:  # as much is gone already
        rounds = 1
    for k in range(1, rounds + 1):
        share = sparsity if k == rounds else 1 - dense * (wanted / dense) ** (k / rounds)
        masks = select(score(criterion, look(masks), groups), share, masks or None)
    return masks


def score(criterion: Criterion, at: Evidence, groups: Groups | None = None) -> Mapping[str, Tensor]:
    """The criterion's scores by weight; where weights go together, each has the score of its group."""
    if groups is None or groups.at_most is not None:
        return criterion.score(at)
    return groups.scores(criterion.contributions(at), at.masks, criterion.of_groups)
