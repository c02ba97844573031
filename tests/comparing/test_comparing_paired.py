"""A mean against a bound: scipy's own one-sided t-test is the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from prune_core.comparing import against, mean_interval


@pytest.mark.parametrize("bound", [-0.3, 0.0, 0.2, 1.0])
def test_it_is_the_one_sided_t_test(bound):
    values = np.random.default_rng(0).normal(0.2, 0.5, 9)
    found = against(values, bound)
    assert found.p_above == pytest.approx(stats.ttest_1samp(values, bound, alternative="greater").pvalue)
    assert found.p_below == pytest.approx(stats.ttest_1samp(values, bound, alternative="less").pvalue)
    interval = mean_interval(values)
    assert (found.mean, found.low, found.high, found.n) == (interval.mean, interval.low, interval.high, 9)


def test_values_without_spread_are_what_they_are():
    found = against([1.0, 1.0, 1.0], 0.98)
    assert (found.mean, found.low, found.high, found.p_above, found.p_below) == (1.0, 1.0, 1.0, 0.0, 1.0)
    assert against([0.98, 0.98], 0.98).p_above == against([0.98, 0.98], 0.98).p_below == 1.0


def test_one_value_says_nothing_and_nan_is_left_out():
    one = against([0.5, math.nan], 0.0)
    assert one.n == 1 and math.isnan(one.p_above) and math.isnan(one.low)
    assert against([0.5, math.nan, 0.7], 0.0).n == 2
