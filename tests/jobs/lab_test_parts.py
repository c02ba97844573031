"""Models that misbehave on purpose. Worker processes import this by its name, from PRUNE_LAB_PLUGINS."""

from __future__ import annotations

import time

import torch
from torch import nn

import prune_core as pc
from prune_core.models import ModelSource
from prune_core.settings import setting


class Wait(nn.Module):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            time.sleep(self.seconds)
        return x


class Fail(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the sky is falling")


class Leave(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(3)


def _net(first: nn.Module, shape: tuple[int, ...], classes: int) -> nn.Module:
    n = 1
    for side in shape:
        n *= side
    return nn.Sequential(first, nn.Flatten(), nn.Linear(n, classes))


@pc.register("test_slow", label="Slow")
class Slow(ModelSource):
    """Waits in every training step."""

    seconds: float = setting(0.02, ge=0, help="Length of the wait.", unit="s")

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        pass

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return _net(Wait(self.seconds), shape, classes)


@pc.register("test_failing", label="Failing")
class Failing(ModelSource):
    """Raises, or leaves the process as a careless script would."""

    leave: bool = setting(False, help="Raise SystemExit.")

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        pass

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return _net(Leave() if self.leave else Fail(), shape, classes)
