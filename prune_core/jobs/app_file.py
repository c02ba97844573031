"""Where the lab's app can be reached: a server writes it into the home, so that a notebook can name a run's page."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import psutil

from prune_core.errors import EngineError

URL = "PRUNE_LAB_URL"
"""Environment variable: the address by which people reach the app, where a proxy stands before it."""


def announce(home: Path, address: str) -> None:
    """Say that this process serves the app at ``address``; a server that started later takes the place."""
    process = psutil.Process()
    content = {"address": address, "pid": process.pid, "started": process.create_time()}
    home.mkdir(parents=True, exist_ok=True)
    partial = home / f".app.json.{os.getpid()}"
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(home / "app.json")


def withdraw(home: Path) -> None:
    """Take back what this process announced."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if json.loads((home / "app.json").read_text(encoding="utf-8"))["pid"] == os.getpid():
            (home / "app.json").unlink()


def app_address(home: Path) -> str:
    """PRUNE_LAB_URL, or the address of the server that runs here. Raises EngineError, with what to do, without one."""
    if named := os.environ.get(URL, "").strip():
        return named.rstrip("/")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        found = json.loads((home / "app.json").read_text(encoding="utf-8"))
        if abs(psutil.Process(found["pid"]).create_time() - found["started"]) < 1:
            return str(found["address"])
    raise EngineError(
        f"No app serves the lab in {home}: start it with python -m prune_ui, or set {URL} to its address."
    )
