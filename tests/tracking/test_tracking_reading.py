"""Readers ask for what is new and get that, of one moment; what is left of long runs keeps its extremes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import prune_core as pc
from prune_core.events import EvalEvent, InterventionEvent
from prune_core.tracking import Cursor, Store
from prune_core.tracking.thinning import extremes, superfluous

Rows = Callable[[int, int], np.ndarray]


def picture(step: int) -> tuple[int, bytes]:
    return step, pc.SnapshotEvent(step, ()).to_bytes()


def look(step: int) -> EvalEvent:
    return EvalEvent(step, step / 100, 1.0, 10, (1.0,))


# --- what is new -----------------------------------------------------------------------------------------------------
def test_a_reader_gets_everything_once(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    first = store.live(run_id)
    assert first.restart
    assert len(first.rows) == 0
    assert first.snapshot is None
    assert first.record.status == "running"
    mark = InterventionEvent(4, "lr", 0.5)
    store.append(run_id, token, steps=rows(1, 4), evals=[look(4)], snapshots=[picture(0), picture(4)], marks=[mark])
    second = store.live(run_id, first.cursor)
    assert not second.restart
    assert np.array_equal(second.rows, rows(1, 4))
    assert second.evals["step"].tolist() == second.marks["step"].tolist() == [4]
    assert second.snapshot is not None
    assert second.snapshot.step == 4  # the newest
    nothing = store.live(run_id, second.cursor)
    assert nothing.cursor == second.cursor
    assert len(nothing.rows) == len(nothing.evals) == len(nothing.marks) == 0
    assert nothing.snapshot is None
    store.append(run_id, token, steps=rows(5, 300), evals=[look(8)])
    third = store.live(run_id, second.cursor)
    assert np.array_equal(third.rows, rows(5, 300))
    assert third.evals["step"].tolist() == [8]
    assert np.array_equal(store.live(run_id, first.cursor).rows, rows(1, 300))
    assert np.array_equal(store.live(run_id, Cursor(attempt=1, step=298)).rows, rows(299, 300))


def test_whatever_the_flushes_a_reader_gets_every_step_once(
    store: Store, experiment: pc.Experiment, rows: Rows
) -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        run_id = store.create(experiment)
        assert store.claim(run_id, "token")
        cursor, got, last = Cursor(), [], 0
        while last < 1500:
            n = int(random.integers(0, 200))
            store.append(run_id, "token", steps=rows(last + 1, last + n))
            last += n
            if random.random() < 0.5:
                delta = store.live(run_id, cursor)
                got.append(delta.rows)
                cursor = delta.cursor
        got.append(store.live(run_id, cursor).rows)
        assert np.array_equal(np.concatenate(got), rows(1, last))


def test_a_reader_starts_afresh_when_steps_were_taken_back(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=rows(1, 20), evals=[look(10), look(20)], checkpoint=10)
    before = store.live(run_id)
    store.fail(run_id, "failed", "its process died")
    store.requeue(run_id)
    assert store.claim(run_id, "second")
    store.append(run_id, "second", steps=rows(11, 12), evals=[look(12)])
    after = store.live(run_id, before.cursor)
    assert after.restart
    assert np.array_equal(after.rows, rows(1, 12))
    assert after.evals["step"].tolist() == [10, 12]
    assert not store.live(run_id, after.cursor).restart


def test_an_evaluation_at_an_earlier_step_is_new_all_the_same(store: Store, claimed: tuple[str, str]) -> None:
    run_id, token = claimed
    store.append(run_id, token, evals=[look(10), look(20)])
    cursor = store.live(run_id).cursor
    store.append(run_id, token, evals=[EvalEvent(15, 0.9, 0.1, 99, ())])  # it diverged and fell back
    assert store.live(run_id, cursor).evals["step"].tolist() == [15]
    assert store.evals(run_id)["step"].tolist() == [10, 20, 15]
    assert store.evals(run_id, after=20)["step"].tolist() == [15]
    assert store.evals(run_id, after=12)["step"].tolist() == [20, 15]


def test_tables_can_be_narrowed(store: Store, experiment: pc.Experiment, claimed: tuple[str, str]) -> None:
    other = store.create(experiment, owner="bob")
    assert store.runs(owner="bob")["id"].tolist() == [other]
    assert store.runs(statuses=["running"])["id"].tolist() == [claimed[0]]
    assert store.runs(statuses=[]).empty
    assert store.runs(statuses=[]).dtypes.equals(store.runs().dtypes)  # an empty table has its types too


# --- what is kept of much --------------------------------------------------------------------------------------------
def test_snapshots_are_thinned_evenly_and_never_the_newest(store: Store, claimed: tuple[str, str]) -> None:
    run_id, token = claimed
    for step in range(0, 2000, 10):
        store.append(run_id, token, snapshots=[picture(step)])
    steps = store.snapshot_steps(run_id)
    assert 30 <= len(steps) <= 60
    assert (steps[0], steps[-1]) == (0, 1990)
    assert max(np.diff(steps)) <= 128
    assert store.snapshot(run_id, steps[3]).step == steps[3]  # type: ignore[union-attr]
    assert store.snapshot(run_id, 3) is None


@given(st.sets(st.integers(0, 10_000), min_size=1), st.integers(4, 80))
def test_few_enough_stay_the_first_and_the_newest_among_them(steps: set[int], limit: int) -> None:
    kept = sorted(steps - set(superfluous(steps, limit)))
    assert len(kept) <= max(limit, 1)
    assert kept[0] == min(steps)
    assert kept[-1] == max(steps)
    assert superfluous(kept, limit) == []  # twice is once


NUMBERS = st.floats(width=32, allow_infinity=False)


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 400), st.just(3)), elements=NUMBERS), st.integers(16, 90))
def test_a_thinned_history_keeps_peaks_of_every_column(values: np.ndarray, limit: int) -> None:
    rows = np.column_stack([np.arange(len(values), dtype=float), values])
    kept = extremes(rows, limit)
    assert len(kept) <= limit
    assert kept[0, 0] == 0
    assert kept[-1, 0] == len(rows) - 1
    assert (np.diff(kept[:, 0]) > 0).all()
    assert np.array_equal(kept, rows[kept[:, 0].astype(int)], equal_nan=True)
    for column in range(1, 4):
        if not np.isnan(rows[:, column]).all():
            assert np.nanmax(kept[:, column]) == np.nanmax(rows[:, column])
            assert np.nanmin(kept[:, column]) == np.nanmin(rows[:, column])


def test_a_peak_of_one_step_is_seen_among_many(store: Store, claimed: tuple[str, str]) -> None:
    run_id, token = claimed
    rows = np.ones((20_000, 8))
    rows[:, 0] = np.arange(1, 20_001)
    rows[12_344, 2] = 7.0
    store.append(run_id, token, steps=rows)
    thin = store.history(run_id, limit=500)
    assert len(thin) <= 500
    assert thin.loc[thin["grad_norm_before"] == 7, "step"].tolist() == [12_345]


def test_thousands_of_evaluations_are_written_at_once_and_the_same_look_replaces(
    store: Store, claimed: tuple[str, str]
) -> None:
    looks = [EvalEvent(step, 0.5, 1.0, 100, (0.5,)) for step in range(1, 3001)]
    store.append(*claimed, evals=looks)
    store.append(*claimed, evals=[EvalEvent(7, 0.9, 0.2, 100, (0.9,)), EvalEvent(7, 0.8, 0.3, 50, (0.8,))])
    found = store.evals(claimed[0])
    assert len(found) == 3001
    assert sorted(found[found["step"] == 7]["accuracy"]) == [0.8, 0.9]
