"""Granularity: what is removed at once, single weights or groups of them. Importing this registers all of it."""

# in the order in which people are offered them
# isort: off
from prune_core.pruning.granularity.groups import Groups, Part, Unit
from prune_core.pruning.granularity.base import Granularity
from prune_core.pruning.granularity.weights import Weights
from prune_core.pruning.granularity.n_of_m import NofM
from prune_core.pruning.granularity.blocks import Blocks
from prune_core.pruning.granularity.filters import Filters
from prune_core.pruning.granularity.channels import Channels
from prune_core.pruning.granularity.neurons import Neurons
from prune_core.pruning.granularity.heads import Heads

# isort: on

__all__ = [
    "Blocks",
    "Channels",
    "Filters",
    "Granularity",
    "Groups",
    "Heads",
    "Neurons",
    "NofM",
    "Part",
    "Unit",
    "Weights",
]
