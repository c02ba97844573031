"""What was made fast says the same as torch's own, plainer way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import prune_core as pc
from prune_core.training.binning import bin_counts
from prune_core.training.flat import FlatModel
from prune_core.training.optim import make_optimizer, quick_step


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.0, "weight_decay": 0.01},
        {"nesterov": True, "weight_decay": 0.01},
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
    ],
    ids=lambda s: " ".join(map(str, s.values())) or "defaults",
)
def test_a_quick_step_is_bitwise_an_optimizers_step(settings: dict[str, object]) -> None:
    train = pc.Training(**settings)
    torch.manual_seed(0)
    plain = torch.randn(1001, requires_grad=True)
    ours = plain.detach().clone().requires_grad_()
    theirs, optimizer = make_optimizer(train, plain), make_optimizer(train, ours)
    step = quick_step(optimizer)
    for i in range(12):
        if i == 5:  # as a resumed run does
            optimizer.load_state_dict(optimizer.state_dict())
        if i == 8:  # as a schedule does
            theirs.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"] = 0.003
        plain.grad = torch.randn(1001)
        ours.grad = plain.grad.clone()
        theirs.step()
        step()
        assert torch.equal(plain, ours)


def test_bins_hold_what_numpy_counts() -> None:
    values = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    expected, _ = np.histogram(values.clamp(-2, 2).double().numpy(), 80, (-2, 2))
    counts = bin_counts(values, -2.0, 2.0, 80)
    assert counts.dtype == np.int32 and counts.sum() == 5000
    assert np.abs(counts - expected).sum() <= 2  # a value on an edge may fall to either side in float32


def test_what_lies_outside_counts_in_the_outermost_bins() -> None:
    values = torch.tensor([-torch.inf, -9.0, 0.0, 1.0, 9.0, torch.inf])
    assert bin_counts(values, 0.0, 1.0, 4).tolist() == [3, 0, 0, 3]


def test_gradients_are_moved_and_a_parameter_without_one_counts_as_zeros() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"used": nn.Linear(3, 2), "idle": nn.Linear(2, 2)})
    flat = FlatModel(model, torch.device("cpu"))
    flat.gradients.values.fill_(7)
    x = torch.randn(4, 3)
    model["used"](x).sum().backward()
    expected = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    flat.gather_()
    for name, layer in zip(flat.names, flat.gradients.layers, strict=True):
        wanted = expected[name]
        assert torch.equal(layer, torch.zeros_like(layer) if wanted is None else wanted.reshape(-1))
    assert flat.weights.grad is flat.gradients.values
    assert all(p.grad is None for p in model.parameters())  # or the next backward pass would add to it


def test_looks_are_spread_over_a_long_run_and_settings_have_the_last_word() -> None:
    short, long = pc.Training(steps=400), pc.Training(steps=50_000)
    assert (short.eval_period, short.snapshot_period) == (50, 25)
    assert (long.eval_period, long.snapshot_period) == (500, 250)
    chosen = long.replace(eval_every=7, snapshot_every=3)
    assert (chosen.eval_period, chosen.snapshot_period) == (7, 3)
