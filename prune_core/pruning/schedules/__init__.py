"""Pruning schedules: how sparsity grows over the steps of training. Importing this registers all of them."""

# in the order in which people are offered them
# isort: off
from prune_core.pruning.schedules.base import Schedule
from prune_core.pruning.schedules.gradual import Gradual
from prune_core.pruning.schedules.cubic import Cubic
from prune_core.pruning.schedules.one_shot import OneShot
from prune_core.pruning.schedules.iterative import Iterative
from prune_core.pruning.schedules.linear import Linear

# isort: on

__all__ = ["Cubic", "Gradual", "Iterative", "Linear", "OneShot", "Schedule"]
