"""Regrowth out of dense weights that are trained on behind the masks."""

from __future__ import annotations

from typing import ClassVar

from prune_core.pruning.regrowth.base import Regrowth
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "straight_through",
    label="Straight-through",
    formula=r"w \leftarrow w - \eta \, \nabla L(m_w \odot w)",
    reference="Lin, Stich, Barba, Dmitriev, Jaggi 2020, arXiv:2006.07253; the straight-through estimator is of Bengio, "
    "Léonard, Courville 2013, arXiv:1308.3432",
)
class StraightThrough(Regrowth):
    """Trains removed weights on behind their masks and chooses masks anew, so that a wrong removal is taken back.

    The network only ever uses kept weights, in training, evaluation and the result; what it would have used instead
    of a removed one is kept beside it. The gradient is that of the masked network and passes straight through the mask
    to all dense weights; momentum, Adam's moments and weight decay are theirs too. So the gradient of a removed weight
    is part of the update: clipping limits it and the recorded norms count it, other than under every other pruning.

    Masks are chosen at every removal of the schedule, and every ``every`` steps up to ``until``; the last choice
    stays. A high learning rate moves removed weights far while the network does not feel it, so that many swap at
    every choice: that is why masks rest in the last part, and a lower rate helps.
    """

    keeps_values: ClassVar[bool] = True
    every: int = setting(1, ge=1, le=10_000_000, unit="steps", help="Steps between two choices of the masks.")
