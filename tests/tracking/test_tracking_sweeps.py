"""Sweeps in the store: nothing is run twice, nothing is lost, and what is there already is used."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, select

import prune_core as pc
from prune_core.events import ENDED
from prune_core.tracking import Store, Sweeps, checkpoint_path, execute, results, schema
from prune_core.training import load_checkpoint


@pytest.fixture
def sweeps(store: Store) -> Sweeps:
    return Sweeps(store)


@pytest.fixture
def asked(experiment: pc.Experiment) -> pc.Sweep:
    """Four members that differ in how they prune after 30 steps, two a seed."""
    base = experiment.with_(prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=40)))
    return pc.Sweep(experiment=base, space=pc.Grid(vary={"train.seed": [0, 1], "prune.schedule.final": [0.5, 0.8]}))


def give_next(sweeps: Sweeps, sweep_id: str, n: int = 1) -> list[str]:
    record = sweeps.record(sweep_id)
    given = []
    for place, changes in sweeps.next(sweep_id, n):
        exp = record.sweep.member(changes)
        given += sweeps.give(record, [(place, exp if place >= 0 else exp.with_(prune=None))])
    return given


def settle(sweeps: Sweeps, sweep_id: str) -> None:
    ended = [one for one in sweeps.given(sweep_id) if one.status in ENDED]
    sweeps.settle(sweep_id, {one.place: {"state": "done"} for one in ended})


def run_all(sweeps: Sweeps, sweep_id: str) -> None:
    while given := give_next(sweeps, sweep_id):
        for run_id in given:
            if sweeps.store.run(run_id).status == "queued":
                execute(sweeps.store, run_id)
        settle(sweeps, sweep_id)


def test_shared_training_runs_first_and_members_begin_with_it(sweeps, asked):
    sweep_id = sweeps.create(asked, name="trial", owner="ann")
    trunks = give_next(sweeps, sweep_id, 10)
    assert len(trunks) == 2, "until these are over nothing else has its turn"
    for run_id in trunks:
        assert execute(sweeps.store, run_id) == "stopped"
        record = sweeps.store.run(run_id)
        assert (record.step, record.experiment.prune, record.parent) == (39, None, sweep_id)
        assert "2 runs have in common" in record.name
    settle(sweeps, sweep_id)
    run_all(sweeps, sweep_id)
    assert sweeps.close(sweep_id)
    found = results(sweeps.store.database, sweeps.record(sweep_id))
    assert found["status"].tolist() == ["finished"] * 4
    for row, member in zip(found.to_dict("records"), asked.members(), strict=True):
        alone = pc.run(member.experiment, progress=False)
        assert (row["accuracy"], row["loss"], row["sparsity"]) == (alone.accuracy, alone.loss, alone.sparsity)
        steps = sweeps.store.history(row["run"])
        assert steps["loss"].tolist() == alone.history["loss"].tolist(), "its history has the shared steps too"
        assert row["kept_bytes"] < row["dense_bytes"]
        assert row["kept_macs"] < row["macs"]
        assert row["latency_low_ms"] <= row["latency_ms"] <= row["latency_high_ms"]
    _histograms_are_those_of_a_run_alone(sweeps.store, found["run"][0], asked.members()[0].experiment)
    assert sweeps.cost(sweep_id) == {
        "steps_asked": 240, "steps_made": 2 * 39 + 4 * 21, "steps_shared": 4 * 39, "shared_runs": 2,
        "steps_reused": 0, "steps_stopped": 0, "seconds": pytest.approx(sweeps.cost(sweep_id)["seconds"]),
    }  # fmt: skip


def _histograms_are_those_of_a_run_alone(store: Store, run_id: str, experiment: pc.Experiment) -> None:
    """Those of shared steps are kept once, with the training that is shared, and are found from each member."""
    alone = {event.step: event for event in pc.stream(experiment) if isinstance(event, pc.SnapshotEvent)}
    c = schema.snapshots.c
    with store.database.reading() as connection:
        kept = set(connection.execute(select(c.step).where(c.run_id == run_id)).scalars())
    assert 20 in alone and 20 not in kept, "nothing is copied"
    assert set(alone) <= set(store.snapshot_steps(run_id))
    for step, event in alone.items():
        assert store.snapshot(run_id, step).to_bytes() == event.to_bytes()
    assert store.snapshot(run_id).step == 60 and store.snapshot(run_id, 50) is None
    with store.database.writing() as connection:  # as it is while the first of its own has yet to come
        connection.execute(delete(schema.snapshots).where(c.run_id == run_id))
    delta = store.live(run_id)
    assert delta.snapshot is not None and delta.snapshot.step <= 39
    assert store.live(run_id, delta.cursor).snapshot is None


def test_shared_training_that_is_queued_again_still_ends_where_it_is_to(sweeps, asked):
    sweep_id = sweeps.create(asked)
    run_id = give_next(sweeps, sweep_id)[0]
    assert sweeps.store.claim(run_id, "token", "a worker")
    sweeps.store.fail(run_id, "failed", "its process died")
    assert sweeps.again(sweep_id, sweeps.given(sweep_id)[0].place, run_id)
    assert execute(sweeps.store, run_id) == "stopped"
    assert sweeps.store.run(run_id).step == 39


def test_without_its_shared_state_a_member_does_it_all_and_comes_to_the_same(sweeps, asked):
    sweep_id = sweeps.create(asked)
    for run_id in give_next(sweeps, sweep_id, 2):
        execute(sweeps.store, run_id)
        checkpoint_path(run_id).unlink()
    settle(sweeps, sweep_id)
    run_id = give_next(sweeps, sweep_id)[0]
    assert execute(sweeps.store, run_id) == "finished"
    assert sweeps.store.run(run_id).accuracy == pc.run(asked.members()[0].experiment, progress=False).accuracy


def test_what_is_in_the_store_is_not_run_again_but_not_if_somebody_intervened(sweeps, asked):
    store, exps = sweeps.store, [m.experiment for m in asked.members()]
    clean, changed = store.create(exps[0]), store.create(exps[1])
    store.send(changed, "set:lr", 0.01)
    assert [execute(store, run_id) for run_id in (clean, changed)] == ["finished", "finished"]
    sweep_id = sweeps.create(asked.replace(share=False))
    run_all(sweeps, sweep_id)
    found = results(store.database, sweeps.record(sweep_id))
    assert found["origin"].tolist() == ["reused", "run", "run", "run"]
    assert found["run"][0] == clean
    assert changed not in set(found["run"])
    again = sweeps.create(asked)
    run_all(sweeps, again)
    assert sweeps.record(again).reused == 4
    assert sweeps.cost(again)["steps_made"] == 0, "no shared training either"


def test_equal_members_are_one_run(sweeps, experiment):
    asked = pc.Sweep(experiment=experiment, space=[{"train.lr": 0.1}, {"train.lr": 0.1}])
    sweep_id = sweeps.create(asked)
    first, second = give_next(sweeps, sweep_id, 2)
    assert first == second
    execute(sweeps.store, first)
    settle(sweeps, sweep_id)
    assert results(sweeps.store.database, sweeps.record(sweep_id))["origin"].tolist() == ["run", "reused"]


def test_two_that_give_at_once_start_nothing_twice(sweeps, experiment, home):
    asked = pc.Sweep(experiment=experiment, space={"train.seed": range(12)}, share=False)
    sweep_id = sweeps.create(asked)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: give_next(Sweeps(Store()), sweep_id, 12), range(4)))
    given = sweeps.given(sweep_id)
    assert [one.place for one in given] == list(range(12))
    children = sweeps.store.runs()
    assert len(children) == len({one.run_id for one in given}) == 12
    assert set(children["parent"]) == {sweep_id}


def test_stop_keeps_what_is_done_and_resume_does_the_rest(sweeps, asked):
    store = sweeps.store
    sweep_id = sweeps.create(asked.replace(share=False))
    execute(store, give_next(sweeps, sweep_id)[0])
    settle(sweeps, sweep_id)
    running, _waiting = give_next(sweeps, sweep_id, 2)
    assert store.claim(running, "token", "a worker")
    sweeps.stop(sweep_id)
    assert sweeps.record(sweep_id).status == "stopped"
    assert [one.run_id for one in sweeps.given(sweep_id)] == [running], "what waited does so no more"
    assert [c.command for c in store.controls(running)] == ["stop"]
    assert len(store.runs()) == 2, "a run that never began is gone"
    assert give_next(sweeps, sweep_id) == [""], "a stopped sweep gives nothing out"
    store.finish(running, "token", "stopped", "its sweep was stopped", {})
    sweeps.settle(sweep_id, {1: {"state": "waiting"}})
    sweeps.resume(sweep_id)
    assert give_next(sweeps, sweep_id) == [running], "it goes on from where it was stopped"
    assert (store.run(running).status, store.run(running).attempt) == ("queued", 2)
    assert store.controls(running) == []
    execute(store, running)
    settle(sweeps, sweep_id)
    run_all(sweeps, sweep_id)
    assert sweeps.close(sweep_id)
    assert sweeps.record(sweep_id).done == 4
    with pytest.raises(pc.StoreError, match="nothing of it is left"):
        sweeps.resume(sweep_id)


def test_members_are_published_only_when_asked_for(sweeps, experiment):
    sweep_id = sweeps.create(pc.Sweep(experiment=experiment, space={"train.seed": [0]}))
    run_id = give_next(sweeps, sweep_id)[0]
    alone = sweeps.store.create(experiment)
    for one in (run_id, alone):
        execute(sweeps.store, one)
    assert sweeps.store.to_publish() == [alone]


def test_a_sweep_that_runs_is_not_deleted_and_an_unknown_one_is_named(sweeps, asked):
    sweep_id = sweeps.create(asked)
    with pytest.raises(pc.StoreError, match="stop it before"):
        sweeps.delete(sweep_id)
    sweeps.stop(sweep_id)
    sweeps.delete(sweep_id)
    assert sweeps.list() == []
    with pytest.raises(pc.RunNotFoundError, match="no sweep 'nothing'"):
        sweeps.record("nothing")


def test_a_part_without_a_name_is_refused_before_anything_is_written(sweeps, experiment):
    class Mine(pc.Criterion):
        """Not registered."""

    asked = pc.Sweep(experiment=experiment, space=pc.Grid(vary={"prune.criterion": [Mine()]}))
    with pytest.raises(pc.ConfigError):
        sweeps.create(asked)
    assert sweeps.list() == []


def test_a_run_may_be_told_to_stop_after_a_step(store, experiment):
    run_id = store.create(experiment)
    store.send(run_id, "stop", 25)
    assert execute(store, run_id) == "stopped"
    record = store.run(run_id)
    assert (record.step, record.reason) == (25, "all 25 steps made that were asked for")
    assert load_checkpoint(checkpoint_path(run_id)).step == 25
    store.requeue(run_id)
    assert execute(store, run_id) == "finished"
    assert store.run(run_id).accuracy == pc.run(experiment, progress=False).accuracy


def test_a_store_from_before_there_were_sweeps_is_brought_up_to_date(home: Path):
    store = Store()
    store.close()
    path = home / "lab.db"
    with sqlite3.connect(path) as old:
        for name in ("lab_sweeps", "lab_members", "lab_trials"):
            old.execute(f"DROP TABLE {name}")
        for name in ("lab_runs_digest", "lab_runs_parent", "lab_runs_turn"):
            old.execute(f"DROP INDEX {name}")
        old.execute("UPDATE lab_about SET value = 1 WHERE key = 'schema'")
    assert Sweeps(Store()).list() == []
    with sqlite3.connect(path) as new:
        names = {row[0] for row in new.execute("SELECT name FROM sqlite_master")}
        assert {"lab_sweeps", "lab_members", "lab_trials"} <= names
        assert {"lab_runs_digest", "lab_runs_parent", "lab_runs_turn"} <= names
        assert new.execute("SELECT value FROM lab_about").fetchone() == (3,)


def test_a_store_from_before_sweeps_were_published_keeps_its_sweeps(home: Path, experiment: pc.Experiment):
    store = Store()
    sweep_id = Sweeps(store).create(pc.Sweep(experiment=experiment, space={"train.seed": [0, 1]}), name="old")
    store.close()
    with sqlite3.connect(home / "lab.db") as old:
        for name in ("published", "publishing"):
            old.execute(f"ALTER TABLE lab_sweeps DROP COLUMN {name}")
        old.execute("UPDATE lab_about SET value = 2 WHERE key = 'schema'")
    (record,) = Sweeps(Store()).list()
    assert (record.id, record.name, record.published, record.publishing) == (sweep_id, "old", "", "")
    Sweeps(Store()).set_publishing(sweep_id, "waiting")  # and it opens once more
    assert Sweeps(Store()).record(sweep_id).to_be_published


def test_results_name_parts_and_keep_numbers(sweeps, experiment):
    vary = {"clip": [None, pc.ValueClip(threshold=0.5)], "train.lr": [0.1, 1]}
    sweep_id = sweeps.create(pc.Sweep(experiment=experiment, space=vary))
    found = results(sweeps.store.database, sweeps.record(sweep_id))
    assert found["status"].tolist() == ["waiting"] * 4
    assert found["clip"].tolist()[2:] == ["value 0.5"] * 2
    assert found["train.lr"].tolist() == [0.1, 1.0] * 2
    assert found["accuracy"].isna().all()
    assert json.loads(found.to_json(orient="records"))[0]["run"] == ""
