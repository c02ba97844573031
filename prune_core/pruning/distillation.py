"""Learning from the answers of the network before it was pruned."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from prune_core.settings import Settings, setting


class Distillation(Settings):
    """Lets the pruned network learn from the dense one's answers too. Hinton, Vinyals, Dean 2015, arXiv:1503.02531.

    The teacher is the network as it was right before its first removal, or, where a run starts from a checkpoint that
    has masks, the network as it starts; from then on it stays as it was, in eval mode. Before there is a teacher the
    loss is cross entropy alone. With weight 0 there is none at all.
    """

    temperature: float = setting(
        4.0, gt=0, le=100, help="Divides the scores of both networks: the higher, the more all the classes count."
    )
    weight: float = setting(
        0.5, ge=0, le=1, help="Share of the teacher's answers in the loss; the true classes have the rest."
    )

    def loss(self, scores: Tensor, wanted: Tensor, classes: Tensor) -> Tensor:
        """(1 - weight)·CE + weight·T²·KL(softmax(``wanted``/T) ‖ softmax(``scores``/T)), the mean over the batch.

        ``scores`` and ``wanted``, the teacher's, are (batch, classes) and ``classes`` (batch,) indices; the result is a
        0-dim float32. T² makes up for the gradient of soft answers, which falls with its square (section 2.1).
        """
        entropy = F.cross_entropy(scores, classes)
        mine, theirs = (F.log_softmax(s.float() / self.temperature, 1) for s in (scores, wanted))
        distance = F.kl_div(mine, theirs, reduction="batchmean", log_target=True)
        return (1 - self.weight) * entropy + self.weight * self.temperature**2 * distance
