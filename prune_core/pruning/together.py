"""Which ways of pruning go together."""

from __future__ import annotations

from prune_core.errors import ConfigError
from prune_core.pruning.criteria import Criterion
from prune_core.pruning.granularity import Granularity
from prune_core.pruning.masks import Scope


def check_together(criterion: Criterion, scope: Scope, granularity: Granularity) -> None:
    """Raise ConfigError where the three do not go together, whatever the model and the schedule."""
    grain = type(granularity).__name__
    if granularity.most < 1 and scope not in ("global", "layer"):
        raise ConfigError(
            f"Pruning.scope must be 'global' or 'layer' with {grain}, which gives every layer the same limit; got "
            f"{scope!r}."
        )
    if granularity.whole_outputs and criterion.within_outputs:
        raise ConfigError(
            f"Pruning.granularity must not remove whole outputs with {type(criterion).__name__}, which compares the "
            f"weights of one output with each other; got {grain}, choose Weights, NofM or Blocks."
        )
