"""One engine for all tests of jobs, started by two processes at once that are then killed."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab_processes import Other

import prune_core as pc
from prune_core.jobs import Lab
from prune_core.models import ModelSource

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # workers import lab_test_parts by its name, so tests do too
STARTER = """
import sys, time
from prune_core.jobs import Lab
lab = Lab(home=sys.argv[1], workers=2).attach()
print(lab._engine.pid, flush=True)
time.sleep(600)
"""


# outlives even a SIGKILL of the tests: reads until they are gone, then ends the engine of that home
JANITOR = """
import json, pathlib, psutil, sys
sys.stdin.read()
try:
    engine = psutil.Process(json.loads(pathlib.Path(sys.argv[1], "engine.json").read_text())["pid"])
except (OSError, psutil.Error):
    sys.exit()
for process in [engine, *engine.children(recursive=True)]:
    process.kill()
"""


@dataclass
class Started:
    """The engine's home, and what the two processes that started it said and were."""

    home: Path
    pids: list[int]
    starters: list[int]


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A running engine whose two starters are dead. Everything of it is ended in the end, whatever happens."""
    home = tmp_path_factory.mktemp("lab")
    before = {name: os.environ.get(name) for name in ("PRUNE_LAB_PLUGINS", "PYTHONPATH")}
    os.environ["PRUNE_LAB_PLUGINS"] = "lab_test_parts"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), before["PYTHONPATH"]]))
    janitor = subprocess.Popen([sys.executable, "-c", JANITOR, str(home)], stdin=subprocess.PIPE)
    starters = [Other(STARTER, str(home)) for _ in range(2)]
    try:
        pids = [int(starter.stdout.readline()) for starter in starters]
        for starter in starters:
            starter.kill()
        yield Started(home, pids, [starter.pid for starter in starters])
    finally:
        for starter in starters:
            starter.kill()
        Lab(home=home).shutdown()
        janitor.communicate()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture
def parts() -> Iterator[dict[str, type[ModelSource]]]:
    """The models of ``lab_test_parts``, registered for this test alone: others go through all that is."""
    module = importlib.import_module("lab_test_parts")
    found: dict[str, type[ModelSource]] = {"test_slow": module.Slow, "test_failing": module.Failing}
    for name, cls in found.items():
        ModelSource.registry.add(cls, name, label=name, summary="", formula="", reference="")
    yield found
    for name in found:
        ModelSource.registry._entries.pop(name, None)


@pytest.fixture
def lab(started: Started, parts: object) -> Iterator[Lab]:
    """A Lab on the shared engine; what a test leaves running is stopped."""
    with Lab(home=started.home, workers=2) as lab:
        yield lab
        active = list(lab.runs(statuses=["queued", "running", "paused"])["id"])
        for run_id in active:
            with contextlib.suppress(pc.LabError):
                lab.handle(run_id).cancel()
        for run_id in active:
            lab.handle(run_id).wait(30)


@pytest.fixture
def experiment(parts: dict[str, type[ModelSource]]) -> Callable[..., pc.Experiment]:
    """Makes experiments with the models of ``lab_test_parts``: 20 ms a step unless told otherwise."""

    def make(steps: int = 10_000, model: str = "test_slow", **fields: object) -> pc.Experiment:
        train = pc.Training(steps=steps, eval_every=10_000, snapshot_every=10_000)
        return pc.Experiment(data=pc.Digits(), model=parts[model](**fields), train=train)

    return make
