"""What the lab says of clipping is true: it turns or keeps the direction, and it never removes a parameter."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

import prune_core as pc

STRATEGIES = [entry.cls for entry in pc.ClipStrategy.registry]
THRESHOLDS = [0.5, 0.1, 0.01, 0.001]


def digits_gradient() -> nn.Module:
    """LeNet-300-100's layout on 64 handwritten digits, after one backward pass."""
    x, y = pc.Digits().load(seed=0, device=torch.device("cpu")).train_batch(torch.arange(64))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    nn.functional.cross_entropy(net(x), y).backward()
    return net


def cosine(clip: pc.ClipStrategy) -> float:
    net = digits_gradient()
    before = torch.cat([p.grad.reshape(-1) for p in net.parameters()]).double()
    report = clip.clip_(net.parameters())
    after = torch.cat([p.grad.reshape(-1) for p in net.parameters()]).double()
    measured = float(before @ after / before.norm() / after.norm())
    assert float(report.cosine) == pytest.approx(measured, abs=2e-5)  # summed in float32
    return measured


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_norm_clipping_keeps_the_direction(threshold):
    assert cosine(pc.NormClip(max_norm=threshold)) == pytest.approx(1, abs=1e-9)


def test_value_clipping_turns_it_the_more_the_lower_the_threshold():
    peak = max(float(p.grad.abs().max()) for p in digits_gradient().parameters())
    turned = [cosine(pc.ValueClip(threshold=share * peak)) for share in THRESHOLDS]
    assert all(a > b for a, b in pairwise(turned))
    assert turned[0] > 0.99 and turned[1] < 0.96 and turned[3] < 0.75
    # the limit of a threshold towards 0 leaves only signs: the cosine is then ‖g‖₁ / (√n ‖g‖₂), n entries not 0
    g = torch.cat([p.grad.reshape(-1) for p in digits_gradient().parameters()]).double()
    signs = float(g.abs().sum() / g.norm() / g.count_nonzero() ** 0.5)
    assert cosine(pc.ValueClip(threshold=1e-9 * peak)) == pytest.approx(signs, rel=1e-3)
    assert signs < turned[3]


@pytest.mark.parametrize("clip", STRATEGIES, ids=lambda cls: cls.kind)
def test_a_clipped_run_has_as_many_parameters_as_before(clip):
    experiment = pc.Experiment(
        data=pc.Moons(samples=400), model=pc.MLP(), clip=clip(), train=pc.Training(steps=40, batch_size=32, seed=1)
    )
    info = experiment.data.info
    fresh = experiment.model.build(info.shape, info.classes, 1)
    result = pc.run(experiment, progress=False)
    assert result.status == "finished" and result.sparsity == 0 and result.masks == {}
    assert {n: p.shape for n, p in result.model.named_parameters()} == {n: p.shape for n, p in fresh.named_parameters()}
    assert all(bool(p.count_nonzero() == p.numel()) for n, p in result.model.named_parameters() if n.endswith("weight"))
