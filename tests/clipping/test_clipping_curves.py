"""Curves over the threshold say at every point what ``clip_`` itself reports, for every strategy there is."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import prune_core as pc
from prune_core.clipping import ClipStrategy, FlatGradients, ScalingStrategy
from prune_core.clipping.curves import VARIANTS, Lane, lane, lanes, remember, thresholds
from prune_core.clipping.probing import copy_of
from prune_core.errors import ConfigError

ENTRIES = [e for e in ClipStrategy.registry if not e.cls.per_sample]
NORMS = [1.0, 2.0, 1.5, 0.5, 3.0, 2.5] * 6  # more than ZClip's warm-up


def network(seed: int = 0, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    model(torch.randn(8, 1, 8, 8)).square().sum().backward()
    peak = max(float(p.grad.abs().max()) for p in model.parameters())
    for p in model.parameters():
        p.grad.mul_(scale / peak)
    return model


def gradient(seed: int = 0, scale: float = 1.0) -> FlatGradients:
    return FlatGradients.gather(network(seed, scale).named_parameters())


def clipped(strategy: ClipStrategy, grads: FlatGradients, state: dict) -> np.ndarray:
    """What ``clip_flat_`` reports, as a lane's rows have it."""
    report = strategy.clip_flat_(copy_of(grads), copy.deepcopy(state))
    return np.concatenate([report.by_layer.numpy(), report.overall.numpy()[None]])


def agree(rows: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(rows[:, :2], wanted[:, :2], rtol=3e-6, err_msg="norms")
    np.testing.assert_array_equal(rows[:, 2], wanted[:, 2], err_msg="share changed, exactly")
    np.testing.assert_allclose(rows[:, 3], wanted[:, 3], atol=3e-6, err_msg="cosine")


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e6, 1e25])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_a_probe_says_what_clipping_reports(entry, scale):
    strategy, grads = entry.cls(), gradient(scale=scale)
    before = grads.values.clone()
    state = remember(strategy, [scale * n for n in NORMS])
    kept = copy.deepcopy(state)
    at = strategy.probe(grads, state)
    for threshold in (1e-9, 1e-4, 0.01, 0.3, 1.0, 7.0, 50.0, 99.0):
        report = at(threshold)
        rows = np.concatenate([report.by_layer.numpy(), report.overall.numpy()[None]])
        agree(rows, clipped(strategy.with_threshold(threshold), grads, state))
    assert torch.equal(grads.values, before), "nothing is clipped"
    assert str(state) == str(kept), "nothing is remembered"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_a_probe_tells_of_entries_that_are_not_finite(entry, bad):
    grads = gradient()
    grads.values[3] = bad
    report = entry.cls().probe(grads, remember(entry.cls(), NORMS))(0.5)
    agree(
        report.overall.numpy()[None], clipped(entry.cls().with_threshold(0.5), grads, remember(entry.cls(), NORMS))[-1:]
    )
    assert np.isnan(float(report.cosine))


values = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(values | st.sampled_from([0.0, 1e-45, -1e-42, 1e-38]), min_size=3, max_size=40),
    st.floats(1e-12, 1e6),
    st.sampled_from(["value", "norm", "layer_norm", "block_rms"]),
)
def test_any_gradient_and_any_threshold(entries, threshold, name):
    """Zeros, equal entries, numbers too small to be normal: the counts are exact in all of them."""
    cut = len(entries) // 2
    grads = FlatGradients(torch.tensor(entries), ("a", "b"), (0, cut, len(entries)))
    strategy = ClipStrategy.registry[name].cls()
    report = strategy.probe(grads, {})(threshold)
    wanted = clipped(strategy.with_threshold(threshold), grads, {})
    rows = np.concatenate([report.by_layer.numpy(), report.overall.numpy()[None]])
    np.testing.assert_allclose(rows[:, :2], wanted[:, :2], rtol=1e-5, atol=1e-44)
    np.testing.assert_array_equal(rows[:, 2], wanted[:, 2])


def test_by_hand():
    """g = (3, 4, 0, 12), ‖g‖ = 13. At α = 4: (3, 4, 0, 4), length √41, one of four changed, cosine 73 / (13√41)."""
    grads = FlatGradients(torch.tensor([3.0, 4.0, 0.0, 12.0]), ("g",), (0, 4))
    report = pc.ValueClip().probe(grads, {})(4.0)
    assert report.overall.tolist() == pytest.approx([13, 41**0.5, 0.25, 73 / (13 * 41**0.5)])
    report = pc.NormClip().probe(grads, {})(6.5)
    assert report.overall.tolist() == pytest.approx([13, 6.5, 0.75, 1.0], rel=1e-6)


