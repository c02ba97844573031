"""Trials of claims in a store that servers share: begun once, measured by one at a time; SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import prune_core as pc
from prune_core.tracking import Store, Sweeps, Trials

SERVERS = 4
CLAIM = {"kind": "a_claim", "seeds": 2}


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request: pytest.FixtureRequest, home: Path) -> Iterator[list[Trials]]:
    """As many servers on one empty store, each with connections of its own."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{home}/lab.db" if sqlite else str(request.getfixturevalue("postgres").database())
    stores = [Store(url) for _ in range(SERVERS)]
    yield [Trials(store) for store in stores]
    for store in stores:
        store.close()


@pytest.fixture
def asked(experiment: pc.Experiment) -> pc.Sweep:
    """What a claim asks for: two runs."""
    return pc.Sweep(experiment=experiment, space={"train.seed": [1, 2]})


def at_once(servers: list[Trials], what: Callable[[Trials], Any]) -> list[Any]:
    """What each server answers when all are asked in the same moment."""
    start, found = threading.Barrier(len(servers)), [None] * len(servers)

    def ask(i: int) -> None:
        start.wait()
        found[i] = what(servers[i])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(servers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def finish(server: Trials, trial: str) -> None:
    """As if all its runs were done."""
    with server.store.database.writing() as connection:
        connection.execute(text("UPDATE lab_sweeps SET status = 'finished' WHERE id = :id"), {"id": trial})


def test_servers_that_begin_the_same_at_once_begin_it_once(servers: list[Trials], asked: pc.Sweep) -> None:
    ids = at_once(servers, lambda server: server.begin(CLAIM, asked))
    assert len(set(ids)) == 1 and ids[0]
    assert [row.id for row in servers[1].list()] == [record.id for record in servers[2].sweeps.list()] == ids[:1]
    assert servers[0].current(CLAIM, asked) == ids[0] and servers[0].current({**CLAIM, "seeds": 3}, asked) is None
    assert servers[3].record(ids[0]).claim == CLAIM


def test_of_servers_that_would_measure_at_once_one_does_and_only_it_may_say_what_came_out(
    servers: list[Trials], asked: pc.Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = servers[0].begin(CLAIM, asked)
    assert servers[0].take(trial) is None, "its runs are not done"
    finish(servers[0], trial)
    (token,) = [one for one in at_once(servers, lambda server: server.take(trial)) if one]
    assert servers[1].record(trial).measured_by and servers[2].beat(trial, token)
    with servers[0].store.database.writing() as connection:  # on another machine, heard of twenty seconds ago
        connection.execute(text("UPDATE lab_trials SET machine = 'another', heartbeat = heartbeat - 20"))
    assert [server.take(trial) for server in servers] == [None] * SERVERS, "twenty seconds are no death"
    with servers[0].store.database.writing() as connection:
        connection.execute(text("UPDATE lab_trials SET heartbeat = heartbeat - 20"))
    (newer,) = [one for one in at_once(servers, lambda server: server.take(trial)) if one]
    assert not servers[0].conclude(trial, token, "{}", None, "") and not servers[0].beat(trial, token)
    verdict = {"word": "holds", "sentence": "It does.", "on": ""}
    assert servers[3].conclude(trial, newer, "{}", verdict, "")
    found = servers[1].record(trial)
    assert (found.figures, found.verdict, found.problem, found.measured_by) == ("{}", verdict, "", "")
    assert servers[2].take(trial) is None, "it is done"
    servers[2].forget(trial)
    assert servers[0].record(trial).figures is None and servers[0].take(trial)


def test_what_was_stopped_deleted_or_not_judged_is_nobody_elses(servers: list[Trials], asked: pc.Sweep) -> None:
    one, other = servers[:2]
    ends: list[Callable[[str], Any]] = [
        lambda trial: one.sweeps.stop(trial),
        lambda trial: (one.sweeps.fail(trial, "for a test"), one.sweeps.delete(trial)),
        lambda trial: (finish(one, trial), one.conclude(trial, one.take(trial) or "", None, None, "No verdict.")),
    ]
    seen = []
    for end in ends:
        seen.append(other.begin(CLAIM, asked))
        end(seen[-1])
        assert other.current(CLAIM, asked) is None
    seen.append(other.begin(CLAIM, asked))
    assert len(set(seen)) == 4 and other.current(CLAIM, asked) == seen[-1]
    with pytest.raises(pc.StoreError, match="a sweep of another kind"):
        one.record(one.sweeps.create(asked))


def test_a_store_from_before_there_were_trials_is_brought_up_to_date(home: Path, asked: pc.Sweep) -> None:
    store = Store()
    sweep = Sweeps(store).create(asked)
    store.close()
    with sqlite3.connect(home / "lab.db") as old:
        old.execute("DROP TABLE lab_trials")
        old.execute("UPDATE lab_about SET value = 2 WHERE key = 'schema'")
    store = Store()
    assert Trials(store).list() == [] and Sweeps(store).record(sweep).total == 2
    assert Trials(store).begin(CLAIM, asked) != sweep
    store.close()
