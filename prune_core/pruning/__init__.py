"""Pruning: score, select, apply; and when. Importing this registers every criterion and schedule."""

from prune_core.pruning.criteria import Criterion, Magnitude, Random
from prune_core.pruning.index import WeightIndex
from prune_core.pruning.masks import Masks, Scope, apply_masks_, make_masks, sparsity_of
from prune_core.pruning.prunable import prunable
from prune_core.pruning.prune import prune_
from prune_core.pruning.schedules import Cubic, OneShot, Schedule
from prune_core.pruning.settings import Pruning

__all__ = [
    "Criterion",
    "Cubic",
    "Magnitude",
    "Masks",
    "OneShot",
    "Pruning",
    "Random",
    "Schedule",
    "Scope",
    "WeightIndex",
    "apply_masks_",
    "make_masks",
    "prunable",
    "prune_",
    "sparsity_of",
]
