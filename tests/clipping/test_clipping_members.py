"""Each strategy by its own paper: torch's functions, plain loops in float64, and examples worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import prune_core as pc
from prune_core.clipping import (
    AdaptiveClip,
    AutoClip,
    BlockRMSClip,
    Chain,
    ClipStrategy,
    FlatGradients,
    LayerNormClip,
    NormClip,
    ValueClip,
    ZClip,
)
from prune_core.clipping.adaptive import last_layer
from prune_core.errors import ConfigError


def network(seed: int = 0, scale: float = 1.0) -> nn.Module:
    """A convolution, a gain and shift, two matrices; every parameter has a gradient."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5), nn.Tanh(), nn.Linear(5, 3)
    )
    (scale * net(torch.randn(4, 2, 6, 6))).square().sum().backward()
    return net


def vector(*values: float) -> FlatGradients:
    return FlatGradients(torch.tensor(values), ("g",), (0, len(values)), (torch.zeros(len(values)),))


def norms_left(clip: ClipStrategy, norms: list[float]) -> list[float]:
    """What is left of gradients of these norms, one after the other."""
    state = clip.init_state()
    return [float(clip.clip_flat_(vector(0.6 * n, -0.8 * n), state).norm_after) for n in norms]


# --- layer by layer ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [1, 2, math.inf])
@settings(max_examples=30)
@given(st.integers(0, 99), st.floats(1e-3, 1e3), st.floats(1e-4, 1e2))
def test_layer_norm_equals_torch_on_each_parameter(order, seed, scale, max_norm):
    ours, theirs = network(seed % 5, scale), network(seed % 5, scale)
    LayerNormClip(max_norm=max_norm, norm_type=order).clip_(ours.parameters())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        nn.utils.clip_grad_norm_([b], max_norm, norm_type=order)
        assert torch.equal(a.grad, b.grad)


@settings(max_examples=30)
@given(st.integers(0, 99), st.floats(1e-3, 1e3), st.floats(1e-4, 1e2))
def test_block_rms_equals_float64(seed, scale, threshold):
    net = network(seed % 5, scale)
    expected = []
    for p in net.parameters():
        g = p.grad.double()
        expected.append(g / max(1.0, float(g.square().mean().sqrt()) / threshold))
    BlockRMSClip(threshold=threshold).clip_(net.parameters())
    for p, e in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad.double(), e, rtol=1e-6, atol=0)


@pytest.mark.parametrize("clip", [LayerNormClip(max_norm=0.5), BlockRMSClip(threshold=0.01), AdaptiveClip()])
def test_squares_that_leave_float32_do_not_destroy_the_gradient(clip):
    net, twin = network(), network().double()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        p.grad.mul_(1e25)
        q.grad = p.grad.double()
    clip.clip_(net.named_parameters())
    clip.clip_(twin.named_parameters())
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad.double(), q.grad, rtol=1e-5, atol=1e-12)
        assert p.grad.any()


# --- AGC --------------------------------------------------------------------------------------------------------------
@settings(max_examples=30)
@given(st.integers(0, 99), st.floats(1e-3, 1e2), st.floats(1e-4, 1), st.booleans())
def test_agc_equals_a_plain_loop_over_units(seed, scale, clipping, skip_last):
    net = network(seed % 5, scale)
    expected = {}
    for name, p in net.named_parameters():
        w, g = p.detach().double(), p.grad.double().clone()
        units = [(w[i], g[i]) for i in range(len(w))] if w.ndim > 1 else [(w, g)]
        for weight, gradient in units if not (skip_last and name.startswith("6.")) else ():
            limit = clipping * max(float(weight.norm()), 1e-3)
            if float(gradient.norm()) > limit:
                gradient *= limit / float(gradient.norm())
        expected[name] = g
    AdaptiveClip(clipping=clipping, skip_last=skip_last).clip_(net.named_parameters())
    for name, p in net.named_parameters():
        torch.testing.assert_close(p.grad.double(), expected[name], rtol=1e-5, atol=0, msg=name)


def test_agc_worked_by_hand():
    weight = nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]))
    bias = nn.Parameter(torch.tensor([0.0, 0.0, 2.0]))
    weight.grad = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.5]])
    bias.grad = torch.tensor([0.0, 3.0, 4.0])
    AdaptiveClip(clipping=0.1, eps=0.5, skip_last=False).clip_([weight, bias])
    # unit 1: ‖W‖ 5, limit 0.1·5 = 0.5, ‖G‖ 1 → halved
    # unit 2: ‖W‖ 0 counts as ε 0.5, limit 0.05, ‖G‖ 1 → 0.05 of it
    # unit 3: ‖W‖ 10, limit 1, ‖G‖ 0.5 → as it is
    assert weight.grad.flatten().tolist() == pytest.approx([0.5, 0, 0, 0.05, 0, 0.5])
    # the bias is one unit: ‖b‖ 2, limit 0.2, ‖G‖ 5 → 0.04 of it
    assert bias.grad.tolist() == pytest.approx([0, 0.12, 0.16])


