"""Dynamic sparsity: removed weights that come back while others go. Importing this registers all of it."""

from prune_core.pruning.regrowth.base import Exchange, Regrowth, exchange
from prune_core.pruning.regrowth.rigl import RigL
from prune_core.pruning.regrowth.set import SET
from prune_core.pruning.regrowth.straight_through import StraightThrough

__all__ = ["SET", "Exchange", "Regrowth", "RigL", "StraightThrough", "exchange"]
