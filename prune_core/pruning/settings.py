"""How a run prunes."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import nn

from prune_core.errors import ConfigError
from prune_core.pruning.criteria import Criterion, Magnitude
from prune_core.pruning.masks import Scope
from prune_core.pruning.prunable import prunable
from prune_core.pruning.schedules import Cubic, Schedule
from prune_core.settings import Settings, setting


class Pruning(Settings):
    """Which weights a run removes, from where, and when."""

    criterion: Criterion = setting(Magnitude(), help="How much a weight matters; the lowest are removed first.")
    scope: Scope = setting(
        "global", help="Compare all weights with each other, or remove the same share of every layer ('layer')."
    )
    schedule: Schedule = setting(Cubic(), help="How the share removed grows during training.")
    keep_first: bool = setting(False, help="Leave the first layer dense.", advanced=True)
    keep_last: bool = setting(False, help="Leave the last layer, the classifier, dense.", advanced=True)
    keep_dense: tuple[str, ...] = setting(
        (), help="Layers to leave dense, by name; * stands for anything, as in 'layer1.*'.", advanced=True
    )

    def select(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The parameters of ``model`` that this removes from: ``prunable`` without those that stay dense.

        Sparsity is a share of these. Raises ConfigError where a name in ``keep_dense`` is no layer's, or nothing is
        left.
        """
        found = prunable(model)
        names = list(found)
        dense = set(names[:1] * self.keep_first + names[-1:] * self.keep_last)
        for pattern in self.keep_dense:
            hits = [n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n.rpartition(".")[0], pattern)]
            if not hits:
                raise ConfigError(
                    f"Pruning.keep_dense names {pattern!r}, but no prunable weight is called so; "
                    f"there are: {', '.join(names) or 'none'}."
                )
            dense.update(hits)
        left = {name: w for name, w in found.items() if name not in dense}
        if not left:
            raise ConfigError(
                f"Pruning has nothing to remove: of {len(names)} prunable weights {len(dense)} are kept dense; "
                "use a model with linear, convolution, attention or recurrent layers, or keep fewer dense."
            )
        return left
