"""What every test may count on: one thread, a home of its own, and a sentence where something is missing."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports the engine: no test may touch the person's own runs, and no number may depend on the machine.
_SCRATCH = tempfile.mkdtemp(prefix="prune-lab-tests-")
os.environ["PRUNE_LAB_HOME"] = _SCRATCH
for _name in ("STORE", "FILES", "SCHEDULER"):
    os.environ.pop(f"PRUNE_LAB_{_name}", None)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["PRUNE_LAB_PUBLISH"] = "off"  # but where that is what is tested
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from xdist.scheduler import LoadScopeScheduling  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # tests import lab_services and lab_processes by name
pytest.register_assert_rewrite("lab_services", "lab_processes")
from lab_services import IN_CI, bucket, postgres, s3  # noqa: E402, F401

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

torch.set_num_threads(1)
# no deadline: the machine is shared; the same examples everywhere, so that a red test can be run again
hypothesis.settings.register_profile("lab", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("lab")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_SCRATCH, ignore_errors=True)


# --- a home, data, a browser -----------------------------------------------------------------------------------------
@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PRUNE_LAB_HOME: store, checkpoints and engine files of this test alone."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("PRUNE_LAB_HOME", str(folder))
    monkeypatch.delenv("PRUNE_LAB_STORE", raising=False)
    return folder


@pytest.fixture
def mnist_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds ``MNIST/raw``, set as PRUNE_LAB_DATA; skips, saying why, where the files are not there."""
    folder = find_mnist()
    if folder is None:
        pytest.skip("MNIST's files are neither in PRUNE_LAB_DATA nor in ../shared/data: set PRUNE_LAB_DATA to run this")
    monkeypatch.setenv("PRUNE_LAB_DATA", str(folder))
    return folder


def find_mnist() -> Path | None:
    """The first of PRUNE_LAB_DATA and ../shared/data (seen from the repository) with all four files of MNIST."""
    named = os.environ.get("PRUNE_LAB_DATA")
    for folder in ([Path(named)] if named else []) + [ROOT.parent / "shared" / "data"]:
        raw = folder / "MNIST" / "raw"
        if all((raw / name).is_file() or (raw / f"{name}.gz").is_file() for name in MNIST_FILES):
            return folder
    return None


if (_found := find_mnist()) is not None:
    os.environ["PRUNE_LAB_DATA"] = str(_found)  # for the engines and servers that tests start


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser. Without one: skips on a person's machine, fails where CI is set."""
    path = find_chromium()
    if path is None:
        why = "no Chromium: install it (Debian: apt-get install chromium) or set PRUNE_LAB_CHROMIUM"
        pytest.fail(why) if IN_CI else pytest.skip(why)
    return path


def find_chromium() -> str | None:
    """PRUNE_LAB_CHROMIUM, or the first browser of that kind on the PATH."""
    named = os.environ.get("PRUNE_LAB_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    return next((path for path in map(shutil.which, CHROMIUM_NAMES) if path), None)


# --- markers ---------------------------------------------------------------------------------------------------------
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "mnist_root" in fixtures:
            item.add_marker("mnist")
        if "chromium" in fixtures:
            item.add_marker("browser")


class ByFile(LoadScopeScheduling):
    """A file stays in one process, where fixtures of a module are made once; so do folders with one engine.

    By node ids: the groups of xdist 3.8 are lost on the way with pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in ("tests/jobs", "tests/lessons") if file.startswith(f"{folder}/")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and find_chromium() is None:
        why = "no Chromium: install it (Debian: apt-get install chromium) or set PRUNE_LAB_CHROMIUM"
        pytest.fail(why, pytrace=False) if IN_CI else pytest.skip(why)


_MAIN = sys.modules["__main__"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    # a page that a test ran has put itself in its place, and every process that is spawned later would run that page
    sys.modules["__main__"] = _MAIN


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for what in ("Chromium", "PostgreSQL", "nginx"):
        if n := sum(f"no {what}" in why for why in skipped):
            terminalreporter.write_sep("!", f"{n} TESTS DID NOT RUN: no {what} here", red=True, bold=True)
