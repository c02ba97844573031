"""Fully connected networks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from torch import nn

from prune_core.models.base import ModelSource, check_classes
from prune_core.registry import register
from prune_core.settings import setting

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


@register("mlp", label="MLP", reference="Rosenblatt 1961; Rumelhart, Hinton, Williams 1986")
class MLP(ModelSource):
    """Fully connected layers of one width: the model for points in the plane, and a baseline for images."""

    width: int = setting(64, ge=1, le=8192, unit="units", help="Units in each hidden layer.", log=True)
    depth: int = setting(2, ge=0, le=32, unit="layers", help="Hidden layers; 0 is a linear classifier.")
    activation: Literal["relu", "tanh"] = setting("relu", help="Non-linearity after each hidden layer.", advanced=True)

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        check_classes(self, classes)  # any shape will do: it is flattened

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return fully_connected((math.prod(shape), *[self.width] * self.depth, classes), ACTIVATIONS[self.activation])


@register(
    "lenet300",
    label="LeNet-300-100",
    reference="LeCun, Bottou, Bengio, Haffner 1998; Han et al. 2015, arXiv:1506.02626",
)
class LeNet300(ModelSource):
    """Fully connected 300-100 network of the pruning literature; 266,610 parameters on 28×28 images."""

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return fully_connected((math.prod(shape), 300, 100, classes), nn.ReLU)


def fully_connected(sizes: tuple[int, ...], activation: type[nn.Module]) -> nn.Sequential:
    """Flatten, then a linear layer from each size to the next, ``activation`` between them (torch's initialisation)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        if i:
            layers.append(activation())
        layers.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*layers)
