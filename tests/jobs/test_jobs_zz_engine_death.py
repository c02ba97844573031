"""Ends the engine again and again: named so that it comes last, and every test of it leaves an engine behind."""

from __future__ import annotations

from collections.abc import Callable

import psutil
from lab_test_tools import engine_pid, family, until

import prune_core as pc
from prune_core.jobs import Lab

Make = Callable[..., pc.Experiment]


def test_a_killed_engine_loses_nothing_that_waits(lab, started, experiment: Make):
    running = [lab.launch(experiment()) for _ in range(2)]
    until(lambda: all(h.status == "running" for h in running), "both train")
    waiting = lab.launch(experiment(steps=2))
    processes = family(engine_pid(started.home))
    processes[0].kill()
    psutil.wait_procs(processes, timeout=10)
    assert not any(p.is_running() for p in processes), "workers end with their engine"
    # the same Lab finds out by itself, starts a new engine, and that takes over the queue
    assert len(lab.workers()) == 3
    assert waiting.wait(60) == "finished"
    assert {h.wait(60) for h in running} == {"failed"}
    assert all(h.record.reason for h in running)


def test_shutdown_leaves_no_process_and_says_so_in_the_runs(lab, started, experiment: Make):
    handle = lab.launch(experiment())
    until(lambda: handle.status == "running", "it trains")
    processes = family(engine_pid(started.home))
    lab.shutdown()
    assert not any(p.is_running() for p in processes)
    assert handle.status == "failed"
    assert "shut down" in handle.record.reason
    Lab(home=started.home, workers=2).attach().close()
