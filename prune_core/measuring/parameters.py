"""How many parameters a model has, and how many of them are left."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from torch import nn

from prune_core.measuring.weights import Masks, describe


@dataclass(frozen=True)
class ParameterCount:
    """Numbers of entries; two sparsities because there are two denominators, and texts mix them up."""

    total: int
    """All parameters, biases and normalisation included."""
    prunable: int
    """Entries that pruning may remove: weights of linear, convolution, attention and recurrent layers."""
    kept: int
    """Prunable entries left: kept by the masks, or, without masks, not exactly zero."""
    nonzero: int
    """Entries of all parameters that are not exactly zero."""

    @property
    def sparsity(self) -> float:
        """Share of the prunable entries that were removed, in [0, 1]."""
        return 1 - self.kept / self.prunable if self.prunable else 0.0

    @property
    def sparsity_of_all(self) -> float:
        """Removed entries as a share of all parameters: never above ``sparsity``."""
        return (self.prunable - self.kept) / self.total if self.total else 0.0

    @property
    def compression(self) -> float:
        """All parameters divided by those left (1 when nothing was removed)."""
        left = self.total - self.prunable + self.kept
        return self.total / left if left else float("inf")


def count_parameters(model: nn.Module, masks: Masks | None = None) -> ParameterCount:
    """Count ``model``'s parameters; shared ones once."""
    total = prunable = kept = nonzero = 0
    info, masks = describe(model), masks or {}
    for name, parameter in model.named_parameters():
        n, left = parameter.numel(), int(parameter.count_nonzero())
        total += n
        nonzero += left
        if info[name].prunable or name in masks:
            prunable += n
            kept += int(masks[name].count_nonzero()) if name in masks else left
    return ParameterCount(total, prunable, kept, nonzero)


def layer_table(model: nn.Module, masks: Masks | None = None) -> pd.DataFrame:
    """A row for each prunable tensor, in the model's order.

    Columns: layer, kind, shape (text), weights, kept, sparsity (share of this layer's weights removed), share_of_all
    (this layer's weights as a share of all parameters), share_of_kept (of all kept weights). A layer with kept = 0
    passes nothing on: layer collapse.
    """
    info, masks = describe(model), masks or {}
    rows = []
    total = 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if info[name].prunable or name in masks:
            left = masks.get(name, parameter).count_nonzero()
            rows.append((name, info[name].kind, "×".join(map(str, parameter.shape)), parameter.numel(), int(left)))
    table = pd.DataFrame(rows, columns=["layer", "kind", "shape", "weights", "kept"])
    table = table.astype({"weights": "int64", "kept": "int64"})
    table["sparsity"] = (1 - table["kept"] / table["weights"]).where(table["weights"] > 0, 0.0)
    table["share_of_all"] = table["weights"] / max(total, 1)
    table["share_of_kept"] = table["kept"] / max(int(table["kept"].sum()), 1)
    return table
