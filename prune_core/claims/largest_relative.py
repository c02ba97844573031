"""Does it help to keep the weights that are largest relative to their layer?"""

from __future__ import annotations

from typing import ClassVar

from prune_core.claims.keeping import Keeping
from prune_core.pruning import Criterion, RelativeMagnitude
from prune_core.registry import register


@register(
    "largest_relative",
    label="Keep the largest relative values",
    reference="Relative to the mean |w| of the layer; against random masks of the same size",
)
class LargestRelative(Keeping):
    """Prunes by |w| as a multiple of its layer's mean |w|, over all layers together, and at random."""

    statement: ClassVar[str] = "Keeping the weights with the largest relative values helps."
    explanation: ClassVar[str] = (
        "Layers differ in scale: divided by its layer's mean, a weight competes with all others on equal terms, and no "
        "layer is emptied because its weights are small throughout."
    )
    criterion: ClassVar[Criterion] = RelativeMagnitude()
    kept: ClassVar[str] = "largest |w| ÷ layer mean kept"
