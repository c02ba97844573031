"""What a model is: settings that build an ``nn.Module`` for a data set's shape, the same weights for the same seed."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from prune_core.errors import ConfigError
from prune_core.registry import Registered, Registry
from prune_core.seeding import global_seed


class ModelSource(Registered):
    """An architecture that people choose by name. Members give ``_build``, and extend ``check`` where they must."""

    registry: ClassVar[Registry[ModelSource]] = Registry("model")
    min_size: ClassVar[int] = 1
    """Smallest height and width in pixels that every layer still has something to see of; members set it."""

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Raise ConfigError, naming the mismatch, unless this model can be built for ``shape`` and ``classes``.

        ``shape`` is (channels, height, width) for images. Builds nothing.
        """
        check_classes(self, classes)
        check_image(self, shape, self.min_size)

    def build(self, shape: tuple[int, ...], classes: int, seed: int) -> nn.Module:
        """A freshly initialised module, x (batch, *shape) → logits (batch, classes); equal seeds, equal bits."""
        self.check(shape, classes)
        with global_seed(seed, "init"):
            return self._build(shape, classes)

    def outline(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The module with names, kinds and shapes of its layers, and no memory behind them (device "meta")."""
        with torch.device("meta"):
            return self.build(shape, classes, 0)

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The module, drawing its weights from torch's global generator."""
        raise NotImplementedError


def check_classes(source: ModelSource, classes: int) -> None:
    """Raise ConfigError unless there are at least two classes to tell apart."""
    if classes < 2:
        raise ConfigError(f"{type(source).__name__} needs data with at least 2 classes, got {classes}.")


def check_image(source: ModelSource, shape: tuple[int, ...], min_size: int = 1) -> None:
    """Raise ConfigError unless ``shape`` is (channels, height, width) with at least ``min_size`` pixels a side."""
    name = type(source).__name__
    if len(shape) != 3:
        raise ConfigError(
            f"{name} needs images (channels, height, width), got data of shape {tuple(shape)}; "
            "choose MLP for this data, or images such as Digits."
        )
    if min(shape[1:]) < min_size:
        raise ConfigError(
            f"{name} needs images of at least {min_size}×{min_size} pixels, got {shape[1]}×{shape[2]}; "
            "choose MLP, or larger images."
        )
