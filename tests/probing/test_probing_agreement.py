"""Do criteria agree: Spearman against scipy, Jaccard by hand, and what the comparison of criteria says."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

import prune_core as pc
from prune_core.probing import agreement_findings, chance_overlap, curve_sentence, overlaps
from prune_core.probing.criteria import labels
from prune_core.training import evaluate

DATA, MODEL = pc.Digits(), pc.MLP(width=16)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fresh() -> torch.nn.Module:
    return MODEL.build(DATA.info.shape, DATA.info.classes, 0).eval()


# --- Spearman ---------------------------------------------------------------------------------------------------------
def test_rank_correlation_is_scipys_ties_included():
    a = {"x": draw(5, 7), "y": draw(11)}
    b = {name: (t + 0.5 * draw(*t.shape, seed=1)).round(decimals=1) for name, t in a.items()}  # many ties
    found = pc.rank_correlations([a, b])
    flat = [torch.cat([t.reshape(-1) for t in s.values()]).numpy() for s in (a, b)]
    assert found[0, 1] == found[1, 0] == pytest.approx(spearmanr(*flat).statistic, abs=1e-12)
    assert found[0, 0] == pytest.approx(1) and (np.abs(found) <= 1).all()


def test_within_layers_it_is_the_mean_by_their_weights():
    a, b = {"x": draw(30), "y": draw(10)}, {"x": draw(30, seed=2), "y": -draw(10)}
    by_hand = (30 * spearmanr(a["x"], b["x"]).statistic + 10 * -1) / 40
    assert pc.rank_correlations([a, b], scope="layer")[0, 1] == pytest.approx(by_hand)
    assert pc.rank_correlations([a, {n: 5 * t + 3 for n, t in a.items()}], scope="layer")[0, 1] == pytest.approx(1)


def test_what_was_removed_earlier_is_not_ranked():
    a, b = {"x": draw(40)}, {"x": draw(40, seed=3)}
    keep = {"x": torch.arange(40) % 4 > 0}
    wanted = spearmanr(a["x"][keep["x"]], b["x"][keep["x"]]).statistic
    assert pc.rank_correlations([a, b], keep=keep)[0, 1] == pytest.approx(wanted)


def test_a_constant_score_has_no_correlation_and_infinity_ranks_last():
    a = {"x": draw(20)}
    found = pc.rank_correlations([a, {"x": torch.ones(20)}])
    assert np.isnan(found[0, 1])
    b = {"x": a["x"].clone()}
    b["x"][a["x"].argmax()] = torch.inf
    assert pc.rank_correlations([a, b])[0, 1] == pytest.approx(1)


def test_a_sample_of_many_weights_is_near_and_the_same_twice():
    a, b = {"x": draw(200_000)}, {"x": draw(200_000) + draw(200_000, seed=4)}
    whole = pc.rank_correlations([a, b])[0, 1]
    part = [pc.rank_correlations([a, b], most=20_000)[0, 1] for _ in range(2)]
    assert part[0] == part[1] != whole and part[0] == pytest.approx(whole, abs=0.02)


def test_scores_of_other_weights_are_refused():
    with pytest.raises(pc.ConfigError, match="same weights"):
        pc.rank_correlations([{"x": draw(3)}, {"y": draw(3)}])
    with pytest.raises(pc.ConfigError, match="same weights"):
        pc.jaccard({"x": torch.ones(3).bool()}, {"y": torch.ones(3).bool()})


# --- Jaccard ----------------------------------------------------------------------------------------------------------
def test_jaccard_by_hand():
    a = {"x": torch.tensor([True, True, False, False]), "y": torch.tensor([True])}
    b = {"x": torch.tensor([True, False, True, False]), "y": torch.tensor([True])}
    # kept by both: x0, y0; by either: x0, x1, x2, y0
    assert pc.jaccard(a, b) == 2 / 4
    assert pc.jaccard(a, a) == 1
    none = {name: torch.zeros_like(m) for name, m in a.items()}
    assert pc.jaccard(none, none) == 1 and pc.jaccard(a, none) == 0
    assert overlaps([a, b, none]).tolist() == [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]


def test_random_masks_overlap_as_chance_says():
    a, b = ({"x": torch.rand(100_000, generator=torch.Generator().manual_seed(s)) < 0.1} for s in (0, 1))
    assert pc.jaccard(a, b) == pytest.approx(chance_overlap(0.1), abs=0.005)
    assert chance_overlap(0.1) == pytest.approx(0.01 / 0.19) and chance_overlap(1) == chance_overlap(0) == 1


# --- side by side -----------------------------------------------------------------------------------------------------
def test_the_comparison_is_what_pruning_and_evaluating_gives_and_leaves_the_model():
    model, before = fresh(), copy.deepcopy(fresh().state_dict())
    criteria = [pc.Magnitude(), pc.Random(), pc.Taylor()]
    found = pc.compare_criteria(model, DATA, criteria, (0.5, 0.9), at=0.9)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert found.dense == evaluate(fresh(), DATA.load())
    batch = tuple(map(torch.cat, zip(*DATA.load().drawn(512, pc.seeding.generator(0, "scoring", 0)), strict=True)))
    masks = []
    for criterion, name in zip(criteria, found.correlation.index, strict=True):
        other = fresh()
        masks.append(pc.prune_(other, 0.9, criterion, batch=batch))
        rows = found.table
        row = rows[(rows["criterion"] == name) & (rows["asked"] == 0.9)].iloc[0]
        m = evaluate(other, DATA.load())
        assert (row["accuracy"], row["low"], row["high"], row["examples"]) == (m.accuracy, *m.interval, m.n)
    assert found.overlap.to_numpy() == pytest.approx(overlaps(masks))
    again = pc.compare_criteria(model, DATA, criteria, (0.5, 0.9), at=0.9)
    pd.testing.assert_frame_equal(found.table, again.table)
    assert found.sentence == again.sentence and "No more in common than two random masks" in found.sentence


@pytest.mark.parametrize(
    ("scope", "more"),
    [("layer", {"granularity": pc.Neurons()}), ("sensitivity", {}), ("sensitivity", {"granularity": pc.Blocks()})],
)
def test_scopes_and_groups_go_too(scope, more):
    found = pc.compare_criteria(
        fresh(), DATA, [pc.Magnitude(), pc.Random()], (0.5,), at=0.5, scope=scope, examples=50, **more
    )
    assert (
        list(found.table["sparsity"]) == pytest.approx([0.5, 0.5], abs=0.03) and (found.table["examples"] == 50).all()
    )


@pytest.mark.parametrize(
    ("criteria", "settings", "sentence"),
    [
        ([pc.Magnitude()], {}, "at least 2"),
        ([pc.Magnitude(), pc.SynFlow()], {}, "in rounds"),
        ([pc.Magnitude(), pc.Wanda()], {"granularity": pc.Neurons()}, "Wanda"),
        ([pc.Magnitude(), pc.Random()], {"sparsities": (1.5,)}, "1.5"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(criteria, settings, sentence):
    with pytest.raises(pc.ConfigError, match=sentence):
        pc.compare_criteria(fresh(), DATA, criteria, **settings)


def test_equal_criteria_are_told_apart_by_their_settings():
    assert labels([pc.Magnitude(), pc.Taylor(), pc.Taylor(examples=64), pc.Magnitude()]) == [
        "Magnitude () 1", "Taylor, first order (examples 512)", "Taylor, first order (examples 64)", "Magnitude () 4",
    ]  # fmt: skip


def test_the_sentences_say_where_nothing_is_shown():
    names = ["A", "B", "C"]
    rho = pd.DataFrame([[1, 0.95, 0], [0.95, 1, 0.1], [0, 0.1, 1]], names, names)
    both = pd.DataFrame([[1, 0.8, 0.06], [0.8, 1, 0.3], [0.06, 0.3, 1]], names, names)
    assert agreement_findings(rho, both, 0.05) == [
        "Nearly one order of the weights: A and B (ρ 0.95, overlap 80\u00a0%).",
        "No more in common than two random masks would have (5\u00a0%): A and C.",
    ]
    assert "No two order the weights nearly alike; closest are A and B" in agreement_findings(rho * 0.5, both, 0)[0]

    def row(name: str, accuracy: float) -> dict[str, object]:
        return {"criterion": name, "asked": 0.9, "accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}

    assert "no difference is shown" in curve_sentence(pd.DataFrame([row("A", 0.9), row("B", 0.85)]))
    clear = curve_sentence(pd.DataFrame([row("A", 0.9), row("B", 0.85), row("C", 0.3)]))
    assert clear == "At 90 % removed A keeps 90.0 %, C 30.0 %; B cannot be told from the best."
    assert curve_sentence(pd.DataFrame([row("A", 0.9)])) == ""
