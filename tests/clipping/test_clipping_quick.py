"""The compiled loops say what torch's way and plain sums in float64 say, over all that a float32 can hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from prune_core.clipping import ClipStrategy, FlatGradients, quick
from prune_core.clipping.gradients import row_norms

SIZES = (0, 1, 2047, 2048, 2049, 5000)  # around the length of a block, and nothing at all
ENDS = np.cumsum((0, *SIZES))
MIXED = [1e-42, 1e-30, 1e-10, 1.0, 1e10, 1e25, 1e38]  # denormal to nearly the largest: squares vanish or overflow


def draw(scale: float = 1.0) -> torch.Tensor:
    values = torch.randn(int(ENDS[-1]), generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    values[::7] = 0
    return values * scale


def wide(before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    """Σa², Σb², Σa·b and how many differ, of each unit, by numpy in float64."""
    a, b = before.double().numpy(), after.double().numpy()
    cuts = [slice(i, j) for i, j in itertools.pairwise(ENDS)]
    return np.array([[a[c] @ a[c], b[c] @ b[c], a[c] @ b[c], (a[c] != b[c]).sum()] for c in cuts])


@pytest.mark.parametrize("scale", MIXED)
@pytest.mark.parametrize("share", [1e-6, 0.5, 1.5, 10.0])
def test_clamping_is_torchs_and_its_sums_are_those_of_float64(scale, share):
    before, after, bound = draw(scale), draw(scale), min(share * scale, 3e38)
    sums = quick.clamp_(after, ENDS, bound)
    assert torch.equal(after, before.clone().clamp_(-bound, bound))
    expected = wide(before, after)
    np.testing.assert_allclose(sums[:, :3], expected[:, :3], rtol=1e-6)
    assert np.array_equal(sums[:, 3], expected[:, 3])
    np.testing.assert_array_equal(sums[:, 3], quick.compare(before, after, ENDS)[:, 3])
    np.testing.assert_allclose(quick.compare(before, after, ENDS), expected, rtol=1e-6)


@pytest.mark.parametrize("scale", MIXED)
def test_scaling_is_torchs_and_counts_what_changed(scale):
    factors = torch.tensor([0.5, 0.25, 1.0, 0.9999999, 1e-3, 0.0])
    before, after = draw(scale), draw(scale)
    changed = quick.scale_(after, ENDS, factors)
    for factor, (a, b) in zip(factors, itertools.pairwise(ENDS), strict=True):
        assert torch.equal(after[a:b], before[a:b] * factor)
    assert np.array_equal(changed, wide(before, after)[:, 3])


@pytest.mark.parametrize("scale", MIXED)
def test_norms_neither_overflow_nor_vanish(scale):
    values = draw(scale)
    expected = np.sqrt(wide(values, values)[:, 0])
    np.testing.assert_allclose(quick.norms(values, ENDS).numpy(), expected, rtol=1e-6)
    rows = values[: 7 * 1591].view(7, 1591)
    torch.testing.assert_close(row_norms(rows), rows.double().norm(dim=1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [0, 1000, -1])
def test_what_is_not_finite_is_seen_in_its_unit_and_nowhere_else(bad, where):
    before = draw()
    before[where] = bad
    after = before.clone()
    hit = int(np.searchsorted(ENDS, where % len(before), side="right")) - 1
    sums = quick.clamp_(after, ENDS, 0.5)
    torch.testing.assert_close(after, before.clone().clamp_(-0.5, 0.5), rtol=0, atol=0, equal_nan=True)
    for found in (sums[:, 0], quick.compare(before, after, ENDS)[:, 0], quick.norms(before, ENDS).numpy()):
        assert np.flatnonzero(~np.isfinite(found)).tolist() == [hit]


BY_LOOPS = [entry for entry in ClipStrategy.registry if not entry.cls.per_sample]  # those are clipped by torch


@pytest.mark.parametrize("entry", BY_LOOPS, ids=lambda entry: entry.name)
def test_a_strategy_says_the_same_with_and_without_the_loops(entry, monkeypatch):
    """Also that values by layer, which snapshots ask for, change neither the gradient nor the row of a step."""
    strategy, weight = entry.cls(), torch.nn.Parameter(draw()[:5000].view(50, 100))
    told = []
    for layers, loops in ((True, True), (False, True), (True, False)):
        weight.grad = draw(0.3)[-5000:].view(50, 100)
        grads = FlatGradients.gather([("w.weight", weight)])
        with monkeypatch.context() as patch:
            if not loops:
                patch.setattr(quick, "takes", lambda values: False)
            told.append((grads.values, strategy.clip_flat_(grads, strategy.init_state(), layers=layers)))
    (a, first), (b, second), (c, by_torch) = told
    assert torch.equal(a, b) and torch.equal(first.overall, second.overall)
    torch.testing.assert_close(a, c, rtol=1e-6, atol=0)
    torch.testing.assert_close(first.overall, by_torch.overall, rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(first.by_layer, by_torch.by_layer, rtol=2e-6, atol=1e-6)


def test_what_the_loops_do_not_take_goes_torchs_way():
    assert quick.takes(torch.zeros(3))
    assert not any(map(quick.takes, (torch.zeros(3).double(), torch.zeros(3).half(), torch.zeros(4)[::2])))


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(monkeypatch):
    from numba.core import caching

    from prune_core.compiling import compiled

    def double(x):
        return x + x

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])  # neither the lab's folder nor the user's will do
    assert compiled("float64(float64)")(double)(1.5) == 3.0
