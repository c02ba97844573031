"""Pruning criteria: each says how much a weight matters. Importing this registers all of them."""

# in the order in which people are offered them
# isort: off
from prune_core.pruning.criteria.base import Criterion, DataCriterion, Need
from prune_core.pruning.criteria.magnitude import Magnitude
from prune_core.pruning.criteria.relative_magnitude import RelativeMagnitude
from prune_core.pruning.criteria.l2_norm import L2Norm
from prune_core.pruning.criteria.random import Random
from prune_core.pruning.criteria.lamp import LAMP
from prune_core.pruning.criteria.gradient_magnitude import GradientMagnitude
from prune_core.pruning.criteria.taylor import Taylor
from prune_core.pruning.criteria.fisher import Fisher
from prune_core.pruning.criteria.wanda import Wanda
from prune_core.pruning.criteria.movement import Movement
from prune_core.pruning.criteria.snip import SNIP
from prune_core.pruning.criteria.grasp import GraSP
from prune_core.pruning.criteria.synflow import SynFlow

# isort: on

__all__ = [
    "LAMP",
    "SNIP",
    "Criterion",
    "DataCriterion",
    "Fisher",
    "GraSP",
    "GradientMagnitude",
    "L2Norm",
    "Magnitude",
    "Movement",
    "Need",
    "Random",
    "RelativeMagnitude",
    "SynFlow",
    "Taylor",
    "Wanda",
]
