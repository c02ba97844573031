"""Who may write to a run, what a write leaves, whose turn it is, and how runs end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import prune_core as pc
from prune_core.events import EvalEvent, InterventionEvent, MaskEvent
from prune_core.tracking import ControlRecord, Store, checkpoint_path

Rows = Callable[[int, int], np.ndarray]
LOOK = EvalEvent(2, 0.5, 1.25, 100, (0.25, 0.75))
MARK = InterventionEvent(2, "lr", 0.05, "ann")
MASK = MaskEvent(2, 0.5, 0.5, {"layer": 10}, {"layer": 0.1})


@pytest.fixture
def store(either: Store) -> Store:
    """An empty store of either kind."""
    return either


def test_a_run_says_what_it_was_made_of(store: Store, experiment: pc.Experiment) -> None:
    before = time.time()
    run_id = store.create(experiment, name="two\nlines", owner="ann", priority=2, parent="0123")
    record = store.run(run_id)
    assert (record.status, record.name, record.owner, record.priority) == ("queued", "two lines", "ann", 2)
    assert (record.parent, record.attempt, record.step, record.steps) == ("0123", 1, 0, 60)
    assert record.experiment == experiment
    assert record.digest == experiment.digest
    assert before <= record.created <= time.time()
    assert record.started is record.ended is record.heartbeat is record.accuracy is None
    assert len(run_id) == 12
    assert int(run_id, 16)
    row = store.runs().iloc[0]
    assert (row["clip"], row["threshold"], row["target"], row["model"]) == ("value", 0.01, 0.8, "mlp")
    later = [store.create(experiment) for _ in range(20)]
    assert sorted(later) == later  # in the order of time
    assert min(later) > run_id
    assert store.runs(limit=3)["id"].tolist() == later[:-4:-1]


def test_a_token_is_worth_nothing_once_the_run_was_given_to_another(
    store: Store, claimed: tuple[str, str], rows: Rows
) -> None:
    run_id, old = claimed
    store.append(run_id, old, steps=rows(1, 3), checkpoint=3)
    assert not store.claim(run_id, "second")
    assert store.fail(run_id, "failed", "its process died")
    store.requeue(run_id)
    assert store.claim(run_id, "second", "worker 2")
    attempts: list[Callable[[], None]] = [
        lambda: store.heartbeat(run_id, old),
        lambda: store.set_status(run_id, old, "paused"),
        lambda: store.append(
            run_id, old, steps=rows(4, 9), evals=[LOOK], snapshots=[(4, b"x")], masks=[MASK], marks=[MARK]
        ),
        lambda: store.truncate(run_id, old, 0),
        lambda: store.finish(run_id, old, "finished", "", {"accuracy": 1.0}),
    ]
    before = store.run(run_id)
    for attempt in attempts:
        with pytest.raises(pc.OwnershipLostError, match=f"Run {run_id} was .* nothing is written"):
            attempt()
    assert store.run(run_id) == before
    assert store.history(run_id)["step"].tolist() == [1, 2, 3]
    assert store.evals(run_id).empty
    assert store.marks(run_id).empty
    assert store.masks(run_id).empty
    assert store.snapshot_steps(run_id) == []


def test_a_write_whose_answer_was_lost_may_be_made_again(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    for _ in range(2):
        store.append(run_id, token, steps=rows(1, 3), evals=[LOOK], snapshots=[(2, b"x")], masks=[MASK], marks=[MARK])
    store.append(run_id, token, steps=rows(2, 600))  # overlaps, and is longer than a chunk
    store.append(run_id, token, steps=rows(590, 601))
    history = store.history(run_id)
    assert np.array_equal(history.to_numpy(), rows(1, 601))
    assert len(store.evals(run_id)) == len(store.marks(run_id)) == len(store.masks(run_id)) == 1
    record = store.run(run_id)
    assert (record.step, record.accuracy, record.loss) == (601, 0.5, 1.25)
    assert record.sparsity == 601.875
    look, mark, mask = store.evals(run_id).iloc[0], store.marks(run_id).iloc[0], store.masks(run_id).iloc[0]
    assert (look["step"], look["n"], look["per_class"]) == (2, 100, (0.25, 0.75))
    assert (mark["step"], mark["field"], mark["value"], mark["sender"]) == (2, "lr", 0.05, "ann")
    assert mask["kept"] == {"layer": 10}
    assert store.history(run_id, after=598)["step"].tolist() == [599, 600, 601]


def test_values_that_are_no_numbers_come_back_as_they_were(store: Store, claimed: tuple[str, str]) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=[(1, float("nan"), float("inf"), 0, 0, 1, 0.1, 0)])
    store.append(run_id, token, evals=[EvalEvent(1, 0.1, float("nan"), 10, ())])
    row = store.history(run_id).iloc[0]
    assert np.isnan(row["loss"])
    assert np.isinf(row["grad_norm_before"])
    assert np.isnan(store.evals(run_id)["loss"].iloc[0])
    assert store.run(run_id).loss is None


def test_truncating_takes_back_what_came_later(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=rows(1, 250))
    store.append(run_id, token, steps=rows(251, 700))
    for step in (100, 260, 500):
        store.append(
            run_id,
            token,
            evals=[EvalEvent(step, step / 1000, 1.0, 10, ())],
            snapshots=[(step, b"x")],
            masks=[MaskEvent(step, 0.1, 0.1, {}, {})],
            marks=[InterventionEvent(step, "lr", 0.1)],
        )
    store.truncate(run_id, token, 700)  # nothing lies behind it
    assert store.run(run_id).attempt == 1
    store.truncate(run_id, token, 300)
    assert np.array_equal(store.history(run_id).to_numpy(), rows(1, 300))
    assert store.evals(run_id)["step"].tolist() == store.snapshot_steps(run_id) == [100, 260]
    assert store.masks(run_id)["step"].tolist() == [100, 260]
    assert store.marks(run_id)["step"].tolist() == [100, 260, 500]  # they happen again
    record = store.run(run_id)
    assert (record.step, record.attempt, record.accuracy) == (300, 2, 0.26)
    store.append(run_id, token, steps=rows(301, 302))
    assert np.array_equal(store.history(run_id).to_numpy(), rows(1, 302))


def test_a_run_ends_once(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    with pytest.raises(pc.ConfigError, match="'running'"):
        store.finish(run_id, token, "running", "", {})
    with pytest.raises(pc.ConfigError, match="'finished'"):
        store.set_status(run_id, token, "finished")
    store.set_status(run_id, token, "paused")
    store.append(run_id, token, steps=rows(1, 2), warning="careful")
    assert store.run(run_id).status == "paused"
    assert store.run(run_id).summary == {"warning": "careful"}
    store.finish(run_id, token, "finished", "all made", {"accuracy": 0.9, "loss": 0.1, "sparsity": 0.5, "n": 7})
    record = store.run(run_id)
    assert (record.status, record.reason, record.accuracy, record.sparsity) == ("finished", "all made", 0.9, 0.5)
    assert record.summary["n"] == 7
    assert record.has_ended
    assert record.ended is not None
    assert not store.fail(run_id, "failed", "too late")
    for late in (store.heartbeat, lambda *a: store.finish(*a, "failed", "", {})):
        with pytest.raises(pc.OwnershipLostError):
            late(run_id, token)
    assert store.run(run_id) == record
    assert store.wait(run_id, timeout=1) == "finished"


def test_a_run_is_queued_again_from_its_checkpoint(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=rows(1, 20), marks=[MARK], checkpoint=12)
    store.send(run_id, "stop")
    with pytest.raises(pc.StoreError, match="is running"):
        store.requeue(run_id)
    store.finish(run_id, token, "stopped", "on request", {})
    store.requeue(run_id)
    record = store.run(run_id)
    assert (record.status, record.attempt, record.step, record.reason) == ("queued", 2, 12, "")
    assert record.ended is record.heartbeat is None
    assert store.history(run_id)["step"].tolist() == list(range(1, 13))
    assert store.controls(run_id) == []  # the stop was for the attempt before
    assert len(store.marks(run_id)) == 1
    assert store.claim(run_id, "second")
    store.finish(run_id, "second", "finished", "", {})
    with pytest.raises(pc.StoreError, match="is finished: only failed, stopped, cancelled"):
        store.requeue(run_id)


# --- runs without a process ------------------------------------------------------------------------------------------
def test_the_queue_takes_turns_among_owners(store: Store, experiment: pc.Experiment) -> None:
    ann = [store.create(experiment, owner="ann") for _ in range(3)]
    bob = [store.create(experiment, owner="bob") for _ in range(2)]
    assert store.queue()["id"].tolist() == [ann[0], bob[0], ann[1], bob[1], ann[2]]
    assert store.queue()["position"].tolist() == [1, 2, 3, 4, 5]
    assert store.claim(ann[0], "x")  # she has one at work now: bob is next twice
    assert store.queue()["id"].tolist() == [bob[0], ann[1], bob[1], ann[2]]
    urgent = store.create(experiment, owner="ann", priority=1)
    assert store.queue()["id"].tolist()[0] == urgent
    assert store.live(urgent).position == 1
    assert store.live(ann[0]).position is None


def test_whose_turn_it_is_is_the_head_of_the_queue(store: Store, experiment: pc.Experiment) -> None:
    chance = random.Random(0)
    for _ in range(25):
        store.create(experiment, owner=chance.choice("abc"), priority=chance.choice([0, 0, 1]))
    for run_id in store.queue()["id"].tolist()[:3]:
        assert store.claim(run_id, "x")
    whole = store.queue()["id"].tolist()
    assert len(whole) == 22
    for n in (0, 1, 5, 22, 40):
        assert store.turn(n) == whole[:n]


def test_only_its_owner_cancels_a_run(store: Store, experiment: pc.Experiment) -> None:
    waiting, running = store.create(experiment, owner="ann"), store.create(experiment, owner="ann")
    assert store.claim(running, "token")
    for run_id in (waiting, running):
        with pytest.raises(pc.StoreError, match="belongs to ann"):
            store.cancel(run_id, "bob")
        store.cancel(run_id, "ann")
        assert store.run(run_id).status == "cancelled"
    assert store.queue().empty
    assert store.to_publish() == [running]  # what never began has nothing to publish
    assert not store.claim(waiting, "token")
    with pytest.raises(pc.OwnershipLostError):
        store.heartbeat(running, "token")


def test_controls_are_checked_and_kept_in_order(store: Store, claimed: tuple[str, str]) -> None:
    run_id, token = claimed
    first = store.send(run_id, "pause", sender="ann")
    store.send(run_id, "set:lr", 0.5)
    told = store.controls(run_id)
    assert [(t.command, t.value, t.sender) for t in told] == [("pause", None, "ann"), ("set:lr", 0.5, "")]
    assert store.controls(run_id, first) == told[1:]
    with pytest.raises(pc.UnknownNameError, match="did you mean 'pause'"):
        store.send(run_id, "paus")
    with pytest.raises(pc.ConfigError, match="set:lr needs a value"):
        store.send(run_id, "set:lr")
    store.finish(run_id, token, "finished", "", {})
    with pytest.raises(pc.StoreError, match=r"has ended \(finished\)"):
        store.send(run_id, "stop")


def test_who_listens_hears_all_that_many_send_at_once(store: Store, claimed: tuple[str, str]) -> None:
    run_id, _ = claimed
    with ThreadPoolExecutor(4) as senders:
        sent = [senders.submit(store.send, run_id, "step", i) for i in range(80)]
        heard: list[ControlRecord] = []
        over = False
        while not over:
            over = all(one.done() for one in sent)
            heard += store.controls(run_id, heard[-1].id if heard else 0)
    assert sorted(one.value or 0 for one in heard) == list(range(80))


def test_a_run_is_queued_again_once_by_two_who_want_it(store: Store, claimed: tuple[str, str]) -> None:
    run_id, token = claimed
    store.finish(run_id, token, "stopped", "", {})
    with ThreadPoolExecutor(2) as both, store._database.writing() as connection:
        if not store._database.lite:  # in SQLite the second cannot even begin
            store._run(connection, run_id, hold=True)
            waiting = [both.submit(store.requeue, run_id) for _ in range(2)]
            time.sleep(0.1)
            assert not any(one.done() for one in waiting)
        else:
            waiting = [both.submit(store.requeue, run_id) for _ in range(2)]
        connection.rollback()
        errors = [one.exception(30) for one in waiting]
    assert [type(e) for e in errors if e] == [pc.StoreError]
    assert store.run(run_id).attempt == 2


# --- deleting --------------------------------------------------------------------------------------------------------
def test_deleting_has_a_way_back_until_it_is_purged(store: Store, experiment: pc.Experiment, rows: Rows) -> None:
    kept, gone = [store.create(experiment, owner="ann") for _ in range(2)]
    for run_id in (kept, gone):
        assert store.claim(run_id, "token")
        store.append(run_id, "token", steps=rows(1, 5), marks=[MARK])
        checkpoint_path(run_id).parent.mkdir(parents=True)
        checkpoint_path(run_id).write_bytes(b"state")
    with pytest.raises(pc.StoreError, match="is running: stop it before"):
        store.delete([kept])
    for run_id in (kept, gone):
        store.finish(run_id, "token", "finished", "", {})
    with pytest.raises(pc.StoreError, match="belongs to ann"):
        store.delete([kept, gone], owner="bob")
    assert len(store.runs()) == 2
    store.delete([kept, gone], owner="ann")
    assert store.runs().empty
    assert set(store.runs(include_deleted=True)["id"]) == {kept, gone}
    store.restore([kept])
    assert store.runs()["id"].tolist() == [kept]
    assert store.purge(older_than_s=3600) == []
    assert store.purge() == [gone]
    with pytest.raises(pc.RunNotFoundError):
        store.run(gone)
    assert store.history(gone).empty
    assert not checkpoint_path(gone).exists()
    assert checkpoint_path(kept).read_bytes() == b"state"
    assert len(store.history(kept)) == 5


def test_a_checkpoint_that_another_run_starts_from_outlives_its_run(store: Store, experiment: pc.Experiment) -> None:
    first = store.create(experiment)
    path = checkpoint_path(first)
    pc.run(
        experiment.with_(**{"train.steps": 2, "train.eval_every": 2, "prune": None}), checkpoint=path, progress=False
    )
    store.create(experiment.with_(start=pc.FromCheckpoint(path=str(path))))
    assert store.claim(first, "token")
    store.finish(first, "token", "finished", "", {})
    store.delete([first])
    assert store.purge() == [first]
    assert path.is_file()


# --- what is not there -----------------------------------------------------------------------------------------------
def test_an_unknown_run_is_a_sentence(store: Store) -> None:
    asks: list[Callable[[], object]] = [
        lambda: store.run("nothing"),
        lambda: store.live("nothing"),
        lambda: store.send("nothing", "stop"),
        lambda: store.cancel("nothing", "ann"),
        lambda: store.requeue("nothing"),
        lambda: store.delete(["nothing"]),
        lambda: store.run("sample-nothing"),
    ]
    for ask in asks:
        with pytest.raises(pc.RunNotFoundError, match=r"There is no run '(sample-)?nothing'"):
            ask()
    assert not store.claim("nothing", "token")
    assert store.snapshot("nothing") is None
    for frame in (store.history("nothing"), store.evals("nothing"), store.marks("nothing"), store.masks("nothing")):
        assert isinstance(frame, pd.DataFrame)
        assert frame.empty
        assert "step" in frame


def test_waiting_for_a_run_has_an_end(store: Store, experiment: pc.Experiment) -> None:
    run_id = store.create(experiment)
    with pytest.raises(pc.StoreError, match=r"is still queued after 0\.1 s"):
        store.wait(run_id, timeout=0.1)


def test_a_run_goes_on_from_a_copy_of_a_checkpoint_of_the_same_experiment(
    store: Store, experiment: pc.Experiment, tmp_path: Path
) -> None:
    path = tmp_path / "c.pt"
    pc.run(experiment, checkpoint=path, progress=False)
    run_id = store.create(experiment, checkpoint=path)
    assert checkpoint_path(run_id).read_bytes() == path.read_bytes()
    with pytest.raises(pc.CheckpointError, match="belongs to experiment"):
        store.create(experiment.with_(**{"train.seed": 8}), checkpoint=path)
    assert len(store.runs()) == 1
