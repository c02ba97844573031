"""Run a model without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torchvision.ops import StochasticDepth


@contextmanager
def quiet(model: nn.Module, *, eval_mode: bool = False) -> Iterator[None]:
    """Within the block nothing is dropped by chance and no running statistic moves; afterwards all is as before.

    Normalisation takes the statistics that the model's mode says, a batch's own in training; ``eval_mode`` takes the
    running ones.
    """
    modes = {module: module.training for module in model.modules()}
    norms = [m for m in modes if isinstance(m, _BatchNorm) and m.track_running_stats]
    kept = [
        (b, b.clone()) for m in norms for b in (m.running_mean, m.running_var, m.num_batches_tracked) if b is not None
    ]
    try:
        if eval_mode:
            model.eval()
        for module in modes:
            if isinstance(module, nn.MultiheadAttention | nn.RNNBase):
                module.train(module.training and not module.dropout)
            elif isinstance(module, _DropoutNd | StochasticDepth):
                module.eval()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
