"""Where a local engine says that it is there: a file in the lab's home, and whether to believe it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

import prune_core
from prune_core.tracking import files

PLUGINS = "PRUNE_LAB_PLUGINS"
"""Environment variable: modules, separated by commas, that every worker imports so that it knows people's own parts."""


@dataclass(frozen=True)
class EngineFile:
    """What a running engine writes to ``engine.json``. ``keys`` opens its connections: the file is its owner's only."""

    address: str
    pid: int
    started: float  # the process's own, seconds since the epoch: a pid alone may be another process by now
    store: str
    version: str
    changed: float
    plugins: dict[str, float]
    keys: dict[str, Any]

    @property
    def current(self) -> bool:
        """Whether it can do what this process asks: the same versions, sources not older, and every plug-in."""
        mine = plugins()
        return (
            self.version == version()
            and self.changed >= changed()
            and all(self.plugins.get(name) == when for name, when in mine.items())
        )

    @property
    def alive(self) -> bool:
        """Whether the process that wrote this still runs."""
        try:
            process = psutil.Process(self.pid)
            return bool(abs(process.create_time() - self.started) < 1 and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


class Place:
    """The engine's files in ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "engine.json"
        self.log = home / "engine.log"
        self.lock = home / "engine.lock"  # held by the engine for as long as it lives
        self.starting = home / "engine.starting.lock"  # held by whoever starts one

    def read(self) -> EngineFile | None:
        """The engine that runs here, or None. A file left behind by a killed engine counts as none."""
        try:
            found = EngineFile(**json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.alive else None

    def write(self, engine: EngineFile) -> None:
        """Announce ``engine``: whole or not at all, readable by this user only."""
        partial = self.file.with_name(f".engine.json.{os.getpid()}")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(engine), file)
        partial.replace(self.file)

    def remove(self, pid: int) -> None:
        """Take back what process ``pid`` announced."""
        try:
            if json.loads(self.file.read_text(encoding="utf-8"))["pid"] == pid:
                self.file.unlink(missing_ok=True)
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def last_words(self, lines: int = 1) -> str:
        """The end of the engine's log, for a sentence that says why it did not start."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def version() -> str:
    """What a client and its workers must have in common."""
    torch = sys.modules.get("torch")
    return f"prune_core {prune_core.__version__}, Python {platform.python_version()}, torch {torch.__version__}"  # type: ignore[union-attr]


def about() -> dict[str, str]:
    """What all machines of a cluster must have in common: versions, and where files of runs are."""
    return {"has": version(), "files": files.shared()}


def plugins() -> dict[str, float]:
    """The modules named in PRUNE_LAB_PLUGINS, and when each was changed last (0 where it is not found)."""
    names = [name.strip() for name in os.environ.get(PLUGINS, "").split(",") if name.strip()]
    return {name: _changed(name) for name in names}


def _changed(module: str) -> float:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return 0.0
    return Path(spec.origin).stat().st_mtime if spec and spec.origin and Path(spec.origin).is_file() else 0.0


# as this process imported them: what is on disk later is another matter
_CHANGED = max(path.stat().st_mtime for path in Path(prune_core.__file__).parent.rglob("*.py"))


def changed() -> float:
    """When the lab's sources, as they are in this process, were changed last."""
    return _CHANGED
