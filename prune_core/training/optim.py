"""The optimizer over one flat tensor, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch

from prune_core.experiment import Training


def make_optimizer(train: Training, weights: torch.Tensor) -> torch.optim.Optimizer:
    """torch's own SGD, Adam or AdamW over ``weights`` (n,), in its fused form: one pass over memory a step."""
    params = [weights]
    if train.optimizer == "sgd":
        return torch.optim.SGD(
            params,
            lr=train.lr,
            momentum=train.momentum,
            nesterov=train.nesterov,
            weight_decay=train.weight_decay,
            fused=True,
        )
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.AdamW
    return kind(params, lr=train.lr, betas=(train.beta1, train.beta2), weight_decay=train.weight_decay, fused=True)


def quick_step(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """``optimizer.step`` for one of ``make_optimizer``, without what torch wraps around the same arithmetic.

    For 266,610 weights the update takes 60 µs, torch's hook for profilers as much, and SGD's sorting of cases half.
    """
    step = type(optimizer).step
    unhooked = partial(getattr(step, "__wrapped__", step), optimizer)
    if not isinstance(optimizer, torch.optim.SGD) or not hasattr(torch, "_fused_sgd_"):
        return unhooked
    weights = optimizer.param_groups[0]["params"][0]
    flat = weights.detach()

    def sgd() -> object:
        momentum = optimizer.state[weights].get("momentum_buffer")
        if momentum is None:  # torch's own first step makes it
            return unhooked()
        group = optimizer.param_groups[0]
        settings = {
            name: group[name] for name in ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
        }
        return torch._fused_sgd_([flat], [weights.grad], [momentum], is_first_step=False, **settings)

    return sgd


@torch.no_grad()
def forget_(optimizer: torch.optim.Optimizer, places: torch.Tensor) -> None:
    """Zero what one of ``make_optimizer`` remembers of the weights where ``places`` (n,) is True."""
    for held in optimizer.state.values():
        for value in held.values():
            if isinstance(value, torch.Tensor) and value.shape == places.shape:
                value.mul_(~places)


def lr_at(train: Training, step: int, base: float | None = None) -> float:
    """The learning rate of update ``step`` (from 1) under ``train``'s schedule and warm-up.

    ``base`` replaces ``train.lr`` after an intervention; the schedule's shape stays. Cosine falls to 0 at the last
    step (Loshchilov & Hutter 2017, arXiv 1608.03983); one-cycle rises linearly from base/25 over the first 30 % of
    the steps and falls to base/10,000 along a cosine (Smith & Topin 2018, arXiv 1708.07120).
    """
    base = train.lr if base is None else base
    done = (step - 1) / max(1, train.steps - 1)  # 0 at the first update, 1 at the last
    rate = base
    if train.lr_schedule == "step":
        rate = base * train.lr_step_factor ** ((step - 1) // train.lr_step_every)
    elif train.lr_schedule == "cosine":
        rate = base * 0.5 * (1 + math.cos(math.pi * done))
    elif train.lr_schedule == "one_cycle":
        if done < 0.3:
            rate = base * (1 / 25 + (1 - 1 / 25) * done / 0.3)
        else:
            fall = 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))
            rate = base * (1e-4 + (1 - 1e-4) * fall)
    if step <= train.warmup:
        rate *= step / (train.warmup + 1)
    return rate
