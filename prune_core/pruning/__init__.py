"""Pruning: score, select, apply; and when. Importing this registers every criterion and schedule."""

from prune_core.pruning.allocation import allocate, erk_densities
from prune_core.pruning.choose import choose_masks, score
from prune_core.pruning.criteria import (
    LAMP,
    SNIP,
    Criterion,
    DataCriterion,
    Fisher,
    GradientMagnitude,
    GraSP,
    L2Norm,
    Magnitude,
    Movement,
    Random,
    RelativeMagnitude,
    SynFlow,
    Taylor,
    Wanda,
)
from prune_core.pruning.distillation import Distillation
from prune_core.pruning.evidence import Evidence, one_batch
from prune_core.pruning.granularity import (
    Blocks,
    Channels,
    Filters,
    Granularity,
    Groups,
    Heads,
    Neurons,
    NofM,
    Weights,
)
from prune_core.pruning.group_index import GroupIndex
from prune_core.pruning.index import WeightIndex
from prune_core.pruning.masks import Masks, Scope, apply_masks_, make_masks, sparsity_of
from prune_core.pruning.prunable import prunable
from prune_core.pruning.prune import prune_
from prune_core.pruning.regrowth import SET, Exchange, Regrowth, RigL, StraightThrough
from prune_core.pruning.schedules import Cubic, Gradual, Iterative, Linear, OneShot, Schedule
from prune_core.pruning.sensitivity import scan_curves
from prune_core.pruning.settings import Pruning
from prune_core.pruning.together import check_together
from prune_core.pruning.tolerance import LossCurve, allocate_by_loss

__all__ = [
    "LAMP",
    "SET",
    "SNIP",
    "Blocks",
    "Channels",
    "Criterion",
    "Cubic",
    "DataCriterion",
    "Distillation",
    "Evidence",
    "Exchange",
    "Filters",
    "Fisher",
    "GraSP",
    "GradientMagnitude",
    "Gradual",
    "Granularity",
    "GroupIndex",
    "Groups",
    "Heads",
    "Iterative",
    "L2Norm",
    "Linear",
    "LossCurve",
    "Magnitude",
    "Masks",
    "Movement",
    "Neurons",
    "NofM",
    "OneShot",
    "Pruning",
    "Random",
    "Regrowth",
    "RelativeMagnitude",
    "RigL",
    "Schedule",
    "Scope",
    "StraightThrough",
    "SynFlow",
    "Taylor",
    "Wanda",
    "WeightIndex",
    "Weights",
    "allocate",
    "allocate_by_loss",
    "apply_masks_",
    "check_together",
    "choose_masks",
    "erk_densities",
    "make_masks",
    "one_batch",
    "prunable",
    "prune_",
    "scan_curves",
    "score",
    "sparsity_of",
]
