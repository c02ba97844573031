"""Pruning schedules: how sparsity grows over the steps of training."""

from prune_core.pruning.schedules.base import Schedule
from prune_core.pruning.schedules.cubic import Cubic
from prune_core.pruning.schedules.one_shot import OneShot

__all__ = ["Cubic", "OneShot", "Schedule"]
