"""Plain convolutional networks: convolutions, 2×2 max-pools, fully connected layers."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from prune_core.models.base import ModelSource
from prune_core.registry import register
from prune_core.settings import setting


@register("small_cnn", label="Small CNN")
class SmallCNN(ModelSource):
    """Two convolutions and two linear layers: learns Digits in seconds on one core."""

    min_size: ClassVar[int] = 4
    width: int = setting(
        16, ge=1, le=512, unit="channels", help="Channels of the first convolution; twice as many in the second."
    )

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return conv_classifier(shape, (self.width, 2 * self.width), 64, classes)


def conv_classifier(
    shape: tuple[int, ...], channels: tuple[int, ...], hidden: int, classes: int, kernel: int = 3, padding: int = 1
) -> nn.Sequential:
    """For each of ``channels`` a convolution, ReLU and 2×2 max-pool; then one hidden linear layer and the classifier.

    Pools halve and round down, so an odd last row or column is left out, as in the published networks.
    """
    c, h, w = shape
    layers: list[nn.Module] = []
    for width in channels:
        layers += [nn.Conv2d(c, width, kernel, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
        c, h, w = width, (h + 2 * padding - kernel + 1) // 2, (w + 2 * padding - kernel + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * h * w, hidden), nn.ReLU(), nn.Linear(hidden, classes))
