"""Every weight for itself."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from prune_core.pruning.granularity.base import Granularity
from prune_core.pruning.granularity.groups import Groups
from prune_core.registry import register


@register(
    "weights",
    label="Single weights",
    formula=r"\text{every } w_i \text{ for itself}",
    reference="LeCun, Denker, Solla 1990; Han, Pool, Tran, Dally 2015, arXiv:1506.02626",
)
class Weights(Granularity):
    """Removes single weights, wherever they are: the most accurate, and only sparse kernels compute less."""

    def groups(self, model: nn.Module, weights: Mapping[str, Tensor]) -> Groups | None:
        return None
