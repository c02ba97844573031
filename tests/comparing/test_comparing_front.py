"""The Pareto front and the knee against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_core.comparing import knee, pareto_front
from prune_core.errors import ConfigError

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30)  # small numbers, so that many tie


def beaten(point: tuple[float, float], other: tuple[float, float]) -> bool:
    return other[0] >= point[0] and other[1] <= point[1] and other != point


@given(POINTS)
def test_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    gain, cost = [p[0] for p in points], [p[1] for p in points]
    want = [not any(beaten(p, q) for q in points) for p in points]
    assert pareto_front(gain, cost).tolist() == want


def test_front_by_hand_with_ties_and_what_is_not_known() -> None:
    gain = [0.9, 0.9, 0.8, 0.8, 0.95, math.nan, 0.99]
    cost = [10, 10, 5, 7, 20, 1, math.nan]
    assert pareto_front(gain, cost).tolist() == [True, True, True, False, True, False, False]
    assert pareto_front([], []).tolist() == []


def test_front_of_ten_thousand_is_quick_and_climbs() -> None:
    rng = np.random.default_rng(0)
    gain, cost = rng.random(10_000), rng.random(10_000)
    front = pareto_front(gain, cost)
    order = np.argsort(cost[front])
    assert (np.diff(gain[front][order]) > 0).all()


def test_lengths_must_agree() -> None:
    with pytest.raises(ConfigError, match="one length"):
        pareto_front([1, 2], [1])
    with pytest.raises(ConfigError, match="one length"):
        knee([1, 2], [1])
    with pytest.raises(ConfigError, match="'sideways'"):
        knee([1], [1], direction="sideways")  # type: ignore[arg-type]


# --- knee -------------------------------------------------------------------------------------------------------------
SHARES = np.array([0.0, 0.5, 0.8, 0.9, 0.95, 0.98])


def test_knee_of_an_accuracy_curve() -> None:
    found = knee(SHARES, [0.97, 0.97, 0.965, 0.95, 0.85, 0.4])
    assert found is not None and (found.index, found.x, found.y) == (3, 0.9, 0.95)
    assert 0.1 < found.bend <= 1


def test_knee_of_the_papers_own_example() -> None:
    # Satopaa et al. 2011, figure 2: y = -1 / (x + 0.1) + 5 on ten points from 0 to 1 bends at x = 0.22
    x = np.linspace(0, 1, 10)
    found = knee(x, -1 / (x + 0.1) + 5, direction="increasing")
    assert found is not None and found.x == pytest.approx(0.22, abs=0.01)


def test_order_and_what_is_not_known_do_not_matter() -> None:
    y = np.array([0.97, 0.97, 0.965, 0.95, 0.85, 0.4])
    turn = np.array([3, 0, 5, 1, 4, 2])
    found = knee([*SHARES[turn], 0.6, math.nan], [*y[turn], math.nan, 0.5])
    assert found is not None and (found.index, found.x) == (0, 0.9)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (1 - SHARES, "a straight line"),
        (SHARES * 0 + 0.5, "level"),
        ((1 - SHARES) ** 3, "it bends the other way"),
        (1 - SHARES + 0.02 * np.sin(3 * SHARES), "nearly straight"),
    ],
)
def test_none_where_there_is_none(y: np.ndarray, why: str) -> None:
    assert knee(SHARES, y) is None, why


def test_none_of_few_points_and_within_the_noise() -> None:
    assert knee([0, 0.5, 0.9], [0.97, 0.96, 0.5]) is None
    y = 0.95 + 0.01 * np.array([1, 1, 0.9, 0.8, 0.4, 0.0])
    assert knee(SHARES, y, noise=0.02) is None
    assert knee(SHARES, y, noise=0.005) is not None
