"""The residual network for CIFAR-sized images."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prune_core.models.base import ModelSource
from prune_core.registry import register


@register("resnet20", label="ResNet-20", reference="He, Zhang, Ren, Sun 2015, arXiv:1512.03385, section 4.2")
class ResNet20(ModelSource):
    """Twenty layers in three stages of 16, 32 and 64 channels; shortcuts without parameters (option A).

    269,722 parameters on CIFAR-10 (published: 0.27 M).
    """

    min_size: ClassVar[int] = 4

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        blocks: list[nn.Module] = []
        width = 16
        for stage in range(3):
            for block in range(3):
                stride = 2 if stage and not block else 1
                blocks.append(Block(width, 16 << stage, stride))
                width = 16 << stage
        net = nn.Sequential(
            conv3x3(shape[0], 16),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, classes),
        )
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return net


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut: x (n, c_in, h, w) → (n, c_out, h / stride, w / stride)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv3x3(c_in, c_out, stride), nn.BatchNorm2d(c_out)
        self.conv2, self.norm2 = conv3x3(c_out, c_out), nn.BatchNorm2d(c_out)
        self.stride, self.more = stride, c_out - c_in

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.more:
            # option A: take every second pixel, and fill the new channels with zeros, half before and half after
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return torch.relu(x + y)


def conv3x3(c_in: int, c_out: int, stride: int = 1) -> nn.Conv2d:
    """A padded 3×3 convolution without bias: a batch norm follows it."""
    return nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
