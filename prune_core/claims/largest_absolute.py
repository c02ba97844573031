"""Does it help to keep the weights with the largest absolute values?"""

from __future__ import annotations

from typing import ClassVar

from prune_core.claims.keeping import Keeping
from prune_core.pruning import Criterion, Magnitude
from prune_core.registry import register


@register(
    "largest_absolute",
    label="Keep the largest absolute values",
    reference="Han et al. 2015, arXiv:1506.02626; against random masks of the same size",
)
class LargestAbsolute(Keeping):
    """Prunes by |w|, over all layers together, and at random."""

    statement: ClassVar[str] = "Keeping the weights with the largest absolute values helps."
    explanation: ClassVar[str] = (
        "What a weight adds to a sum grows with its size, so that the small ones are missed least. With few weights "
        "removed training makes up for either choice; the more go, the more it matters which."
    )
    criterion: ClassVar[Criterion] = Magnitude()
    kept: ClassVar[str] = "largest |w| kept"