def test_agc_finds_the_last_layer_by_name():
    def names(named, skip=None):
        for _, p in named:
            p.grad = torch.ones_like(p)
        grads = FlatGradients.gather(named)
        return [grads.names[i] for i in sorted(last_layer(grads))]

    net = network()
    assert names(list(net.named_parameters())) == ["6.weight", "6.bias"]
    assert names([(str(i), p) for i, p in enumerate(net.parameters())]) == ["6", "7"]  # as clip_(parameters()) does
    convolutions = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 1), nn.GroupNorm(1, 3))
    assert names(list(convolutions.named_parameters())) == ["1.weight", "1.bias"]
    ends_in_a_norm = nn.ModuleDict({"head": nn.Linear(2, 2), "norm": nn.LayerNorm(2)})
    assert names(list(ends_in_a_norm.named_parameters())) == ["head.weight", "head.bias"]
    assert names(list(nn.LayerNorm(3).named_parameters())) == []


# --- AutoClip ---------------------------------------------------------------------------------------------------------
def test_autoclip_worked_by_hand():
    # 50th percentile of all norms so far, linear between two:
    # 4 → P(4) = 4: kept; 8 → P(4, 8) = 6: 6 left; 2 → P(2, 4, 8) = 4: kept; 10 → P(2, 4, 8, 10) = 6: 6 left;
    # 5 → P(2, 4, 5, 8, 10) = 5: kept. What was clipped counts in its whole length.
    assert norms_left(AutoClip(percentile=50), [4, 8, 2, 10, 5]) == pytest.approx([4, 6, 2, 6, 5])
    # 10th, the default: P(4, 8) = 4 + 0.1·4 = 4.4; P(2, 4, 8) = 2 + 0.2·2 = 2.4 > 2
    assert norms_left(AutoClip(), [4, 8, 2]) == pytest.approx([4, 4.4, 2])


@settings(max_examples=30)
@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=200), st.floats(0.01, 100))
def test_autoclip_equals_numpy_over_the_whole_history(norms, percentile):
    seen, expected = [], []
    for n in norms:
        seen.append(float(torch.tensor([0.6 * n, -0.8 * n]).double().norm()))
        expected.append(min(seen[-1], float(np.percentile(seen, percentile))))
    assert norms_left(AutoClip(percentile=percentile), norms) == pytest.approx(expected, rel=1e-6)


def test_autoclip_forgets_what_is_not_finite_and_grows_as_needed():
    clip, state = AutoClip(percentile=50), AutoClip().init_state()
    for n in (math.inf, 3.0, math.nan, 5.0):
        clip.clip_flat_(vector(n, 0.0), state)
    assert state["norms"][:3].tolist() == [3, 5, math.inf] and int(state["seen"]) == 2
    assert float(clip.clip_flat_(vector(9.0, 0.0), state).norm_after) == pytest.approx(5)
    for n in range(500):
        clip.clip_flat_(vector(float(n), 0.0), state)
    assert int(state["seen"]) == 503 and len(state["norms"]) == 512
    kept = state["norms"][:503]
    assert torch.equal(kept, kept.sort().values) and bool(state["norms"][503:].isinf().all())


def test_a_gradient_at_the_limit_is_not_touched():
    for n in (1e-30, 1e-9, 1.0, 1e20):
        grads = vector(n, 0.0)
        report = AutoClip().clip_flat_(grads, AutoClip().init_state())
        assert grads.values[0] == torch.tensor(n) and float(report.changed) == 0


# --- ZClip ------------------------------------------------------------------------------------------------------------
def test_zclip_worked_by_hand():
    clip = ZClip(z_threshold=2, alpha=0.5, warmup=4)
    # warm-up 1, 3, 1, 3: all kept; μ 2, σ² 1
    # 12: z = 10 > 2 → 2 + 2²/10 · 1 = 2.4 left. μ ← (2 + 2.4)/2 = 2.2, σ² ← (1 + (2.4 − 2.2)²)/2 = 0.52
    # 3.5: z = 1.3/√0.52 = 1.803 < 2 → kept. μ ← 2.85, σ² ← (0.52 + 0.65²)/2 = 0.47125
    # 5: z = 2.15/√0.47125 = 3.132 > 2 → 2.85 + 4·0.47125/2.15 = 3.72674 left
    left = norms_left(clip, [1, 3, 1, 3, 12, 3.5, 5])
    assert left == pytest.approx([1, 3, 1, 3, 2.4, 3.5, 2.85 + 4 * 0.47125 / 2.15], rel=1e-6)
    assert norms_left(clip, [1, 3, 1, 1000]) == pytest.approx([1, 3, 1, 1000])  # still warming up