@pytest.fixture(scope="module")
def found() -> dict[str, Lane]:
    """All lanes of one gradient whose norm is a spike among those before."""
    return {one.name: one for one in lanes(gradient(scale=2.0), NORMS)}


def test_every_registered_strategy_has_a_lane_and_a_curve_or_a_reason(found):
    names = [e.name for e in ClipStrategy.registry] + [name for more in VARIANTS.values() for name, *_ in more]
    assert sorted(found) == sorted(names)
    for one in found.values():
        assert bool(one.why) != bool(len(one.thresholds)), one.name
    assert [one.name for one in found.values() if one.why] == ["per_sample"]
    assert found["chain"].label == "By value, then by norm", "what it is made of"


def test_at_the_quiet_threshold_nothing_changes_any_more(found):
    for one in found.values():
        if one.why or one.name == "chain":  # its first member changes something at any threshold of the second
            continue
        above, below = one.thresholds > one.quiet, one.thresholds < one.quiet * 0.99
        assert (one.overall("changed")[above] == 0).all() and (one.overall("changed")[below] > 0).all(), one.name
        assert (np.diff(one.overall("norm_after")) >= -1e-9 * one.overall("norm_before")[0]).all(), one.name
        assert (np.diff(one.thresholds) > 0).all()
    grads = gradient(scale=2.0)
    assert found["value"].quiet == pytest.approx(float(grads.values.abs().max()), rel=2e-4)
    assert found["norm"].quiet == pytest.approx(float(grads.values.norm()), rel=2e-4)
    assert found["norm_1"].quiet == pytest.approx(float(grads.values.abs().sum()), rel=2e-4)


def test_lanes_twice_are_the_same(found):
    again = {one.name: one for one in lanes(gradient(scale=2.0), NORMS)}
    assert all(np.array_equal(one.rows, again[name].rows) for name, one in found.items())


def test_norms_of_a_run_are_what_autoclip_goes_by():
    """Of the norms 1 to 9 and this one, 10, the percentile 50 lies at 5.5: half of what passes is 5.5."""
    grads = FlatGradients(torch.tensor([6.0, 8.0]), ("g",), (0, 2))
    one = lane("autoclip", "AutoClip", pc.AutoClip(), grads, [float(n) for n in range(1, 10)])
    at = one.nearest(50.1)
    wanted = np.percentile(range(1, 11), one.thresholds[at])
    assert one.overall("norm_after")[at] == pytest.approx(wanted, rel=1e-6)
    assert lane("autoclip", "AutoClip", pc.AutoClip(), grads).why.startswith("goes by the norms")


@pytest.mark.parametrize("entry", [e for e in ENTRIES if issubclass(e.cls, ScalingStrategy)], ids=lambda e: e.name)
@pytest.mark.parametrize("norms", [[], NORMS, [1e-3, 5.0, float("inf"), 2.0, float("nan"), 9.0] * 40])
def test_the_short_way_to_a_state_leads_where_training_does(entry, norms):
    """Norm by norm, as a run clips them, and in one go: the same state up to float32, and the same next factor."""
    step_by_step = entry.cls().init_state()
    for norm in norms if step_by_step else ():
        entry.cls().clip_flat_(FlatGradients(torch.tensor([norm]), ("g",), (0, 1)), step_by_step, layers=False)
    short = entry.cls().state_after(norms)
    assert short.keys() == step_by_step.keys()
    for name, value in step_by_step.items():
        torch.testing.assert_close(torch.as_tensor(short[name]), torch.as_tensor(value), rtol=1e-6, atol=0)
    both = [entry.cls().clip_flat_(gradient(scale=3.0), s).overall for s in (short, step_by_step)]
    torch.testing.assert_close(*both, rtol=1e-6, atol=0)


def test_a_strategy_that_remembers_more_than_norms_says_so():
    class Memory(ClipStrategy):
        threshold: float = 1.0

        def init_state(self):
            return {"last": torch.zeros(2)}

    assert not issubclass(Memory, ScalingStrategy)
    with pytest.raises(ConfigError, match="remembers more"):
        remember(Memory(), [1.0])


def test_thresholds_are_round_numbers_within_bounds():
    grid = thresholds(0.18, 1e-12, 1e6)
    assert {0.01, 0.1, 0.001} <= set(grid.tolist()) and grid[0] >= 1.8e-5 * 0.9 and 0.18 < grid[-1] < 0.22
    assert thresholds(90.0, 1.0, 100.0)[-1] == 100 and thresholds(90.0, 1.0, 100.0)[0] == 1
