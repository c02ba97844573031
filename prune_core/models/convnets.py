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


@register("seednet", label="SeedNet")
class SeedNet(ModelSource):
    """Convolutions of 64 and 128 channels, a hidden layer of 1,024: wide for its task, so there is much to prune.

    6,508,298 parameters on 28×28 grey images, nearly all of them in the first linear layer.
    """

    min_size: ClassVar[int] = 4

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return conv_classifier(shape, (64, 128), 1024, classes)


@register(
    "lenet5",
    label="LeNet-5 (Caffe)",
    reference="LeCun, Bottou, Bengio, Haffner 1998; this variant: Caffe's, as in Han et al. 2015, arXiv:1506.02626",
)
class LeNet5(ModelSource):
    """The LeNet-5 of the pruning literature: 5×5 convolutions of 20 and 50 channels, a hidden layer of 500.

    Caffe's variant, not the original of 1998: ReLU, max-pools and 431,080 parameters on 28×28 images. Images under
    16 pixels a side would leave nothing for the second convolution, so there both are padded by 2.
    """

    min_size: ClassVar[int] = 4

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        padding = 0 if min(shape[1:]) >= 16 else 2
        return conv_classifier(shape, (20, 50), 500, classes, kernel=5, padding=padding)


def conv_classifier(
    shape: tuple[int, ...], channels: tuple[int, ...], hidden: int, classes: int, kernel: int = 3, padding: int = 1
) -> nn.Sequential:
    """For each of ``channels`` a convolution, ReLU and 2×2 max-pool; then one hidden linear layer and the classifier.

    Pools halve and round down: an odd last row or column is left out.
    """
    c, h, w = shape
    layers: list[nn.Module] = []
    for width in channels:
        layers += [nn.Conv2d(c, width, kernel, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
        c, h, w = width, (h + 2 * padding - kernel + 1) // 2, (w + 2 * padding - kernel + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * h * w, hidden), nn.ReLU(), nn.Linear(hidden, classes))
