"""Run a model without leaving a trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


@contextmanager
def quiet(model: nn.Module, *, eval_mode: bool = False) -> Iterator[None]:
    """Within the block nothing is dropped by chance and no running statistic moves; afterwards all is as before.

    Normalisation takes the statistics that the model's mode says, a batch's own in training; ``eval_mode`` takes the
    running ones.
    """
    modes = {module: module.training for module in model.modules()}
    kept = [(buffer, buffer.clone()) for layer in normalised(model) for buffer in layer.buffers(recurse=False)]
    try:
        if eval_mode:
            model.eval()
        for module in modes:
            if draws(module):
                module.training = False
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)


def draws(module: nn.Module) -> bool:
    """Whether a module's forward pass may draw random numbers in training."""
    if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
        return float(module.dropout) > 0
    return (isinstance(module, _DropoutNd) or _skips_blocks(module)) and bool(module.p)


def _skips_blocks(module: nn.Module) -> bool:
    """Whether it is torchvision's StochasticDepth: importing that takes two seconds, and who has one has done it."""
    ops = sys.modules.get("torchvision.ops")
    return ops is not None and isinstance(module, ops.StochasticDepth)


def normalised(model: nn.Module) -> list[_BatchNorm]:
    """The layers that normalise by statistics of their own, measured while training."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
