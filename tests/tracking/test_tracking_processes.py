"""Processes that want the same run, and what becomes of runs whose process is dead."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lab_processes import Other

import prune_core as pc
from prune_core.tracking import Store

Rows = Callable[[int, int], np.ndarray]
FORK = multiprocessing.get_context("fork")  # the child has imported already


@pytest.fixture
def store(either: Store) -> Store:
    """An empty store of either kind."""
    return either


# Not forked from here: a process with threads may leave a child waiting for ever for a lock that one of them held.
TAKER = """
import os, sys
from prune_core.tracking import Store, new_token
store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for run_id in sys.argv[2:]:
    if store.claim(run_id, new_token(), str(os.getpid())):
        print(run_id, os.getpid())
"""
MAKER = """
import sys
import prune_core as pc
from prune_core.tracking import Store
sys.stdin.readline()
store, experiment = Store(sys.argv[1]), pc.Experiment.from_json(sys.argv[2])
print(*[store.create(experiment) for _ in range(10)])
"""


def test_of_processes_that_race_for_a_run_one_gets_it(store: Store, experiment: pc.Experiment) -> None:
    ids = [store.create(experiment) for _ in range(12)]
    racers = [Other(TAKER, store.url, *ids) for _ in range(2)]
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 2
    for racer in racers:
        racer.go()
    found = [tuple(line.split()) for racer in racers for line in racer.said().splitlines()]
    assert sorted(run_id for run_id, _ in found) == sorted(ids)  # each exactly once
    assert {(r.id, r.worker) for r in map(store.run, ids)} == set(found)
    assert all(r.status == "running" for r in map(store.run, ids))


def test_processes_that_open_an_empty_store_at_once_share_it(address: str, experiment: pc.Experiment) -> None:
    makers = [Other(MAKER, address, experiment.to_json()) for _ in range(2)]
    for maker in makers:
        maker.go()
    ids = [run_id for maker in makers for run_id in maker.said().split()]
    assert len(set(ids)) == 20
    store = Store(address)
    assert set(store.runs()["id"]) == set(ids)
    store.close()


def claim_and_hang(url: str, run_id: str, ready: Any) -> None:
    Store(url).claim(run_id, "token", "doomed")
    ready.set()
    time.sleep(600)


def test_a_run_whose_process_was_killed_is_found_dead(store: Store, experiment: pc.Experiment) -> None:
    run_id, ready = store.create(experiment), FORK.Event()
    mine = store.create(experiment)
    assert store.claim(mine, "mine")
    victim = FORK.Process(target=claim_and_hang, args=(store.url, run_id, ready))
    victim.start()
    assert ready.wait(60)
    pid = victim.pid
    assert pid is not None
    assert store.run(run_id).pid == pid
    assert store.reap() == []
    os.kill(pid, signal.SIGKILL)
    victim.join(60)
    time.sleep(0.06)
    store.heartbeat(mine, "mine")
    assert store.reap(older_than_s=0.05) == [run_id]  # one look is enough where the process is seen to be gone
    record = store.run(run_id)
    assert record.status == "failed"
    assert record.reason == (
        f"the process that ran it (doomed, {pid}) stopped answering at step 0; retry goes on from the start"
    )
    assert store.to_publish() == [run_id]
    assert store.run(mine).status == "running"
    store.heartbeat(mine, "mine")
    assert store.reap(older_than_s=0.05) == []


def test_a_run_whose_heartbeat_stands_still_is_found_dead(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed  # of this very process: that it lives is not enough
    store.append(run_id, token, steps=rows(1, 7), checkpoint=5)
    assert store.reap(older_than_s=0.1) == []
    time.sleep(0.15)
    store.heartbeat(run_id, token)
    assert store.reap(older_than_s=0.1) == []  # it moved between two looks
    time.sleep(0.15)
    assert store.reap(older_than_s=0.1) == [run_id]
    record = store.run(run_id)
    assert record.status == "failed"
    assert record.reason.endswith("stopped answering at step 7; retry goes on from the checkpoint at step 5")
    with pytest.raises(pc.OwnershipLostError):
        store.heartbeat(run_id, token)


def test_a_clock_that_was_set_ends_no_run(
    store: Store, claimed: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    assert store.reap() == []
    assert store.reap() == []
    assert store.run(claimed[0]).status == "running"