@settings(max_examples=30)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=60), st.floats(0.1, 5), st.integers(1, 30))
def test_zclip_equals_the_papers_formulas(norms, z_threshold, warmup):
    # as they are written, with z: floats of python, the warm-up's mean and variance by numpy in two passes
    expected, first = [], []
    mean = variance = 0.0
    for given_norm in norms:
        n = float(torch.tensor([0.6 * given_norm, -0.8 * given_norm]).double().norm())
        left = n
        if len(first) < warmup:
            first.append(n)
            mean, variance = float(np.mean(first)), float(np.var(first))
        else:
            sigma = math.sqrt(variance)
            z = (n - mean) / sigma if sigma > 1e-6 * mean else math.copysign(math.inf, n - mean)
            if z > z_threshold:
                left = mean + z_threshold**2 / z * sigma
            mean = 0.97 * mean + 0.03 * left
            variance = 0.97 * variance + 0.03 * (left - mean) ** 2
        expected.append(left)
    assert norms_left(ZClip(z_threshold=z_threshold, warmup=warmup), norms) == pytest.approx(expected, rel=1e-4)


def test_zclip_remembers_nothing_that_is_not_finite():
    clip, state = ZClip(warmup=2), ZClip().init_state()
    for n in (1.0, math.inf, 3.0, math.nan):
        clip.clip_flat_(vector(n, 0.0), state)
    assert [float(state[k]) for k in ("seen", "mean", "variance")] == [2, 2, 1]
    spike = vector(math.inf, 1.0)
    assert not torch.isfinite(clip.clip_flat_(spike, state).norm_before) and not spike.values.isfinite().all()
    assert float(state["mean"]) == 2


# --- chain ------------------------------------------------------------------------------------------------------------
def test_a_chain_is_one_after_the_other_and_reports_both():
    ours, theirs = network(scale=30), network(scale=30)
    before = torch.cat([p.grad.reshape(-1) for p in ours.parameters()]).double()
    report = Chain(first=ValueClip(threshold=0.1), second=NormClip(max_norm=0.5)).clip_(ours.parameters())
    nn.utils.clip_grad_value_(theirs.parameters(), 0.1)
    nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    after = torch.cat([p.grad.reshape(-1) for p in ours.parameters()]).double()
    assert float(report.norm_before) == pytest.approx(float(before.norm()))
    assert float(report.norm_after) == pytest.approx(0.5, rel=1e-5)
    assert float(report.cosine) == pytest.approx(float(before @ after / before.norm() / after.norm()))
    other = network(scale=30)
    Chain(first=NormClip(max_norm=0.5), second=ValueClip(threshold=0.1)).clip_(other.parameters())
    assert any(not torch.equal(a.grad, b.grad) for a, b in zip(ours.parameters(), other.parameters(), strict=True))


def test_chains_nest_and_each_member_keeps_its_own_state():
    nested = Chain(first=AutoClip(percentile=50), second=Chain(first=ZClip(warmup=1), second=AutoClip(percentile=90)))
    assert nested.threshold_field == "second.second.percentile" and nested.threshold == 90
    assert nested.with_threshold(80).second.second == AutoClip(percentile=80)
    assert nested.with_threshold(80).first == AutoClip(percentile=50)
    assert ClipStrategy.model_validate(nested.model_dump()) == nested
    norms = [4.0, 8.0, 2.0, 16.0, 3.0]
    expected = norms
    for clip in (AutoClip(percentile=50), ZClip(warmup=1), AutoClip(percentile=90)):
        expected = norms_left(clip, expected)
    assert norms_left(nested, norms) == pytest.approx(expected, rel=1e-6)


def test_a_member_that_no_registry_knows_is_named_before_it_is_written_down():
    class Mine(ValueClip):
        """Known to nobody."""

    exp = pc.Experiment(data=pc.Moons(), model=pc.MLP(), clip=Chain(first=Chain(second=Mine())))
    assert [name.rpartition(".")[2] for name in exp.unregistered()] == ["Mine)"]
    with pytest.raises(ConfigError, match=r"Mine.*cannot be written down"):
        exp.to_dict()


def test_a_chains_mistakes_name_the_members_field():
    with pytest.raises(ConfigError, match=r"ValueClip\.threshold must be a number greater than 0"):
        Chain(first={"kind": "value", "threshold": -1})
    with pytest.raises(ConfigError, match=r"NormClip\.max_norm must be a number greater than 0"):
        Chain().with_threshold(-1)


def test_bad_settings_name_field_bound_and_value():
    for make, words in (
        (lambda: AdaptiveClip(clipping=0), r"AdaptiveClip\.clipping must be .*greater than 0.*got 0"),
        (lambda: AutoClip(percentile=101), r"AutoClip\.percentile must be .*at most 100 %, got 101"),
        (lambda: ZClip(alpha=1), r"ZClip\.alpha must be .*less than 1, got 1"),
        (lambda: ZClip(warmup=0), r"ZClip\.warmup must be .*at least 1 .*got 0"),
        (lambda: LayerNormClip(norm_type=3), r"norm_type must be one of 1, 2, 'inf', got 3"),
        (lambda: BlockRMSClip(threshold=math.nan), r"BlockRMSClip\.threshold must be a finite number"),
    ):
        with pytest.raises(ConfigError, match=words):
            make()
