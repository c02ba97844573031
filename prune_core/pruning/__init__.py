"""Pruning: score, select, apply; and when. Importing this registers every criterion and schedule."""

from prune_core.pruning.allocation import allocate, erk_densities
from prune_core.pruning.choose import choose_masks
from prune_core.pruning.criteria import (
    LAMP,
    SNIP,
    Criterion,
    DataCriterion,
    Fisher,
    GradientMagnitude,
    GraSP,
    Magnitude,
    Movement,
    Random,
    RelativeMagnitude,
    SynFlow,
    Taylor,
    Wanda,
)
from prune_core.pruning.evidence import Evidence, one_batch
from prune_core.pruning.index import WeightIndex
from prune_core.pruning.masks import Masks, Scope, apply_masks_, make_masks, sparsity_of
from prune_core.pruning.prunable import prunable
from prune_core.pruning.prune import prune_
from prune_core.pruning.regrowth import SET, Regrowth, RigL
from prune_core.pruning.schedules import Cubic, Gradual, Iterative, Linear, OneShot, Schedule
from prune_core.pruning.sensitivity import scan_curves
from prune_core.pruning.settings import Pruning
from prune_core.pruning.tolerance import LossCurve, allocate_by_loss

__all__ = [
    "LAMP",
    "SET",
    "SNIP",
    "Criterion",
    "Cubic",
    "DataCriterion",
    "Evidence",
    "Fisher",
    "GraSP",
    "GradientMagnitude",
    "Gradual",
    "Iterative",
    "Linear",
    "LossCurve",
    "Magnitude",
    "Masks",
    "Movement",
    "OneShot",
    "Pruning",
    "Random",
    "Regrowth",
    "RelativeMagnitude",
    "RigL",
    "Schedule",
    "Scope",
    "SynFlow",
    "Taylor",
    "Wanda",
    "WeightIndex",
    "allocate",
    "allocate_by_loss",
    "apply_masks_",
    "choose_masks",
    "erk_densities",
    "make_masks",
    "one_batch",
    "prunable",
    "prune_",
    "scan_curves",
    "sparsity_of",
]
