"""Masks against a plain sort: exact counts, ties by position, nothing regrows, whatever the scores look like."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prune_core.errors import ConfigError
from prune_core.pruning import Evidence, LossCurve, Magnitude, Scope, allocate, apply_masks_, select, sparsity_of
from prune_core.pruning import make_masks as make_masks_of
from prune_core.pruning.masks import _select_on_device

SCOPES = get_args(Scope)


@pytest.fixture(params=["one look", "sampled"])
def small_steps(request, monkeypatch):
    """Blocks and samples so small that brackets miss and layers span many blocks, beside the real sizes."""
    if request.param == "sampled":
        monkeypatch.setattr(select, "BLOCK", 7)
        monkeypatch.setattr(select, "SAMPLE", (3, 9))
        monkeypatch.setattr(select, "DEVIATIONS", 0.5)


def by_sorting(scores, sparsity, scope="global", keep=None, ratios=None):
    """The definition, without a thought for speed."""
    keep = keep or {}
    masks = {}
    gone = {n: int((~keep[n]).sum()) for n in keep}
    by_shape = {}
    if scope in ("erk", "sensitivity"):
        shapes = {n: tuple(s.shape) for n, s in scores.items()}
        by_shape = allocate(shapes, sparsity, gone, scope, curves=curves(scores))
    for names in [list(scores)] if scope == "global" else [[n] for n in scores]:
        flat = np.concatenate([scores[n].double().numpy().ravel() for n in names])
        stay = np.concatenate(
            [(keep[n] if n in keep else torch.ones_like(scores[n])).bool().numpy().ravel() for n in names]
        )
        order = [i for i in np.argsort(flat, kind="stable") if stay[i]]
        stay = stay.copy()
        wanted = by_shape.get(names[0], round((ratios or {}).get(names[0], sparsity) * len(flat)))
        stay[order[: max(0, wanted - int((~stay).sum()))]] = False
        for n in names:
            masks[n] = torch.from_numpy(stay[: scores[n].numel()].reshape(scores[n].shape))
            stay = stay[scores[n].numel() :]
    return masks


def curves(scores):
    """What a scan may have found: every second layer bears nothing."""
    return {
        n: LossCurve((0, s.numel()), (0.0, 1.0)) if i % 2 else LossCurve((0, s.numel()), (0.0, 0.0))
        for i, (n, s) in enumerate(scores.items())
    }


def make_masks(scores, sparsity, scope="global", keep=None, ratios=None):
    return make_masks_of(
        scores, sparsity, scope, keep, ratios, curves=curves(scores) if scope == "sensitivity" else None
    )


def assert_same(a, b):
    assert list(a) == list(b) and all(torch.equal(a[n], b[n]) for n in a)


# few different values, so that ties are the rule; and minus infinity, which other tools write for "already gone"
ties = st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, 1e-30, 3e38, -math.inf])
layer = st.lists(ties | st.floats(width=32, allow_nan=False), min_size=1, max_size=40)
layers = st.lists(layer, min_size=1, max_size=4)
share = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.5, 0.9, 0.999])


def scores_of(values):
    return {f"layer{i}": torch.tensor(v, dtype=torch.float32) for i, v in enumerate(values)}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.usefixtures("small_steps")
class TestAgainstSorting:
    @given(values=layers, sparsity=share)
    def test_any_scores(self, scope, values, sparsity):
        scores = scores_of(values)
        assert_same(make_masks(scores, sparsity, scope), by_sorting(scores, sparsity, scope))

    @given(values=layers, sparsity=share)
    def test_magnitude_without_making_the_scores(self, scope, values, sparsity):
        weights = scores_of(values)
        want = by_sorting({n: w.abs() for n, w in weights.items()}, sparsity, scope)
        assert_same(make_masks(Magnitude().score(Evidence(weights)), sparsity, scope), want)

    @given(values=layers, first=share, second=share, seed=st.integers(0, 99))
    def test_after_earlier_removals(self, scope, values, first, second, seed):
        scores = scores_of(values)
        generator = torch.Generator().manual_seed(seed)
        keep = {n: torch.rand(s.shape, generator=generator) >= first for n, s in scores.items()}
        masks = make_masks(scores, second, scope, keep=keep)
        assert_same(masks, by_sorting(scores, second, scope, keep))
        assert not any((masks[n] & ~keep[n]).any() for n in masks), "a removed weight came back"

    @given(values=layers, sparsity=share)
    def test_the_way_of_the_gpu_gives_the_same(self, scope, values, sparsity):
        if scope == "global":
            weights = scores_of(values)
            magnitudes = {n: w.abs() for n, w in weights.items()}
            want = by_sorting(magnitudes, sparsity)
            remove = round(sparsity * sum(w.numel() for w in weights.values()))
            assert_same(_select_on_device(weights, {}, remove, True), want)
            keep = by_sorting(magnitudes, sparsity / 2)
            more = max(0, remove - sum(int((~m).sum()) for m in keep.values()))
            assert_same(_select_on_device(weights, keep, more, True), by_sorting(magnitudes, sparsity, keep=keep))


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["normal", "zeros", "rows", "equal", "sorted", "one outlier layer"])
def test_large_layers_take_the_bracket(kind, sparsity):
    g = torch.Generator().manual_seed(1)
    scores = {f"l{i}": torch.randn(n, generator=g) for i, n in enumerate((150_001, 9, 70_000))}
    if kind == "zeros":  # pruned before, by somebody who kept no masks
        scores = {n: s * (torch.rand(s.shape, generator=g) > 0.6) for n, s in scores.items()}
    elif kind == "rows":  # a period that a strided sample could fall in step with
        scores = {n: torch.arange(len(s)).remainder(210).float() for n, s in scores.items()}
    elif kind == "equal":
        scores = {n: torch.ones_like(s) for n, s in scores.items()}
    elif kind == "sorted":
        scores = {n: s.sort().values for n, s in scores.items()}
    elif kind == "one outlier layer":
        scores["l1"] *= 1e20
    assert_same(make_masks(scores, sparsity), by_sorting(scores, sparsity))


@given(values=layers, sparsity=share, own=share, first=share)
def test_a_layer_with_a_ratio_of_its_own(values, sparsity, own, first):
    scores, ratios = scores_of(values), {"layer0": own}
    keep = make_masks(scores, first)
    masks = make_masks(scores, sparsity, "layer", keep=keep, ratios=ratios)
    assert_same(masks, by_sorting(scores, sparsity, "layer", keep, ratios))
    n = scores["layer0"].numel()
    assert int((~masks["layer0"]).sum()) == max(round(own * n), int((~keep["layer0"]).sum()))
    assert_same(make_masks(scores, sparsity, "layer", ratios={}), make_masks(scores, sparsity, "layer"))


def test_ratios_that_mean_nothing_are_said():
    scores = {"fc1": torch.ones(3)}
    with pytest.raises(ConfigError, match="need scope 'layer', got 'erk'"):
        make_masks(scores, 0.5, "erk", ratios={"fc1": 0.5})
    with pytest.raises(ConfigError, match="no layer named 'fc2'; did you mean 'fc1'"):
        make_masks(scores, 0.5, "layer", ratios={"fc2": 0.5})
    with pytest.raises(ConfigError, match="less than 1, got 1"):
        make_masks(scores, 0.5, "layer", ratios={"fc1": 1})


def test_a_thousand_equal_weights_lose_exactly_half():
    masks = make_masks({"w": torch.full((10, 100), 0.3)}, 0.5)
    assert sparsity_of(masks) == 0.5 and not masks["w"][:5].any() and masks["w"][5:].all()  # the first go first


def test_sixty_per_cent_zeros_at_half():
    w = torch.cat([torch.zeros(600), torch.ones(400)])
    masks = make_masks(Magnitude().score(Evidence({"w": w})), 0.5)
    assert sparsity_of(masks) == 0.5 and masks["w"][600:].all()


@given(values=layers, steps=st.lists(share, min_size=2, max_size=5))
def test_masks_only_ever_shrink_and_follow_the_highest_sparsity(values, steps):
    scores, keep, total = scores_of(values), None, sum(map(len, values))
    for i, sparsity in enumerate(steps):
        noisy = {n: s + i for n, s in scores.items()}
        masks = make_masks(noisy, sparsity, keep=keep)
        assert keep is None or not any((masks[n] & ~keep[n]).any() for n in masks)
        assert round(sparsity_of(masks) * total) == max(round(s * total) for s in steps[: i + 1])
        keep = masks


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype):
    g = torch.Generator().manual_seed(0)
    w = {"a": torch.randn(40, 50, generator=g).to(dtype), "b": torch.randn(300, generator=g).to(dtype)}
    masks = make_masks(Magnitude().score(Evidence(w)), 0.7)
    assert_same(masks, by_sorting({n: x.abs() for n, x in w.items()}, 0.7))
    apply_masks_(w, masks)
    assert all(x.dtype == dtype and not x[~masks[n]].any() and x[masks[n]].all() for n, x in w.items())


def test_memory_order_does_not_matter():
    w = torch.randn(8, 6, 5, 5)
    last = w.to(memory_format=torch.channels_last)
    a, b = (
        make_masks(Magnitude().score(Evidence({"w": w})), 0.5),
        make_masks(Magnitude().score(Evidence({"w": last})), 0.5),
    )
    assert_same(a, b)
    apply_masks_({"w": last}, b)
    assert torch.equal(last, w * a["w"]) and last.is_contiguous(memory_format=torch.channels_last)


def test_twice_is_the_same():
    w = {"w": torch.randn(300_000)}
    assert_same(make_masks(Magnitude().score(Evidence(w)), 0.9), make_masks(Magnitude().score(Evidence(w)), 0.9))


# --- apply -----------------------------------------------------------------------------------------------------------
def test_applied_in_place_to_exactly_zero():
    w = torch.tensor([1.0, -2.0, math.inf, math.nan, -0.5])
    address = w.data_ptr()
    apply_masks_({"w": w}, {"w": torch.tensor([True, False, False, False, True])})
    assert w.tolist() == [1.0, 0.0, 0.0, 0.0, -0.5] and w.data_ptr() == address
    assert not w.signbit()[:4].any(), "0, not -0"


def test_weights_without_a_mask_stay():
    w = {"a": torch.ones(2), "b": torch.ones(2)}
    apply_masks_(w, {"a": torch.tensor([True, False])})
    assert w["a"].tolist() == [1, 0] and w["b"].tolist() == [1, 1]


def test_sparsity_counts_masked_weights_only():
    assert sparsity_of({}) == 0
    assert sparsity_of({"a": torch.tensor([True, False, False]), "b": torch.tensor([True])}) == 0.5


# --- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bad", [1, 1.5, -0.1, math.nan, math.inf, "half", None])
def test_sparsity_outside_its_bounds(bad):
    with pytest.raises(ConfigError, match="sparsity must be a number at least 0 and less than 1, got"):
        make_masks({"w": torch.ones(3)}, bad)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("n", [5, 20_000])
@pytest.mark.parametrize("value", [1.0, None])  # None: random, so that the bracket is more than one score
def test_nan_is_said(n, value):
    scores = torch.full((n,), value) if value else torch.rand(n)
    scores[n // 3] = math.nan
    for read in (lambda s: {"w": s}, lambda s: Magnitude().score(Evidence({"w": s}))):
        with pytest.raises(ConfigError, match="nan"):
            make_masks(read(scores), 0.5)
    gone = torch.arange(n) != n // 3
    assert sparsity_of(make_masks({"w": scores}, 0.5, keep={"w": gone})) == pytest.approx(0.5, abs=0.2)


def test_masks_of_another_model():
    with pytest.raises(ConfigError, match=r"mask of 'w' must be bool of shape \(3,\), got torch.bool of shape \(2,\)"):
        make_masks({"w": torch.ones(3)}, 0.5, keep={"w": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(ConfigError, match="float32"):
        apply_masks_({"w": torch.ones(3)}, {"w": torch.ones(3)})
    with pytest.raises(ConfigError, match="no such weight"):
        apply_masks_({"w": torch.ones(3)}, {"v": torch.ones(3, dtype=torch.bool)})
    with pytest.raises(ConfigError, match="scope must be one of 'global', 'layer', 'erk', 'sensitivity', got 'row'"):
        make_masks({"w": torch.ones(3)}, 0.5, "row")


def test_nothing_to_mask():
    assert make_masks({}, 0.5) == {}
