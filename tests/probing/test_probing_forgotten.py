"""What was forgotten: against plain predictions and scikit-learn; noise, pictures of weights and budgets."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, recall_score

import prune_core as pc
from prune_core.probing import Forgotten, layer_tiles, noisy, predict, pruned
from prune_core.probing.forgotten import mcnemar
from prune_core.probing.robustness import noise_sentence
from prune_core.pruning import prunable
from prune_core.training import evaluate, wilson

DATA = pc.Digits()


@pytest.fixture(scope="module")
def models() -> tuple[torch.nn.Module, torch.nn.Module]:
    """A model that knows something, and the same pruned."""
    experiment = pc.Experiment(data=DATA, model=pc.MLP(width=32), train=pc.Training(steps=150, lr=0.1))
    before = pc.run(experiment, progress=False).model.eval()
    after = copy.deepcopy(before)
    pc.prune_(after, 0.9)
    return before, after


@pytest.fixture(scope="module")
def found(models) -> Forgotten:
    return pc.forgotten(*models, DATA)


def answers(model: torch.nn.Module) -> np.ndarray:
    data = DATA.load()
    with torch.no_grad():
        return model(data.normalise(data.test_x)).argmax(1).numpy()


# --- what was forgotten -----------------------------------------------------------------------------------------------
def test_flipped_examples_are_those_of_plain_predictions(models, found):
    label, (was, now) = DATA.load().test_y.numpy(), map(answers, models)
    flips = found.flips
    assert set(flips["index"]) == set(np.flatnonzero(was != now)) and len(flips) > 5
    wanted = {
        "newly wrong": (was == label) & (now != label),
        "newly right": (was != label) & (now == label),
        "another mistake": (was != label) & (now != label) & (was != now),
    }
    for kind, where in wanted.items():
        assert set(flips.loc[flips["kind"] == kind, "index"]) == set(np.flatnonzero(where))
    assert (flips["label"] == label[flips["index"]]).all() and (flips["after"] == now[flips["index"]]).all()
    assert found.accuracy == pytest.approx((evaluate(models[0], DATA.load()).accuracy, (now == label).mean()))


def test_confidence_is_the_softmax_share_of_the_answer(models, found):
    data = DATA.load()
    with torch.no_grad():
        shares = models[1](data.normalise(data.test_x)).softmax(1).max(1).values.numpy()
    assert found.answers["confidence_after"].to_numpy() == pytest.approx(shares, abs=1e-6)


def test_accuracy_by_class_is_recall(models, found):
    label, table = DATA.load().test_y.numpy(), found.per_class
    for model, when in zip(models, ("before", "after"), strict=True):
        assert table[when].to_numpy() == pytest.approx(recall_score(label, answers(model), average=None))
    row = table.iloc[3]
    assert (row["low_after"], row["high_after"]) == wilson(round(row["after"] * row["examples"]), int(row["examples"]))
    assert table["examples"].sum() == 355 and (table["gained"] - table["lost"]).sum() == pytest.approx(
        355 * (found.accuracy[1] - found.accuracy[0])
    )


def test_confusions_are_the_difference_of_the_matrices(models, found):
    label = DATA.load().test_y.numpy()
    before, after = (confusion_matrix(label, answers(model)) for model in models)
    for row in found.confusions.to_dict("records"):
        pair = row["label"], row["predicted"]
        assert (row["before"], row["after"]) == (before[pair], after[pair]) and pair[0] != pair[1]
    off = ~np.eye(10, dtype=bool)
    assert len(found.confusions) == ((before != after) & off).sum()
    assert found.confusions["increase"].is_monotonic_decreasing


@pytest.mark.parametrize(("lost", "gained"), [(7, 0), (3, 5), (20, 4), (1, 1)])
def test_mcnemar_is_the_exact_binomial_test(lost, gained):
    assert mcnemar(lost, gained) == pytest.approx(binomtest(min(lost, gained), lost + gained).pvalue)
    assert math.isnan(mcnemar(0, 0))


def test_nothing_forgotten_is_said(models):
    same = pc.forgotten(models[0], models[0], DATA, examples=100)
    assert same.sentence == "No prediction changed on 100 test examples."
    assert not len(same.flips) and not len(same.confusions) and same.per_class["p"].isna().all()
    assert len(pc.forgotten(*models, DATA).answers) == 355
    with pytest.raises(pc.ConfigError, match="at least 1, got 0"):
        pc.forgotten(*models, DATA, examples=0)


def test_a_class_that_loses_more_than_chance_is_named():
    label = np.arange(200) % 2
    table = pd.DataFrame({"index": np.arange(200), "label": label, "before": label, "after": np.zeros(200, int)})
    found = Forgotten(table.assign(confidence_before=1.0, confidence_after=0.6), ("cat", "dog"))
    assert found.sentence == (
        "100 predictions became wrong and 0 right on 200 test examples (p < 0.001); most was lost in class dog, from "
        "100.0 to 0.0 %, and 1 class lost more than chance explains."
    )


def test_under_masks_for_a_moment(models):
    before, after = models
    weights = {name: p.data for name, p in prunable(before).items()}
    held = copy.deepcopy(before.state_dict())
    masks = {name: p.data != 0 for name, p in prunable(after).items()}
    index = torch.arange(355)
    with pruned(before, weights, masks):
        assert torch.equal(predict(before, DATA.load(), index)[0], predict(after, DATA.load(), index)[0])
    assert all(torch.equal(t, held[name]) for name, t in before.state_dict().items())


# --- noise ------------------------------------------------------------------------------------------------------------
def test_noise_is_gaussian_scaled_reproducible_and_the_same_for_all(models):
    data = DATA.load()
    clean, one, two = (noisy(data, level, seed=5) for level in (0.0, 1.0, 2.0))
    added = one.test_x - clean.test_x
    assert torch.allclose(two.test_x - clean.test_x, 2 * added, atol=1e-5), "one draw, scaled"
    assert float(added.mean()) == pytest.approx(0, abs=0.02) and float(added.std()) == pytest.approx(1, abs=0.02)
    assert torch.equal(one.test_x, noisy(data, 1.0, seed=5).test_x)
    assert not torch.equal(one.test_x, noisy(data, 1.0, seed=6).test_x)
    table = pc.robustness({"a": models[0], "b": models[0], "c": models[1]}, DATA, (0.0, 1.0), seed=5)
    rows = {(r["model"], r["noise"]): r for r in table.to_dict("records")}
    assert rows["a", 1.0]["accuracy"] == rows["b", 1.0]["accuracy"] < rows["a", 0.0]["accuracy"]
    dense = evaluate(models[0], data)
    assert (rows["a", 0.0]["accuracy"], rows["a", 0.0]["examples"]) == (dense.accuracy, 355)
    pd.testing.assert_frame_equal(table, pc.robustness({"a": models[0], "b": models[0], "c": models[1]}, DATA,
                                                       (0.0, 1.0), seed=5))  # fmt: skip


def test_a_limit_takes_the_examples_that_evaluate_takes(models):
    data = DATA.load()
    assert evaluate(models[0], noisy(data, 0.0, examples=100)).accuracy == evaluate(models[0], data, 100).accuracy
    with pytest.raises(pc.ConfigError, match="at least 0, got -1"):
        noisy(data, -1.0)


def test_robustness_is_put_into_words_only_where_it_is_shown():
    def rows(name: str, *accuracy: float) -> list[dict[str, object]]:
        return [{"model": name, "noise": float(i), "accuracy": a, "low": a - 0.03, "high": a + 0.03}
                for i, a in enumerate(accuracy)]  # fmt: skip

    apart = noise_sentence(pd.DataFrame([*rows("before", 0.9, 0.8, 0.5), *rows("after", 0.89, 0.6, 0.3)]))
    assert apart.endswith("the pruned model lies below at noise 1 and 2, beyond the intervals of both.")
    level = noise_sentence(pd.DataFrame([*rows("before", 0.9, 0.8), *rows("after", 0.89, 0.81)]))
    assert level.endswith("at no level of noise do the two differ by more than their intervals.")
    assert noise_sentence(pd.DataFrame(rows("before", 0.9))) == ""


# --- pictures and budgets ---------------------------------------------------------------------------------------------
def test_tiles_of_filters_are_the_weights_themselves():
    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    mask = weight.abs() > 0.5
    mask[1] = False
    tiles = layer_tiles("conv", weight, mask)
    assert tiles.kind == "filters" and np.array_equal(tiles.values, weight.numpy())
    assert np.array_equal(tiles.kept == 1, mask.numpy()) and tiles.empty == 1 + int(not mask[0].any())
    assert tiles.sparsity == pytest.approx(1 - float(mask.float().mean()))
    large = layer_tiles("conv", torch.ones(512, 256, 7, 7), torch.ones(512, 256, 7, 7).bool())
    assert large.values.size <= 6000 and large.shape == (512, 256, 7, 7)


def test_tiles_of_a_pattern_have_their_groups_side_by_side():
    weight = torch.arange(16.0).reshape(2, 8)
    kept = torch.tensor([True, False, True, False] * 4).reshape(2, 8)
    tiles = layer_tiles("fc", weight, kept, pc.NofM())
    assert tiles.kind == "n_of_m" and tiles.values[1, 0].tolist() == [8, 9, 10, 11]
    assert (tiles.kept.sum(-1) == 2).all()
    conv = layer_tiles("conv", torch.arange(64.0).reshape(2, 8, 2, 2), torch.ones(2, 8, 2, 2).bool(), pc.NofM(n=1))
    assert conv.values[1, 0].tolist() == [1, 5, 9, 13], "neighbours are along the inputs, at one place of the kernel"


def test_blocks_of_a_large_matrix_hold_share_and_size():
    weight, mask = torch.full((64, 200), 3.0), torch.ones(64, 200).bool()
    mask[:2, :2] = False
    tiles = layer_tiles("fc", weight, mask)
    down, across = tiles.cell
    assert (down, across) == (2, 4) and tiles.kept[0, 0] == 0.5 and tiles.kept[1:].min() == 1
    assert tiles.values == pytest.approx(3.0) and tiles.removed == 4


def test_a_layer_bears_what_it_bore_all_the_way():
    rows = [("a", 0.5, 0.97), ("a", 0.9, 0.90), ("a", 0.95, 0.97), ("b", 0.5, 0.5), ("c", 0.5, 0.965), ("c", 0.9, 0.96)]
    table = pd.DataFrame(rows, columns=["layer", "sparsity", "accuracy"])
    assert pc.bearable(table, 0.97, 0.01) == {"a": 0.5, "b": 0.0, "c": 0.9}
    assert pc.bearable(table, 0.97, 0.5) == {"a": 0.95, "b": 0.5, "c": 0.9}
    with pytest.raises(pc.ConfigError, match="at most 1"):
        pc.bearable(table, 0.97, 2)
