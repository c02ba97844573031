"""The process that publishes: one a store, at low priority, without secrets for all to see, and nothing is left out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import prune_core as pc
from prune_core.tracking import Store, home, publish_again
from prune_core.tracking import publishing as module
from prune_core.tracking.publishing import publisher_lock, start_publisher

pytestmark = pytest.mark.slow


@pytest.fixture
def ended(store: Store, experiment: pc.Experiment) -> str:
    run_id = store.create(experiment)
    assert store.claim(run_id, "token")
    store.finish(run_id, "token", "finished", "", {})
    return run_id


def test_off_means_off(store: Store, ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **more: pytest.fail("a process was started"))
    monkeypatch.setenv("PRUNE_LAB_PUBLISH", "Off")
    publish_again(store, ended)
    assert store.run(ended).publishing == "waiting"


def test_one_process_a_store_at_low_priority_and_without_secrets_for_all_to_see(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNE_LAB_PUBLISH", "")
    real, started = subprocess.Popen, []

    def popen(arguments: list[str], **options: Any) -> Any:
        script = "import os; open('seen', 'w').write(str(os.getpgid(0) == os.getpid())); import time; time.sleep(30)"
        started.append((arguments, options, process := real([sys.executable, "-c", script], **options, cwd=home())))
        return process

    monkeypatch.setattr(subprocess, "Popen", popen)
    with publisher_lock(store.url).acquire(timeout=0):
        start_publisher(store)
    assert started == []  # one holds the lock: it looks once more when it has let go
    assert Path(publisher_lock(store.url).lock_file).exists()  # left behind: only holding it counts
    with publisher_lock("another store").acquire(timeout=0):
        start_publisher(store)
    (arguments, options, process) = started[0]
    try:
        assert arguments[1:] == ["-P", "-m", "prune_core.tracking.publisher"]
        assert options["env"]["PRUNE_LAB_STORE"] == store.url
        assert options["env"]["PRUNE_LAB_HOME"] == str(home())
        assert options["env"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
        seen = home() / "seen"
        began = time.monotonic()
        while not (seen.exists() and seen.read_text()):
            assert time.monotonic() - began < 60
            time.sleep(0.02)
        assert seen.read_text() == "True"  # a session of its own: it outlives whoever started it
    finally:
        process.kill()
    waiting = [t for t in threading.enumerate() if getattr(t, "_target", None) == process.wait]
    for thread in waiting:
        thread.join(30)
    assert process.returncode is not None  # no zombie is left of it


def test_the_publisher_publishes_what_waits_and_what_comes_while_it_leaves(
    store: Store, ended: str, experiment: pc.Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prune_core.tracking import publisher

    monkeypatch.setattr(publisher, "LINGER_S", 0.05)
    monkeypatch.setattr(publisher, "POLL_S", 0.01)
    late = store.create(experiment)
    assert store.claim(late, "token")
    store.finish(late, "token", "finished", "", {})
    monkeypatch.setattr(module, "_publish", lambda store, record, address: f"mlflow-{record.id}")
    whole, calls = publisher._publish_until_quiet, []

    def and_then_another_ends(store: Store) -> None:
        whole(store)
        if not calls:
            store.set_publishing(late, "waiting")
        calls.append(store.to_publish())

    monkeypatch.setattr(publisher, "_publish_until_quiet", and_then_another_ends)
    store.set_publishing(ended, "waiting")
    with publisher_lock(store.url).acquire(timeout=0):
        publisher.main()
    assert calls == []  # another process is at it
    publisher.main()
    assert calls == [[late], []]
    for run_id in (ended, late):
        assert store.run(run_id).published == f"mlflow-{run_id}"
