"""What granularity is: how a layer's weights are cut into groups that go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from prune_core.errors import ConfigError
from prune_core.pruning.granularity.groups import Groups, Part, Unit
from prune_core.pruning.prunable import prunable
from prune_core.registry import Registered, Registry


class Granularity(Registered):
    """Says which weights go together. A member gives ``cut``, for one weight, or ``units``, for all of a model.

    It works by masks: what is removed is 0 and stays in its place. A bias stays too, so that a removed filter or neuron
    still passes on a constant.
    """

    registry: ClassVar[Registry[Granularity]] = Registry("granularity")
    wants: ClassVar[str] = ""
    """What layers it finds groups in, in words."""

    whole_outputs: ClassVar[bool] = False
    """Whether a group holds all weights of an output, so that ranks within an output say nothing. The last layer, whose
    outputs are the classes, then stays dense."""

    @property
    def most(self) -> float:
        """The highest sparsity that can be reached; 1 where all could go."""
        return 1.0

    @property
    def at_most(self) -> int | None:
        """How many weights of every group may go; None where a group goes as a whole."""
        return None

    def cut(self, name: str, shape: tuple[int, ...], layer: nn.Module) -> Part | None:
        """How the weight ``name`` of ``layer`` is cut into groups; None where it cannot be, and so stays dense."""
        raise NotImplementedError

    def units(self, weights: Mapping[str, Tensor], model: nn.Module) -> list[Unit]:
        """The groups of a model's ``weights``."""
        parts = (self.cut(name, tuple(w.shape), owner(model, name)) for name, w in weights.items())
        return [Unit((part,)) for part in parts if part is not None]

    def groups(self, model: nn.Module, weights: Mapping[str, Tensor]) -> Groups | None:
        """The groups of some of a model's prunable weights; None where every weight stands for itself.

        Raises ConfigError where none can be cut this way.
        """
        every = list(prunable(model))
        fit = {n: w for n, w in weights.items() if not (self.whole_outputs and n == every[-1])}
        units = tuple(self.units(fit, model))
        if not units:
            raise ConfigError(
                f"Pruning.granularity {type(self).__name__} finds nothing to remove in this model: it needs "
                f"{self.wants}{' before the last layer' if self.whole_outputs else ''}; choose Weights, or another "
                "model."
            )
        there = {name for unit in units for name in unit.names}
        return Groups(units, self.at_most, self.most, tuple(n for n in weights if n not in there))


def owner(model: nn.Module, name: str) -> nn.Module:
    """The layer that a parameter belongs to."""
    return model.get_submodule(name.rpartition(".")[0])


def rows(name: str, shape: tuple[int, ...], axis: int = 0) -> Part:
    """A group for every index of one axis: 0 the outputs of linear and convolution layers, 1 their inputs."""
    return Part(name, shape, shape, (axis, *(i for i in range(len(shape)) if i != axis)), 1)
