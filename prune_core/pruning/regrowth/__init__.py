"""Dynamic sparsity: removed weights that come back while others go. Importing this registers all of it."""

from prune_core.pruning.regrowth.base import Regrowth, exchange
from prune_core.pruning.regrowth.rigl import RigL
from prune_core.pruning.regrowth.set import SET

__all__ = ["SET", "Regrowth", "RigL", "exchange"]
