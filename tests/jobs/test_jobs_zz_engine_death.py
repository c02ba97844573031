"""Ends the engine again and again: named so that it comes last, and every test of it leaves an engine behind."""

from __future__ import annotations

from collections.abc import Callable

import psutil
from lab_test_tools import engine_pid, family, until

import prune_core as pc
from prune_core.jobs import Lab

Make = Callable[..., pc.Experiment]


def test_a_killed_engine_loses_nothing_that_waits_and_no_sweep(lab, started, experiment: Make):
    running = lab.launch(experiment())
    until(lambda: running.status == "running", "it trains")
    sweep = lab.sweep(experiment(steps=61), {"train.seed": range(3)}, where="workers")
    until(lambda: sweep.record.running == 1, "one of its members trains beside it")
    waiting = lab.launch(experiment(steps=2))
    processes = family(engine_pid(started.home))
    processes[0].kill()
    psutil.wait_procs(processes, timeout=10)
    assert not any(p.is_running() for p in processes), "workers end with their engine"
    # the same Lab finds out by itself, starts a new engine, and that takes over the queue
    assert len(lab.workers()) == 3
    assert waiting.wait(60) == "finished"
    assert running.wait(60) == "failed", "it may be tried again by whoever started it"
    assert running.record.reason
    assert sweep.wait(90) == "finished", "a sweep goes on by itself"
    assert sweep.results()["status"].tolist() == ["finished"] * 3
    assert len(lab.runs().query(f"parent == '{sweep.id}'")) == 3, "none was started twice"


def test_shutdown_leaves_no_process_and_says_so_in_the_runs(lab, started, experiment: Make):
    handle = lab.launch(experiment())
    until(lambda: handle.status == "running", "it trains")
    processes = family(engine_pid(started.home))
    lab.shutdown()
    assert not any(p.is_running() for p in processes)
    assert handle.status == "failed"
    assert "shut down" in handle.record.reason
    Lab(home=started.home, workers=2).attach().close()
