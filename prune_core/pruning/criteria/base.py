"""What a criterion is: a score for every weight, the lowest removed first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from prune_core.registry import Registered, Registry


class Criterion(Registered):
    """Says how much each weight matters. A member gives ``score``.

    ``needs`` names what it looks at besides the weights: "gradients" of the loss on a batch.
    """

    registry: ClassVar[Registry[Criterion]] = Registry("pruning criterion")
    needs: ClassVar[frozenset[str]] = frozenset()

    def score(
        self,
        weights: Mapping[str, Tensor],
        grads: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Mapping[str, Tensor]:
        """A score of each weight's shape, by the weights' names; the lowest are removed first.

        Scores are compared across layers where the scope is global. ``grads`` has the weights' names and shapes and is
        given where ``needs`` says so; whatever is random is drawn from ``generator``.
        """
        raise NotImplementedError
