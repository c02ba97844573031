"""A run knows its page: from the server that says where it is, or from PRUNE_LAB_URL."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from prune_core.errors import EngineError
from prune_core.jobs.app_file import announce, app_address, withdraw
from prune_core.jobs.handle import RunHandle
from prune_core.tracking import Store


def test_a_run_names_its_page_while_a_server_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNE_LAB_URL", raising=False)
    run = RunHandle("abc", Store(), lambda: None, home)
    with pytest.raises(EngineError, match="python -m prune_ui"):
        _ = run.url
    announce(home, "http://localhost:8501")
    assert run.url == "http://localhost:8501/runs?runs=abc"
    monkeypatch.setenv("PRUNE_LAB_URL", "https://lab.example.org/")
    assert run.url == "https://lab.example.org/runs?runs=abc"
    monkeypatch.delenv("PRUNE_LAB_URL")
    withdraw(home)
    with pytest.raises(EngineError):
        _ = run.url


def test_what_a_killed_server_left_behind_counts_as_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNE_LAB_URL", raising=False)
    announce(home, "http://localhost:8501")
    found = json.loads((home / "app.json").read_text())
    (home / "app.json").write_text(json.dumps({**found, "started": found["started"] - 60}))
    with pytest.raises(EngineError):
        app_address(home)
    (home / "app.json").write_text("{")
    with pytest.raises(EngineError):
        app_address(home)
    withdraw(home)  # nothing of ours: it stays
    (home / "app.json").write_text(json.dumps({**found, "pid": os.getppid()}))
    withdraw(home)
    assert (home / "app.json").exists()
