"""From a sensitivity scan to a budget: how much each layer gives up."""

from __future__ import annotations

import pandas as pd

from prune_core.errors import ConfigError


def bearable(table: pd.DataFrame, dense: float, loss: float = 0.01) -> dict[str, float]:
    """The highest measured sparsity of every layer up to which it alone costs at most ``loss`` of accuracy; or 0.

    ``table`` is ``Sensitivity.table``, ``dense`` the accuracy of the model as it is; both and ``loss`` are shares in
    [0, 1]. A sparsity counts only where all lower ones are borne too. Layers pruned together cost more than each
    alone: measure the whole budget. Han et al. 2015, arXiv:1506.02626, section 3, chose thresholds of layers so.
    """
    if not 0 <= loss <= 1:
        raise ConfigError(f"loss must be at least 0 and at most 1, a share of all examples, got {loss}.")
    found: dict[str, float] = {}
    for layer, rows in table.groupby("layer", sort=False):
        share = 0.0
        for row in rows.sort_values("sparsity").to_dict("records"):
            if row["accuracy"] < dense - loss - 1e-12:
                break
            share = float(row["sparsity"])
        found[str(layer)] = share
    return found
