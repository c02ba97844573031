from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable

import psutil
import pytest
from distributed import Client, Security
from lab_test_tools import engine_pid, family, until

import prune_core as pc
from prune_core.jobs import Lab, place
from prune_core.jobs.engine import resources
from prune_core.jobs.local import ENVIRONMENT
from prune_core.jobs.place import Place

Make = Callable[..., pc.Experiment]


def test_two_starters_start_one_engine_which_survives_both(started):
    assert len(set(started.pids)) == 1
    assert not any(psutil.pid_exists(pid) for pid in started.starters)
    assert engine_pid(started.home) == started.pids[0]


@pytest.mark.skipif(os.name == "nt", reason="sessions are POSIX's")
def test_the_engine_has_a_session_of_its_own(started):
    assert os.getsid(started.pids[0]) == started.pids[0] != os.getsid(0)


def test_attaching_starts_nothing(lab, started):
    before = {p.pid for p in family(started.pids[0])}
    with Lab(home=started.home) as second:
        assert len(second.workers()) == 3
    assert {p.pid for p in family(started.pids[0])} == before


def test_workers_have_roles(lab):
    assert list(lab.workers()["role"]) == ["preview", "train", "train"]
    assert list(lab.workers()["name"]) == ["preview", "train-1", "train-2"]


def test_every_port_is_on_loopback(lab, started):
    listening = [c.laddr for p in family(started.pids[0]) for c in p.net_connections() if c.status == "LISTEN"]
    # scheduler, and a nanny and a worker for each of three: no web server among them
    assert len(listening) == 7
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_keys_are_their_owners_alone(started):
    assert stat.S_IMODE(Place(started.home).file.stat().st_mode) == 0o600


@pytest.mark.parametrize("scheme", ["tls", "tcp"])
def test_a_client_without_the_keys_is_refused(started, scheme):
    found = Place(started.home).read()
    assert found is not None
    with pytest.raises(OSError):
        Client(
            found.address.replace("tls", scheme),
            security=Security.temporary() if scheme == "tls" else None,
            timeout=2,
            set_as_default=False,
        )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_workers_keep_freed_memory_and_one_thread(lab):
    for pid in lab.workers()["pid"]:
        environment = psutil.Process(int(pid)).environ()
        assert {name: environment[name] for name in ENVIRONMENT} == ENVIRONMENT


def test_one_lab_serves_many_threads(lab):
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(len(lab.workers()))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [3] * 30


def test_another_store_needs_another_home(lab, started, tmp_path):
    with pytest.raises(pc.EngineError, match="works for the store"):
        Lab(home=started.home, store=f"sqlite:///{tmp_path}/other.db").attach()


def test_an_engine_of_another_version_that_is_busy_is_not_ended(lab, started, experiment: Make, monkeypatch):
    handle = lab.launch(experiment())
    until(lambda: handle.status == "running", "the run runs")
    monkeypatch.setattr(place, "version", lambda: "prune_core 99")
    with pytest.raises(pc.EngineError, match="prune_core 99"):
        Lab(home=started.home).attach()
    monkeypatch.undo()
    assert handle.status == "running"


def test_what_an_engine_left_behind_is_no_engine(tmp_path):
    here = Place(tmp_path)
    # this process is alive, but it is not the one that wrote the file
    left = place.EngineFile("tls://127.0.0.1:1", os.getpid(), 1.0, "sqlite://", place.version(), 0.0, {}, {})
    here.write(left)
    assert here.read() is None
    here.file.write_text("{half a fi")
    assert here.read() is None


@pytest.mark.parametrize("workers", [0, -1])
def test_a_lab_needs_a_worker(home, workers):
    with pytest.raises(pc.ConfigError, match="workers must be at least 1"):
        Lab(workers=workers)


def test_the_environments_number_of_workers_is_checked(home, monkeypatch):
    monkeypatch.setenv("PRUNE_LAB_WORKERS", "many")
    with pytest.raises(pc.ConfigError, match="PRUNE_LAB_WORKERS must be a whole number at least 1, got 'many'"):
        Lab()


def test_a_cluster_that_is_not_there_is_a_sentence(home):
    with pytest.raises(pc.EngineError, match=r"No Dask scheduler could be reached at tcp://127\.0\.0\.1:1"):
        Lab(scheduler="tcp://127.0.0.1:1").attach()


def test_workers_declare_a_gpu_where_there_is_one():
    assert [resources("train", gpus) for gpus in (0, 1, 4)] == [{"train": 1}, *[{"train": 1, "GPU": 1}] * 2]
    assert resources("preview", 4) == {"preview": 1}
