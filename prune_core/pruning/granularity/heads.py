"""Whole attention heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from prune_core.pruning.granularity.base import Granularity
from prune_core.pruning.granularity.groups import Part, Unit
from prune_core.registry import register


@register(
    "heads",
    label="Attention heads",
    formula=r"W^Q_h, W^K_h, W^V_h, W^O_h \text{ go together}",
    reference="Michel, Levy, Neubig 2019, arXiv:1905.10650; Voita et al. 2019, arXiv:1905.09418",
)
class Heads(Granularity):
    """Removes whole attention heads: the rows that make queries, keys and values, and the columns that read the result.

    Of torch's nn.MultiheadAttention with queries, keys and values of one width; other layers stay dense.
    """

    wants: ClassVar[str] = "nn.MultiheadAttention layers"

    def units(self, weights: Mapping[str, Tensor], model: nn.Module) -> list[Unit]:
        found = []
        for path, layer in model.named_modules():
            inside, out = f"{path}.in_proj_weight".lstrip("."), f"{path}.out_proj.weight".lstrip(".")
            if isinstance(layer, nn.MultiheadAttention) and inside in weights and out in weights:
                heads, size, width = layer.num_heads, layer.head_dim, layer.embed_dim
                rows = Part(inside, (3 * width, width), (3, heads, size, width), (1, 0, 2, 3), 1)
                columns = Part(out, (width, width), (width, heads, size), (1, 0, 2), 1)
                found.append(Unit((rows, columns)))
        return found
