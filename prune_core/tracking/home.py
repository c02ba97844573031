"""Where the lab keeps its files: the live store, checkpoints, what MLflow gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAME = "prune-lab"


def home() -> Path:
    """The lab's folder: ``PRUNE_LAB_HOME``, by default in the user's own data folder. It need not exist yet."""
    if named := os.environ.get("PRUNE_LAB_HOME"):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / NAME
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / NAME
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / NAME


def store_url() -> str:
    """The live store's address: ``PRUNE_LAB_STORE``, by default an SQLite file in ``home``."""
    return os.environ.get("PRUNE_LAB_STORE") or f"sqlite:///{home()}/lab.db"


def run_folder(run_id: str) -> Path:
    """Where the files of a run belong."""
    return home() / "runs" / run_id


def checkpoint_path(run_id: str) -> Path:
    """Where the state of a run is kept."""
    return run_folder(run_id) / "checkpoint.pt"
