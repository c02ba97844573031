"""The scope "sensitivity": curves of the loss, the tolerance that makes the total exact, and runs that use them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import prune_core as pc
from prune_core.pruning import Evidence, LossCurve, WeightIndex, allocate, one_batch, prunable, scan_curves
from prune_core.pruning.sensitivity import SHARES


def shares(curves: dict[str, LossCurve], sparsity: float, gone: dict[str, int] | None = None) -> dict[str, int]:
    return allocate({n: (c.removed[-1],) for n, c in curves.items()}, sparsity, gone, "sensitivity", curves=curves)


# --- worked by hand ---------------------------------------------------------------------------------------------------
TWO = {"a": LossCurve((0, 50, 100), (0.0, 0.1, 0.5)), "b": LossCurve((0, 100, 200), (0.0, 0.2, 0.3))}


def test_two_layers_by_hand():
    # up to a rise of 0.1 both lose 500 weights a unit of it; then a 50 / 0.4 = 125 and b, from 0.2 on, 100 / 0.1 = 1000
    # 50 % of 300: at 0.1 they have lost 50 + 50, then 125 + 500 a unit: (150 - 100) / 625 = 0.08, so 60 and 90
    assert shares(TWO, 0.5) == {"a": 60, "b": 90}
    # 20 %: 60 / 1000 = 0.06: 30 each. 75 %: at 0.2 they have lost 62.5 + 100, then 125 + 1000 a unit:
    # (225 - 162.5) / 1125 = 0.0556: 62.5 + 6.94 and 100 + 55.56; one weight is left over, and b's 156th was due first:
    # it goes at 0.2560, a's 70th at 0.2600
    assert shares(TWO, 0.2) == {"a": 30, "b": 30}
    assert shares(TWO, 0.75) == {"a": 69, "b": 156}


def test_what_is_gone_stays_gone_and_the_others_keep_more():
    # of a 80 are gone: 70 are left for b at 50 %, at whatever tolerance
    assert shares(TWO, 0.5, {"a": 80}) == {"a": 80, "b": 70}
    assert shares(TWO, 0.1, {"a": 80, "b": 3}) == {"a": 80, "b": 3}, "more is gone than asked for"


def test_level_stretches_are_walked_in_step():
    # nothing is lost up to 40 of 100 and 80 of 200: 25 % of 300 is 75, 75 / 120 of either stretch: 25 and 50
    curves = {"a": LossCurve((0, 40, 100), (0.0, 0.0, 1.0)), "b": LossCurve((0, 80, 200), (0.0, 0.0, 1.0))}
    assert shares(curves, 0.25) == {"a": 25, "b": 50}
    # and of b alone, where a loses something from its first weight on
    assert shares(curves | {"a": LossCurve((0, 100), (0.0, 1.0))}, 0.25) == {"a": 0, "b": 75}


def test_curves_are_made_to_rise():
    curve = LossCurve.measured({20: 0.9, 50: 1.5, 80: 1.2, 100: math.inf}, 1.0)
    assert curve.removed == (0, 20, 50, 80, 100)
    assert curve.rise[:4] == (0.0, 0.0, 0.5, 0.5) and math.isfinite(curve.rise[4]) and curve.rise[4] > 1e30


# --- invariants -------------------------------------------------------------------------------------------------------
@st.composite
def some_curves(draw: st.DrawFn) -> dict[str, LossCurve]:
    found = {}
    for i in range(draw(st.integers(1, 5))):
        inner = sorted(draw(st.sets(st.integers(1, 299), max_size=4)))
        steps = draw(
            st.lists(st.sampled_from([0.0, 0.0, 0.1, 1e-9]) | st.floats(0, 9), min_size=len(inner) + 1)
        )[: len(inner) + 1]  # fmt: skip
        found[f"l{i}"] = LossCurve.measured(
            {k: sum(steps[: j + 1]) for j, k in enumerate([*inner, draw(st.integers(300, 400))])}, 0.0
        )
    return found


def rise_at(curve: LossCurve, k: int) -> float:
    j = next(j for j, there in enumerate(curve.removed) if there >= k)
    if j == 0:
        return 0.0
    (k0, k1), (r0, r1) = curve.removed[j - 1 : j + 1], curve.rise[j - 1 : j + 1]
    return r0 + (r1 - r0) * (k - k0) / (k1 - k0)


@given(some_curves(), st.floats(0, 0.999), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_totals_are_exact_and_no_layer_pays_more_than_another_would(curves, sparsity, gone):
    total = sum(c.removed[-1] for c in curves.values())
    gone = {n: int(share * c.removed[-1]) for (n, c), share in zip(curves.items(), gone, strict=False)}
    for before in (dict.fromkeys(curves, 0), gone):
        removed = shares(curves, sparsity, before)
        assert sum(removed.values()) == max(round(sparsity * total), sum(before.values()))
        assert all(before[n] <= removed[n] <= c.removed[-1] for n, c in curves.items())
        # the dearest weight that went is not dearer than the cheapest that stayed
        paid = [rise_at(c, removed[n]) for n, c in curves.items() if removed[n] > before[n]]
        spared = [rise_at(c, removed[n] + 1) for n, c in curves.items() if removed[n] < c.removed[-1]]
        assert not paid or not spared or max(paid) <= min(spared) * (1 + 1e-9) + 1e-12


@given(some_curves(), st.lists(st.floats(0, 0.999), min_size=2, max_size=5).map(sorted))
def test_more_sparsity_gives_no_weight_back_and_rounds_end_where_one_step_does(curves, sparsities):
    gone = dict.fromkeys(curves, 0)
    for sparsity in sparsities:
        now = shares(curves, sparsity)
        assert all(now[n] >= gone[n] for n in curves)
        assert shares(curves, sparsity, gone) == now == shares(curves, sparsity)
        gone = now


@given(some_curves(), st.floats(0, 0.999), st.integers(2, 4))
def test_equal_curves_give_equal_shares(curves, sparsity, times):
    one = curves["l0"]
    removed = shares({f"x{i}": one for i in range(times)}, sparsity)
    assert max(removed.values()) - min(removed.values()) <= 1, "but for what is left over"


# --- the scan ---------------------------------------------------------------------------------------------------------
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(144, 10)
    )


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return next(pc.Digits().load().drawn(64, torch.Generator().manual_seed(1)))


def test_the_curves_are_losses_measured_by_hand_and_leave_no_trace():
    model, (x, y) = network(), batch()
    weights = {n: w.detach() for n, w in prunable(model).items()}
    keep = pc.make_masks({n: w.abs() for n, w in weights.items()}, 0.3, "layer")
    pc.apply_masks_(weights, keep)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    at = Evidence(weights, model=model, batches=one_batch(x, y), masks=keep)
    curves = scan_curves(at, pc.Magnitude().score(at))
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items()) and model.training

    def loss(name: str = "", k: int = 0) -> float:
        copy = network().eval()
        copy.load_state_dict(before)
        copy[1].train()  # the batch's own statistics
        if name:
            w = dict(copy.named_parameters())[name].data
            w.reshape(-1)[w.abs().reshape(-1).argsort(stable=True)[:k]] = 0
        with torch.no_grad():
            return float(F.cross_entropy(copy(x), y))

    dense = loss()
    for name, w in weights.items():
        gone, n = int((~keep[name]).sum()), w.numel()
        counts = [round(s * n) for s in SHARES if round(s * n) > gone]
        assert curves[name].removed == (0, gone, *counts)
        risen = 0.0
        for k, rise in zip(counts, curves[name].rise[2:], strict=True):
            risen = max(risen, loss(name, k) - dense)
            assert rise == pytest.approx(risen, abs=1e-6)


def test_prune_once_needs_a_batch_and_goes_where_it_costs_least():
    model, examples = network(), batch()
    with pytest.raises(pc.ConfigError, match=r"Scope 'sensitivity' measures the loss on data: give batch="):
        pc.prune_(network(), 0.5, scope="sensitivity")
    with pytest.raises(pc.ConfigError, match="SNIP is defined before training"):
        pc.prune_(network(), 0.5, pc.SNIP(), "sensitivity", batch=examples)
    with pytest.raises(pc.ConfigError, match="needs the layers' curves"):
        pc.make_masks({"w": torch.ones(3)}, 0.5, "sensitivity")
    with pytest.raises(pc.ConfigError, match="'w' needs a curve up to its 3 weights, got one of 4"):
        pc.make_masks({"w": torch.ones(3)}, 0.5, "sensitivity", curves={"w": LossCurve((0, 4), (0.0, 1.0))})
    weights = {n: w.detach().clone() for n, w in prunable(model).items()}
    at = Evidence(weights, model=network(), batches=one_batch(*examples))
    curves = scan_curves(Evidence({n: w.detach() for n, w in prunable(at.model).items()}, model=at.model,
                                  batches=one_batch(*examples)), weights_score(weights))  # fmt: skip
    first = pc.prune_(model, 0.5, scope="sensitivity", batch=examples)
    assert {n: int((~m).sum()) for n, m in first.items()} == WeightIndex(weights, curves=curves).removed_at(
        0.5, "sensitivity"
    )
    more = pc.prune_(model, 0.8, scope="sensitivity", batch=examples, masks=first)
    assert pc.sparsity_of(more) == pytest.approx(0.8, abs=1e-3)
    assert not any((more[n] & ~first[n]).any() for n in more)
    for criterion in (pc.Random(), pc.Taylor()):
        a, b = (pc.prune_(network(), 0.6, criterion, "sensitivity", batch=examples) for _ in range(2))
        assert all(torch.equal(a[n], b[n]) for n in a)


def weights_score(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n: w.abs() for n, w in weights.items()}


# --- groups -----------------------------------------------------------------------------------------------------------
WHOLE = [
    (pc.Blocks(rows=3, columns=2), pc.SmallCNN()), (pc.Filters(), pc.SmallCNN()), (pc.Channels(), pc.SmallCNN()),
    (pc.Neurons(), pc.MLP()), (pc.Heads(), pc.TinyViT(dim=8, depth=2, heads=2)),
]  # fmt: skip


@pytest.mark.parametrize(("granularity", "source"), WHOLE, ids=lambda p: p.kind)
def test_whole_groups_go_where_they_cost_least_and_the_total_is_within_half_a_group_of_each_layer(granularity, source):
    def fresh() -> nn.Module:
        return source.build((1, 8, 8), 10, 0)

    groups = granularity.groups(fresh(), dict(prunable(fresh())))
    before = {n: torch.ones_like(w, dtype=torch.bool) for n, w in prunable(fresh()).items() if n in groups.names}
    total = sum(m.numel() for m in before.values())
    for masks, sparsity in ((None, 0.4), (before, 0.7)):
        model = fresh()
        made = pc.prune_(model, sparsity, scope="sensitivity", batch=batch(), granularity=granularity, masks=masks)
        again = pc.prune_(fresh(), sparsity, scope="sensitivity", batch=batch(), granularity=granularity, masks=masks)
        assert all(torch.equal(made[n], again[n]) for n in made)
        slack = 0.0
        for unit in groups.units:
            kept, size = unit.left(before, made).sum(1), unit.left(before, {}).sum(1)
            assert bool(((kept == 0) | (kept == size)).all()), "a group goes as a whole"
            slack += int(size.max()) / 2 + 1
        assert abs(sum(int((~m).sum()) for m in made.values()) - sparsity * total) <= slack
        assert not any((made[n] & ~before[n]).any() for n in made), "what was gone stays gone"
        before = made


def test_the_curve_of_filters_is_of_filters_and_begins_where_some_are_gone():
    model, (x, y) = network(), batch()
    weights = {n: w.detach() for n, w in prunable(model).items()}
    groups = pc.Filters().groups(model, weights)
    (name,) = groups.names
    keep = {name: torch.ones_like(weights[name], dtype=torch.bool)}
    keep[name][0], keep[name][1, 0, 0, 0] = False, False  # a filter, and a weight of another
    pc.apply_masks_(weights, keep)
    at = Evidence({name: weights[name]}, model=model, batches=one_batch(x, y), masks=keep)
    scores = groups.scores({name: weights[name].square()}, keep, pc.Magnitude().of_groups)
    curve = scan_curves(at, scores, groups)[name]
    # of 36 weights 10 are gone; then go the filters that are left, the smallest first
    order = [i for i in scores[name][:, 0, 0, 0].argsort().tolist() if i != 0]
    cuts = [10]
    for i in order:
        cuts.append(cuts[-1] + (8 if i == 1 else 9))
    assert curve.removed == (0, *cuts) and cuts[-1] == 36

    def loss(gone: list[int]) -> float:
        copy = network().eval()
        copy.load_state_dict(model.state_dict())
        copy[1].train()
        copy[0].weight.data[gone] = 0
        with torch.no_grad():
            return float(F.cross_entropy(copy(x), y))

    rises = [loss(order[:k]) - loss([]) for k in range(4)]
    assert curve.rise[1:] == pytest.approx([max(0.0, *rises[: k + 1]) for k in range(4)], abs=1e-6)


# --- runs -------------------------------------------------------------------------------------------------------------
def experiment(schedule: pc.Schedule, **prune: object) -> pc.Experiment:
    pruning = pc.Pruning(scope="sensitivity", schedule=schedule, **prune)
    return pc.Experiment(data=pc.Digits(), model=pc.MLP(), prune=pruning, train=pc.Training(steps=12, batch_size=16))


@pytest.mark.parametrize(
    "schedule",
    [
        pc.Cubic(final=0.9, start=2, stop=10), pc.Linear(final=0.9, start=2, stop=10, every=3),
        pc.Iterative(final=0.9, rounds=3, first=2, between=4), pc.OneShot(final=0.9, at=3),
    ],
    ids=lambda s: s.kind,
)  # fmt: skip
def test_a_run_of_every_schedule_ends_exactly_and_resumes_bitwise(schedule, tmp_path):
    exp = experiment(schedule)
    whole = pc.run(exp)
    sizes = {n: m.numel() for n, m in whole.masks.items()}
    assert sum(int((~m).sum()) for m in whole.masks.values()) == round(0.9 * sum(sizes.values()))
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 5:  # the scan is behind it: it must not be made anew
            control.stop()
    assert pc.load_checkpoint(tmp_path / "run.pt").rest["masks"]["curves"].keys() == sizes.keys()
    rest = pc.run(exp, checkpoint=tmp_path / "run.pt")
    assert rest.history["loss"].tolist() == whole.history["loss"].tolist()
    assert all(torch.equal(rest.masks[n], m) for n, m in whole.masks.items())


def test_the_scan_disturbs_no_training():
    # up to the removal a run is bitwise that of another scope, dropout and the order of data included
    exp = experiment(pc.OneShot(final=0.5, at=8))
    other = exp.with_(**{"prune.scope": "global"})
    a, b = (pc.run(e).history["loss"].tolist() for e in (exp, other))
    assert a[:8] == b[:8]


def test_what_cannot_be_is_said_when_it_is_built(tmp_path):
    with pytest.raises(pc.ConfigError, match=r"must remove nothing at step 0 with scope 'sensitivity'.* got 0\.9"):
        experiment(pc.OneShot(final=0.9, at=0))
    with pytest.raises(pc.ConfigError, match="GraSP is defined before training"):
        pc.Pruning(scope="sensitivity", criterion=pc.GraSP(), schedule=pc.OneShot(final=0.9, at=0))
    # from a checkpoint step 0 is trained already
    dense = experiment(pc.OneShot(final=0.5, at=5)).replace(prune=None)
    pc.run(dense, checkpoint=tmp_path / "dense.pt")
    start = pc.FromCheckpoint(path=str(tmp_path / "dense.pt"))
    prune = pc.Pruning(scope="sensitivity", schedule=pc.OneShot(final=0.9, at=0))
    result = pc.run(dense.replace(prune=prune, start=start))
    assert result.sparsity == pytest.approx(0.9, abs=1e-3)


def test_a_run_by_groups_goes_on_bitwise_and_patterns_are_refused(tmp_path):
    exp = experiment(pc.Cubic(final=0.6, start=2, stop=10), granularity=pc.Neurons())
    whole = pc.run(exp)
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 5:
            control.stop()
    rest = pc.run(exp, checkpoint=tmp_path / "run.pt")
    assert rest.history["loss"].tolist() == whole.history["loss"].tolist()
    assert all(torch.equal(rest.masks[n], m) for n, m in whole.masks.items())
    for mask in whole.masks.values():
        assert {int(row.sum()) for row in mask} <= {0, mask.shape[1]}
    with pytest.raises(pc.ConfigError, match=r"Pruning.scope must be 'global' or 'layer' with NofM"):
        experiment(pc.OneShot(final=0.5, at=3), granularity=pc.NofM())
