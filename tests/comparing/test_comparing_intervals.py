"""Means, intervals and differences against scipy and against textbooks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prune_core.comparing import differences, holm, mean_by, mean_interval
from prune_core.errors import ConfigError

SOME = st.lists(st.floats(-100, 100), min_size=2, max_size=12).filter(lambda v: np.std(v) > 1e-3)


@given(SOME)
def test_interval_is_scipys(values: list[float]) -> None:
    got = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (got.mean, got.low, got.high) == pytest.approx((np.mean(values), low, high))


def test_interval_by_hand() -> None:
    # of 1, 2, 3: s = 1, standard error 1/√3 = 0.57735, t(0.975, 2) = 4.30265, so half the width is 2.48414
    got = mean_interval([1, 2, 3, math.nan])
    assert (got.n, got.mean) == (3, 2.0)
    assert got.high - got.mean == pytest.approx(2.48414, abs=1e-5)


def test_below_two_values_there_is_no_interval() -> None:
    one, none = mean_interval([0.5]), mean_interval([])
    assert (one.mean, one.n) == (0.5, 1) and math.isnan(one.low) and math.isnan(one.high)
    assert none.n == 0 and math.isnan(none.mean)
    same = mean_interval([0.5, 0.5])
    assert (same.low, same.high) == (0.5, 0.5)


def test_means_by_group_are_those_of_each_group() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"way": ["a", "b", None] * 20, "share": [0.5, 0.5, 0.9] * 20, "accuracy": rng.random(60)})
    table.loc[3, "accuracy"] = np.nan
    found = mean_by(table, ["way", "share"], "accuracy")
    assert found["n"].tolist() == [19, 20, 20]
    for row in found.to_dict("records"):
        way = table["way"].isna() if pd.isna(row["way"]) else table["way"] == row["way"]
        want = mean_interval(table.loc[way, "accuracy"])
        assert (row["mean"], row["low"], row["high"]) == pytest.approx((want.mean, want.low, want.high))


# --- differences ------------------------------------------------------------------------------------------------------
def runs(**ways: list[float]) -> pd.DataFrame:
    """A row a run; seeds count from 0."""
    rows = [(name, 0.9, seed, a) for name, accuracies in ways.items() for seed, a in enumerate(accuracies)]
    return pd.DataFrame(rows, columns=["method", "sparsity", "seed", "accuracy"])


def test_pairs_of_seeds_are_tested_as_scipy_does() -> None:
    a, b = [0.95, 0.93, 0.96, 0.94], [0.91, 0.92, 0.93, 0.90]
    (found,) = differences(runs(a=a, b=b))
    want = stats.ttest_rel(a, b)
    assert found.paired and (found.a, found.b, found.n_a) == ("a", "b", 4)
    assert found.p == pytest.approx(want.pvalue) == found.p_holm
    assert (found.low, found.high) == pytest.approx(tuple(want.confidence_interval()))


def test_without_shared_seeds_it_is_welch() -> None:
    a, b = [0.95, 0.93, 0.96], [0.91, 0.85, 0.93, 0.90]
    table = runs(a=a, b=b)
    table.loc[table["method"] == "b", "seed"] += 100
    (found,) = differences(table)
    want = stats.ttest_ind(a, b, equal_var=False)
    assert not found.paired and (found.n_a, found.n_b) == (3, 4)
    assert found.p == pytest.approx(want.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(want.confidence_interval()))


def test_seeds_that_only_one_has_are_left_out() -> None:
    (found,) = differences(runs(a=[0.9, 0.8, 0.7], b=[0.85, 0.79]))
    assert (found.n_a, found.n_b) == (2, 2)
    assert found.difference == pytest.approx(0.03)


def test_holm_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 times 3, 2, 1: 0.03, 0.04, 0.04
    assert holm([0.04, math.nan, 0.01, 0.02])[::2] == pytest.approx([0.04, 0.03])
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_never_lowers_p_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, corrected, strict=True))
    assert [c for _, c in sorted(zip(p, corrected, strict=True))] == sorted(corrected)


def test_the_correction_is_over_all_pairs_and_costs() -> None:
    rng = np.random.default_rng(1)
    parts = [
        runs(**{w: list(0.9 + 0.01 * rng.standard_normal(5)) for w in "abc"}).assign(sparsity=s) for s in (0.5, 0.9)
    ]
    found = differences(pd.concat(parts))
    assert len(found) == 6
    assert [d.p_holm for d in found] == pytest.approx(holm([d.p for d in found]))


def test_sentences() -> None:
    better = differences(runs(LAMP=[0.95, 0.94, 0.96, 0.95], random=[0.60, 0.58, 0.62, 0.61]))[0].sentence
    assert better.startswith("LAMP is better than random by 3") and "points (95 %; p < 0.0001, 4 seeds)" in better
    alike = differences(runs(a=[0.95, 0.94, 0.96], b=[0.94, 0.95, 0.96]))[0]
    assert not alike.shown and "no difference shown (p = 1.00, 3 seeds)" in alike.sentence
    assert "one seed says nothing" in differences(runs(a=[0.9], b=[0.5]))[0].sentence
    stiff = differences(runs(a=[0.9, 0.8], b=[0.89, 0.79]))[0]
    assert not stiff.shown and "no spread" in stiff.sentence
    same = differences(runs(a=[0.9, 0.8], b=[0.9, 0.8]))[0]
    assert "no difference shown (p = 1.00, 2 seeds)" in same.sentence


def test_equal_methods_are_rarely_called_different() -> None:
    rng = np.random.default_rng(7)
    # 5 % of 400 is 20, and 20 ± 3 · √19 are no surprise; the seeds are fixed
    wrong = sum(differences(runs(a=list(rng.normal(size=4)), b=list(rng.normal(size=4))))[0].shown for _ in range(400))
    assert wrong <= 33


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ConfigError, match="no column 'price'"):
        differences(runs(a=[1.0]), cost="price")
