"""The index says what the masks would be, at any sparsity."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prune_core.errors import ConfigError
from prune_core.pruning import Evidence, LossCurve, Magnitude, Scope, WeightIndex, index, make_masks

ties = st.sampled_from([0.0, -0.0, 0.25, -0.25, 1.0])
layer = st.lists(ties | st.floats(-10, 10, width=32), min_size=1, max_size=60)
layers = st.lists(layer, min_size=1, max_size=4)
share = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.5, 0.9])


@pytest.fixture(autouse=True, params=[2, 5, 256])
def stride(request, monkeypatch):
    """A sample so coarse or so fine that every way of closing in is taken."""
    monkeypatch.setattr(index, "STRIDE", request.param)


def weights_of(values) -> dict[str, torch.Tensor]:
    return {f"layer{i}": torch.tensor(v, dtype=torch.float32) for i, v in enumerate(values)}


def curves_of(weights) -> dict[str, LossCurve]:
    """What a scan may have found: the last layer bears most."""
    return {n: LossCurve((0, len(w)), (0.0, 1 / (1 + i))) for i, (n, w) in enumerate(weights.items())}


def removed(masks) -> dict[str, int]:
    return {n: int((~m).sum()) for n, m in masks.items()}


@pytest.mark.parametrize("scope", get_args(Scope))
@given(values=layers, sparsity=share)
def test_counts_and_thresholds_are_those_of_the_masks(scope, values, sparsity):
    weights = weights_of(values)
    curves = curves_of(weights)
    found = WeightIndex(weights, curves=curves)
    masks = make_masks(Magnitude().score(Evidence(weights)), sparsity, scope, curves=curves)
    assert found.removed_at(sparsity, scope) == removed(masks)
    thresholds = found.thresholds_at(sparsity, scope)
    gone = {n: w.abs()[~masks[n]] for n, w in weights.items()}
    highest = {n: float(g.max()) for n, g in gone.items() if len(g)}
    if scope == "global":
        assert set(thresholds.values()) == {found.threshold_at(sparsity)}
        highest = dict.fromkeys(weights, max(highest.values())) if highest else {}
    for name, threshold in thresholds.items():
        if name in highest:
            assert threshold == highest[name]
        else:
            assert threshold <= 0 and not (weights[name].abs() <= threshold).any()


@given(values=layers, sparsity=share, signed=st.booleans())
def test_any_scores(values, sparsity, signed):
    weights = weights_of(values)
    scores = weights if signed else {n: w**2 for n, w in weights.items()}
    masks = make_masks(scores, sparsity)
    assert WeightIndex(weights, scores).removed_at(sparsity) == removed(masks)


@pytest.mark.parametrize("scope", get_args(Scope))
@given(values=layers, first=share, sparsity=share)
def test_after_earlier_removals(scope, values, first, sparsity):
    weights = weights_of(values)
    scores = Magnitude().score(Evidence(weights))
    keep = make_masks(scores, first)
    curves = curves_of(weights)
    found = WeightIndex(weights, keep=keep, curves=curves)
    assert found.removed_at(sparsity, scope) == removed(make_masks(scores, sparsity, scope, keep=keep, curves=curves))
    assert all(math.isfinite(t) for t in found.thresholds_at(sparsity, scope).values())


@given(values=layers, threshold=st.floats(-1, 11, width=32) | ties)
def test_from_a_threshold_to_the_share_below(values, threshold):
    weights = weights_of(values)
    found = WeightIndex(weights)
    below = {n: int((w.abs() <= threshold).sum()) for n, w in weights.items()}
    assert found.sparsity_at(threshold) == pytest.approx(sum(below.values()) / sum(map(len, values)))
    assert found.layer_sparsity(threshold) == {n: pytest.approx(below[n] / len(w)) for n, w in weights.items()}


def test_there_and_back():
    weights = {"a": torch.randn(3000), "b": torch.randn(500) * 3}
    found = WeightIndex(weights)
    for sparsity in np.linspace(0, 0.999, 50):
        assert found.sparsity_at(found.threshold_at(sparsity)) == pytest.approx(sparsity, abs=1 / 3500)


def test_large_layers():
    g = torch.Generator().manual_seed(0)
    weights = {
        f"l{i}": torch.randn(n, generator=g) * s for i, (n, s) in enumerate([(99_999, 1), (7, 9), (50_000, 0.1)])
    }
    found = WeightIndex(weights)
    for sparsity in (0, 1e-5, 0.3, 0.5, 0.9, 0.999, 0.99999):
        assert found.removed_at(sparsity) == removed(make_masks(Magnitude().score(Evidence(weights)), sparsity))


def test_half_precision_and_other_layouts():
    w = torch.randn(6, 4, 5, 5).to(memory_format=torch.channels_last)
    for weights in ({"w": w}, {"w": w.bfloat16()}, {"w": w.double()}):
        masks = make_masks(Magnitude().score(Evidence(weights)), 0.6)
        assert WeightIndex(weights).removed_at(0.6) == removed(masks)


def test_histogram():
    w = torch.tensor([-2.0, -0.01, 0.01, 0.01, 2.0])
    histogram = WeightIndex({"w": w}).histogram("w")
    assert histogram.edges[0] == -2 and histogram.edges[-1] == 2 and len(histogram.edges) == 81
    assert histogram.counts.sum() == 5 and histogram.counts[0] == 1 and histogram.counts[-1] == 1
    assert histogram.counts[39] == 1 and histogram.counts[40] == 2  # the two bins beside 0
    assert WeightIndex({"w": torch.zeros(3)}).histogram("w").counts.sum() == 3


def test_it_does_not_follow_the_weights():
    w = torch.tensor([1.0, 2.0])
    found = WeightIndex({"w": w})
    w.zero_()
    assert found.threshold_at(0.5) == 1.0


def test_bad_input_is_said():
    with pytest.raises(ConfigError, match="at least one weight"):
        WeightIndex({})
    with pytest.raises(ConfigError, match="nan"):
        WeightIndex({"w": torch.tensor([1.0, math.nan])})
    with pytest.raises(ConfigError, match="mask of 'w'"):
        WeightIndex({"w": torch.ones(2)}, keep={"w": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(ConfigError, match="sparsity must be"):
        WeightIndex({"w": torch.ones(2)}).threshold_at(1)
