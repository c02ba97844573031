"""Pruning criteria: each says how much a weight matters."""

from prune_core.pruning.criteria.base import Criterion
from prune_core.pruning.criteria.magnitude import Magnitude
from prune_core.pruning.criteria.random import Random

__all__ = ["Criterion", "Magnitude", "Random"]
