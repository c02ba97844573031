"""Schedules: values worked by hand, and what all of them keep."""

from __future__ import annotations

import pytest

from prune_core.errors import ConfigError
from prune_core.formulas import share
from prune_core.pruning import Cubic, Iterative, Linear, OneShot, Schedule

ENTRIES = list(Schedule.registry)


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def schedule(request) -> Schedule:
    return request.param.cls()


def test_cubic_by_hand():
    s = Cubic(final=0.8, start=0, stop=100)
    # 0.8 - 0.8·(1 - t/100)³: at 50 an eighth of 0.8 is missing, at 75 a 64th, at 20 0.8·0.512
    assert [s(t) for t in (0, 20, 50, 75, 100, 500)] == pytest.approx([0, 0.3904, 0.7, 0.7875, 0.8, 0.8])
    assert s(100) == 0.8


def test_cubic_from_an_initial_share_and_in_strides():
    s = Cubic(final=0.9, start=10, stop=20, every=5, initial=0.1)
    # one half of the way at 15: 0.9 - 0.8/8
    assert [s(t) for t in (9, 10, 14, 15, 19, 20)] == pytest.approx([0, 0.1, 0.1, 0.8, 0.8, 0.9])
    assert [t for t in range(30) if s.changes_at(t)] == [10, 15, 20]


def test_cubic_always_ends_at_stop():
    s = Cubic(final=0.9, start=0, stop=10, every=4)
    assert [t for t in range(20) if s.changes_at(t)] == [0, 4, 8, 10] and s(10) == 0.9


def test_linear_by_hand():
    s = Linear(final=0.8, start=10, stop=50, every=10, initial=0.2)
    # of the way from 0.2 to 0.8 a quarter is made with every tenth step
    assert [s(t) for t in (9, 10, 19, 20, 30, 49, 50, 99)] == pytest.approx([0, 0.2, 0.2, 0.35, 0.5, 0.65, 0.8, 0.8])
    assert [t for t in range(60) if s.changes_at(t)] == [10, 20, 30, 40, 50]


def test_iterative_by_hand():
    s = Iterative(final=0.875, rounds=3, first=10, between=5)
    # an eighth stays: each of three rounds removes half of what is left
    assert [s(t) for t in (9, 10, 14, 15, 20, 99)] == pytest.approx([0, 0.5, 0.5, 0.75, 0.875, 0.875])
    assert [t for t in range(60) if s.changes_at(t)] == [10, 15, 20] and s.end == 20 and s(20) == 0.875


def test_twenty_per_cent_a_round_is_the_published_ladder():
    # Frankle & Carbin 2019: 20 % a round leaves 51.2, 21.0, 13.4 and 3.5 % after 3, 7, 9 and 15 rounds
    s = Iterative(final=1 - 0.8**15, rounds=15, first=0, between=1)
    assert [round(100 * (1 - s(k - 1)), 1) for k in (3, 7, 9, 15)] == [51.2, 21.0, 13.4, 3.5]


def test_one_shot_by_hand():
    s = OneShot(final=0.6, at=3)
    assert [s(t) for t in (0, 2, 3, 4)] == [0, 0, 0.6, 0.6]
    assert [t for t in range(9) if s.changes_at(t)] == [3]


def test_it_never_falls_and_ends_at_its_final(schedule):
    values = [schedule(t) for t in range(schedule.end + 50)]
    assert values == sorted(values) and values[0] >= 0 and values[schedule.end] == values[-1] == schedule.final


def test_it_moves_only_where_it_says(schedule):
    for t in range(1, schedule.end + 50):
        assert schedule(t) == schedule(t - 1) or schedule.changes_at(t)
    assert schedule.changes_at(schedule.end) and not any(schedule.changes_at(schedule.end + t) for t in range(1, 50))


def test_it_is_pure(schedule):
    there = [schedule(t) for t in range(400)]
    back = [schedule(t) for t in reversed(range(400))]
    assert there == back[::-1]


def test_its_end_can_be_moved_in_mid_run(schedule):
    moved = schedule.with_final(0.5)
    assert moved(moved.end) == 0.5 and type(moved) is type(schedule) and schedule.final == 0.9
    for bad in (1, -0.1, float("nan"), "most"):
        with pytest.raises(ConfigError, match="final must be a"):
            schedule.with_final(bad)


def test_it_can_be_written_down_and_read_back(schedule):
    assert Schedule.model_validate(schedule.model_dump()) == schedule


def test_people_can_read_what_it_is(schedule):
    entry = Schedule.registry[schedule.kind]
    assert entry.label and entry.formula and entry.reference and entry.summary.endswith(".")


def test_its_formula_comes_out_at_its_sparsity_at_any_step(schedule):
    for step in {0, 1, schedule.end // 2, schedule.end - 1, schedule.end, schedule.end + 9} - {-1}:
        pieces = schedule.filled(step)
        assert share(schedule(step)) in pieces[-1], step
        assert all(p.count("{") == p.count("}") for p in pieces)


def test_the_cubic_formula_by_hand():
    # at 62 the last removal was at 60: x = 1 - 60/100 = 0.4, 0.8 - 0.8·0.064 = 0.7488
    assert Cubic(final=0.8, start=0, stop=100, every=20).filled(62) == (
        r"x = 1 - \frac{60 - 0}{100 - 0} = 0.4",
        r"s_{62} = 0.8 + (0 - 0.8) \cdot 0.4^3 = 74.9\,\%",
    )


def test_contradictions_are_said():
    with pytest.raises(ConfigError, match=r"stop must be greater than start \(50\), got 50"):
        Cubic(start=50, stop=50)
    with pytest.raises(ConfigError, match=r"initial must be at most final \(0.5\), got 0.6"):
        Cubic(final=0.5, initial=0.6)
    with pytest.raises(ConfigError, match=r"Linear.stop must be greater than start \(7\), got 3"):
        Linear(start=7, stop=3)
    with pytest.raises(ConfigError, match=r"must end by step 10,000,000, got 9,990,000,100"):
        Iterative(rounds=1000, between=10_000_000)
