"""Probing: what pruning did to a model, beyond one accuracy."""

from prune_core.probing.agreement import chance_overlap, jaccard, overlaps, rank_correlations
from prune_core.probing.budget import bearable
from prune_core.probing.criteria import (
    CriteriaComparison,
    agreement_findings,
    agreement_sentence,
    compare_criteria,
    curve_sentence,
)
from prune_core.probing.forgotten import Forgotten, forgotten, predict
from prune_core.probing.pruned import pruned
from prune_core.probing.robustness import LEVELS, noisy, robustness
from prune_core.probing.tiles import LayerTiles, layer_tiles

__all__ = [
    "LEVELS",
    "CriteriaComparison",
    "Forgotten",
    "LayerTiles",
    "agreement_findings",
    "agreement_sentence",
    "bearable",
    "chance_overlap",
    "compare_criteria",
    "curve_sentence",
    "forgotten",
    "jaccard",
    "layer_tiles",
    "noisy",
    "overlaps",
    "predict",
    "pruned",
    "rank_correlations",
    "robustness",
]
