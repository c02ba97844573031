"""What each layer gives up, by shape (ERK) and by hand: worked, solved another way, and in runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import prune_core as pc
from prune_core.pruning import WeightIndex, allocate, erk_densities, prunable

SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 60), st.integers(1, 60)),
        st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.integers(1, 5)),
    ),
    min_size=1,
    max_size=6,
).map(lambda shapes: {f"l{i}": shape for i, shape in enumerate(shapes)})


def test_by_hand():
    # 20x30: (20 + 30) / 600 = 1/12; 10x20: 30 / 200 = 3/20. With density e·raw the kept weights are e·50 and e·30,
    # so at 80 % sparsity of 800 weights e = 160 / 80 = 2: densities 1/6 and 3/10, 100 and 60 weights kept
    shapes = {"a": (20, 30), "b": (10, 20)}
    assert erk_densities(shapes, 0.8) == pytest.approx({"a": 1 / 6, "b": 3 / 10})
    assert allocate(shapes, 0.8) == {"a": 500, "b": 140}


def test_a_kernel_counts_with_its_sides():
    # 8x4x3x3: (8 + 4 + 3 + 3) / 288 = 1/16
    density = erk_densities({"conv": (8, 4, 3, 3), "linear": (64, 64)}, 0.9)
    assert density["conv"] / density["linear"] == pytest.approx((18 / 288) / (128 / 4096))


def test_a_layer_that_would_be_more_than_dense_is_dense_and_the_others_share_the_rest():
    # at 50 % of 1,004 weights 502 stay: 2x2 would have density e·1, 50x20 e·70/1000, kept e·4 + e·70 = 502, e = 6.8:
    # so the small one is dense, and the other keeps 498 of 1,000
    shapes = {"small": (2, 2), "large": (50, 20)}
    assert erk_densities(shapes, 0.5) == pytest.approx({"small": 1.0, "large": 0.498})
    assert allocate(shapes, 0.5) == {"small": 0, "large": 502}


def test_what_is_gone_from_one_layer_is_kept_in_the_others_by_their_shapes():
    # 20x30, 10x20, 10x20: 200 of 1,000 stay. Of the first 560 are gone, so it keeps 40, less than the e·50 = 91 of
    # e = 200 / 110; the other two share 160 by their equal sides, 80 each
    shapes = {"a": (20, 30), "b": (10, 20), "c": (10, 20)}
    assert allocate(shapes, 0.8) == {
        "a": 509,
        "b": 146,
        "c": 145,
    }  # 509.09, 145.45, 145.45: one left over, to the first
    assert allocate(shapes, 0.8, {"a": 560}) == {"a": 560, "b": 120, "c": 120}
    # more gone than asked for: nothing changes
    assert allocate(shapes, 0.5, {"a": 590, "b": 10}) == {"a": 590, "b": 10, "c": 0}


@given(SHAPES, st.floats(0, 0.999), st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_densities_are_those_of_a_search_for_the_scale(shapes, sparsity, gone):
    """The caps make the total a rising function of one scale: bisection in float64 finds the same."""
    raw = {n: sum(s) / math.prod(s) for n, s in shapes.items()}
    gone = {n: int(share * math.prod(s)) for (n, s), share in zip(shapes.items(), gone, strict=False)}
    most = {n: 1 - gone[n] / math.prod(s) for n, s in shapes.items()}
    budget = (1 - sparsity) * sum(math.prod(s) for s in shapes.values())
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        kept = sum(min(most[n], middle * raw[n]) * math.prod(s) for n, s in shapes.items())
        low, high = (middle, high) if kept < budget else (low, middle)
    want = {n: min(most[n], high * raw[n]) for n in shapes}
    assert erk_densities(shapes, sparsity, gone) == pytest.approx(want, rel=1e-6, abs=1e-9)


@given(SHAPES, st.floats(0, 0.999))
def test_counts_are_exact_and_within_one_of_the_formula(shapes, sparsity):
    removed = allocate(shapes, sparsity)
    sizes = {n: math.prod(s) for n, s in shapes.items()}
    assert sum(removed.values()) == round(sparsity * sum(sizes.values()))
    density = erk_densities(shapes, sparsity)
    for name, n in removed.items():
        assert 0 <= n <= sizes[name]
        assert abs(n - (1 - density[name]) * sizes[name]) <= 1 + 1e-6


@given(SHAPES, st.lists(st.floats(0, 0.999), min_size=2, max_size=5).map(sorted))
def test_along_a_schedule_no_layer_gets_anything_back(shapes, sparsities):
    gone: dict[str, int] = dict.fromkeys(shapes, 0)
    for sparsity in sparsities:
        now = allocate(shapes, sparsity, gone)
        assert all(now[n] >= gone[n] for n in shapes)
        assert sum(now.values()) == max(round(sparsity * sum(map(math.prod, shapes.values()))), sum(gone.values()))
        gone = now


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9, 0.995])
@pytest.mark.parametrize("values", ["normal", "equal"])
def test_masks_and_index_do_what_it_says(sparsity, values):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 40), nn.Linear(40, 5))
    if values == "equal":
        for w in prunable(model).values():
            w.data.fill_(0.5)
    weights = {n: w.detach().clone() for n, w in prunable(model).items()}
    want = allocate({n: tuple(w.shape) for n, w in weights.items()}, sparsity)
    masks = pc.prune_(model, sparsity, scope="erk")
    assert {n: int((~m).sum()) for n, m in masks.items()} == want == WeightIndex(weights).removed_at(sparsity, "erk")
    for name, mask in masks.items():  # in every layer the smallest go
        if want[name] and want[name] < mask.numel():
            assert float(weights[name].abs()[~mask].max()) <= float(weights[name].abs()[mask].min())


def test_the_threshold_of_one_layer_moves_the_whole():
    torch.manual_seed(0)
    weights = {"a": torch.randn(40, 50), "b": torch.randn(20, 10)}
    index = WeightIndex(weights)
    for layer in weights:
        threshold = float(weights[layer].abs().median())
        sparsity = index.sparsity_for(threshold, "erk", layer)
        assert index.removed_at(sparsity, "erk")[layer] == pytest.approx(weights[layer].numel() / 2, abs=1)


@pytest.mark.parametrize(
    "schedule",
    [
        pc.Cubic(final=0.9, start=2, stop=10), pc.Linear(final=0.9, start=2, stop=10, every=3),
        pc.Iterative(final=0.9, rounds=3, first=2, between=4), pc.OneShot(final=0.9, at=3),
    ],
    ids=lambda s: s.kind,
)  # fmt: skip
@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_a_run_of_every_schedule_and_scope_ends_exactly_and_resumes_bitwise(schedule, scope, tmp_path):
    exp = experiment(pc.Pruning(scope=scope, schedule=schedule))
    whole = pc.run(exp)
    removed, sizes = removed_of(whole.masks), sizes_of(whole.masks)
    if scope == "layer":
        assert removed == {n: round(0.9 * size) for n, size in sizes.items()}
    else:
        assert sum(removed.values()) == round(0.9 * sum(sizes.values()))
    if scope == "erk":
        # round by round or at once: rounding is all that may differ
        want = allocate({n: tuple(m.shape) for n, m in whole.masks.items()}, 0.9)
        assert all(abs(removed[n] - want[n]) <= 1 for n in sizes)
    assert_resumes(exp, whole, tmp_path)


# --- shares by hand --------------------------------------------------------------------------------------------------
def test_allocation_layer_by_layer_by_hand():
    # 90 % of 40 and of 15 (13.5, rounded to even), 50 % of 20; of the last 18 are gone, more than its 10 %
    shapes = {"a": (4, 10), "b": (15,), "c": (2, 10), "d": (20, 1)}
    removed = allocate(shapes, 0.9, {"d": 18, "a": 7}, "layer", {"c": 0.5, "d": 0.1})
    assert removed == {"a": 36, "b": 14, "c": 10, "d": 18}


@given(SHAPES, st.floats(0, 0.999), st.floats(0, 0.999), st.floats(0, 1))
def test_shares_grow_with_the_schedule_and_are_reached_at_its_end(shapes, own, final, way):
    prune = pc.Pruning(scope="layer", layer_sparsity=(f"l0={own!r}",), schedule=pc.OneShot(final=final))
    half, end = prune.ratios(shapes, way * final), prune.ratios(shapes, final)
    assert end == {"l0": own if final else 0.0} and 0 <= half["l0"] <= end["l0"]
    assert all(
        allocate(shapes, final, None, "layer", end)[n] >= k
        for n, k in allocate(shapes, way * final, None, "layer", half).items()
    )


def test_layers_are_named_as_weights_as_layers_and_by_pattern():
    names = ["conv1.weight", "conv2.weight", "fc.weight"]

    def ratios(*texts: str) -> dict[str, float]:
        return pc.Pruning(scope="layer", layer_sparsity=texts, schedule=pc.OneShot(final=0.8)).ratios(names, 0.4)

    assert ratios() == {}
    assert ratios("fc=0.5") == ratios("fc.weight = 0.5") == {"fc.weight": 0.25}  # half-way there, half of it
    assert ratios("conv*=0.2", "conv2=0") == {"conv1.weight": 0.1, "conv2.weight": 0.0}  # the later counts
    with pytest.raises(pc.ConfigError, match=r"layer_sparsity names 'fd', but .* there are: conv1.weight, conv2"):
        ratios("fd=0.5")


@pytest.mark.parametrize("text", ["fc", "fc=", "=0.5", "fc=1", "fc=-0.1", "fc=nan", "fc=half", "fc=0.5=0.6", ""])
def test_a_share_that_cannot_be_read_is_said(text):
    with pytest.raises(pc.ConfigError, match="must name layers with shares at least 0 and less than 1, as in 'fc1"):
        pc.Pruning(scope="layer", layer_sparsity=(text,))
    assert "layer_sparsity" in pc.Pruning.problems({"scope": "layer", "layer_sparsity": (text,)})  # beside the field


def test_shares_that_contradict_the_rest_are_said():
    for scope in ("global", "erk"):
        with pytest.raises(pc.ConfigError, match=f"layer_sparsity needs scope 'layer', .* got scope '{scope}'"):
            pc.Pruning(scope=scope, layer_sparsity=("fc=0.5",))
    with pytest.raises(pc.ConfigError, match="needs a schedule that removes something, got sparsity 0"):
        experiment(pc.Pruning(scope="layer", layer_sparsity=("0=0.5",), schedule=pc.OneShot(final=0)))
    by_name = pc.Pruning(scope="layer", layer_sparsity=("0=0.5",), keep_first=True)
    with pytest.raises(pc.ConfigError, match="names '0', but no weight that is pruned is called so"):
        by_name.select(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))


@pytest.mark.parametrize(
    "schedule",
    [pc.Cubic(final=0.5, start=2, stop=10), pc.Iterative(final=0.5, rounds=3, first=2, between=4), pc.OneShot(at=0)],
    ids=lambda s: s.kind,
)
def test_a_run_with_shares_by_hand_reaches_them_and_resumes_bitwise(schedule, tmp_path):
    # the largest layer is far ahead of the schedule, two are behind it: neither holds the other up
    texts = ("*=0.1", "7=0.99", "9.weight=0")
    exp = experiment(pc.Pruning(scope="layer", layer_sparsity=texts, schedule=schedule))
    assert pc.Experiment.from_yaml(exp.to_yaml()) == exp and hash(exp.prune) == hash(exp.prune.replace())
    whole = pc.run(exp)
    want = {"0.weight": 0.1, "3.weight": 0.1, "7.weight": 0.99, "9.weight": 0.0}
    assert removed_of(whole.masks) == {n: round(want[n] * size) for n, size in sizes_of(whole.masks).items()}
    seen = whole.history["sparsity"].tolist()
    assert seen == sorted(seen)
    assert_resumes(exp, whole, tmp_path)


def test_without_shares_by_hand_nothing_is_different():
    some = pc.Pruning(scope="layer", schedule=pc.Linear(final=0.7, start=2, stop=8))
    same = some.replace(layer_sparsity=("*=0.7",))
    one, other = pc.run(experiment(some)), pc.run(experiment(same))
    assert one.history["loss"].tolist() == other.history["loss"].tolist()
    assert removed_of(one.masks) == removed_of(other.masks)


# --- what these tests share ------------------------------------------------------------------------------------------
def experiment(prune: pc.Pruning) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(), prune=prune, train=pc.Training(steps=12, batch_size=16)
    )  # fmt: skip


def removed_of(masks) -> dict[str, int]:
    return {n: int((~m).sum()) for n, m in masks.items()}


def sizes_of(masks) -> dict[str, int]:
    return {n: m.numel() for n, m in masks.items()}


def assert_resumes(exp: pc.Experiment, whole: pc.Result, folder: Path) -> None:
    """Stopped after 5 steps and resumed, the run is bitwise what it is in one piece."""
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=folder / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 5:
            control.stop()
    rest = pc.run(exp, checkpoint=folder / "run.pt")
    assert rest.history["loss"].tolist() == whole.history["loss"].tolist()
    assert all(torch.equal(rest.masks[n], m) for n, m in whole.masks.items())
    for a, b in zip(rest.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
