"""Sample runs: a finished run in one small file, shown beside the store's own runs without writing to the store.

The file is a zip: ``run.json`` (the run, evaluations, interventions, masks), ``steps.npy`` (n, 8), ``snapshots/STEP``
and ``checkpoint.pt`` with the weights alone. The folder ``race`` holds the lanes of one. Read back, each sample
is a small store in memory with the same tables.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import threading
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select

from prune_core.errors import LabError, StoreError
from prune_core.tracking import files, schema, writing
from prune_core.tracking.database import Database
from prune_core.tracking.home import checkpoint_path
from prune_core.tracking.reading import SAMPLE, Reader
from prune_core.training import load_checkpoint
from prune_core.training.checkpoint import Checkpoint, save_checkpoint

FORMAT = 1
FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples"
PRIVATE = ("owner", "worker", "machine", "pid", "pid_started", "token", "parent", "published", "publishing", "deleted")

log = logging.getLogger(__name__)


class Samples:
    """The sample runs that ship with the lab, read when the first one is asked for, and those added later."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder, self._lock = folder, threading.RLock()
        self._databases: dict[str, Database] | None = None
        self._race: list[str] = []

    def ids(self) -> list[str]:
        """Ids of all single runs there are, those that ship first, by name."""
        return [run_id for run_id in self._all() if run_id not in self._race]

    def race_ids(self) -> list[str]:
        """Ids of the lanes of the race that ships with the lab."""
        self._all()
        return self._race

    @contextlib.contextmanager
    def reading(self, run_id: str) -> Iterator[Connection]:
        """A transaction on the sample of that id; on an empty store where there is none."""
        database = self._all().get(run_id) or _empty()
        with database.reading() as connection:
            yield connection

    def add(self, path: Path) -> str:
        """Read the sample in a file; one of the same name is replaced. Raises StoreError where it is none."""
        run_id, database = _read(path)
        with self._lock:
            self._databases = {**self._all(), run_id: database}
        return run_id

    def _all(self) -> dict[str, Database]:
        with self._lock:
            if self._databases is None:
                self._databases = {}
                for path in (*sorted(self._folder.glob("*.zip")), *sorted(self._folder.glob("race/*.zip"))):
                    try:
                        run_id = self.add(path)
                        self._race += [run_id] * (path.parent != self._folder)
                    except LabError as error:  # one bad file must not hide the others, or the store
                        log.warning("%s", error)
            return self._databases


def export_sample(store: Reader, run_id: str, path: Path | str, name: str = "") -> Path:
    """Write an ended run as a sample; its id will be "sample-" and the file's stem. Who ran it where is left out."""
    path = Path(path)
    record = store.run(run_id)
    if not record.has_ended:
        raise StoreError(f"Run {run_id} is {record.status}: only a run that has ended can be a sample.")
    with store._reading(run_id) as connection:
        run = dict(connection.execute(select(schema.runs).where(schema.runs.c.id == run_id)).mappings().one())
        content = {
            "format": FORMAT,
            "run": {k: v for k, v in run.items() if k not in PRIVATE} | ({"name": name} if name else {}),
            "evals": _plain(connection, schema.evals, run_id),
            "marks": [{**mark, "sender": ""} for mark in _plain(connection, schema.marks, run_id)],
            "masks": [json.loads(row["data"]) for row in _plain(connection, schema.masks, run_id)],
        }
        steps = store._rows(connection, run_id, 0).astype("<f4")
        pictures = _plain(connection, schema.snapshots, run_id)
    array = io.BytesIO()
    np.save(array, steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("run.json", json.dumps(content))
        file.writestr("steps.npy", array.getvalue())
        for row in pictures:
            file.writestr(f"snapshots/{row['step']}", bytes(row["data"]), zipfile.ZIP_STORED)
        if (state := files.checkpoint(run_id)).is_file():
            full, slim = load_checkpoint(state), partial.with_suffix(".weights")
            save_checkpoint(slim, Checkpoint(full.digest, full.step, full.model_state, full.masks, {}))
            file.write(slim, "checkpoint.pt")
            slim.unlink()
    partial.replace(path)
    return path


def _plain(connection: Connection, table: Any, run_id: str) -> list[dict[str, Any]]:
    rows = connection.execute(select(table).where(table.c.run_id == run_id).order_by(*table.primary_key.columns))
    return [{k: v for k, v in row.items() if k not in ("id", "run_id")} for row in rows.mappings()]


def _read(path: Path) -> tuple[str, Database]:
    run_id = SAMPLE + re.sub(r"[^a-z0-9-]+", "-", path.stem.lower()).strip("-")[:40]
    try:
        with zipfile.ZipFile(path) as file:
            content = json.loads(file.read("run.json"))
            if content["format"] != FORMAT:
                raise StoreError(f"The sample run {path} has format {content['format']}; this version reads {FORMAT}.")
            steps = np.load(io.BytesIO(file.read("steps.npy")), allow_pickle=False)
            pictures = {int(n.split("/")[1]): file.read(n) for n in file.namelist() if n.startswith("snapshots/")}
            weights = file.read("checkpoint.pt") if "checkpoint.pt" in file.namelist() else None
        database = _empty()
        with database.writing() as connection:
            run = {k: v for k, v in content["run"].items() if k in schema.runs.c}
            connection.execute(insert(schema.runs).values(**{**run, "id": run_id}))
            writing.add_steps(connection, run_id, steps.astype(float))
            for table in (schema.evals, schema.marks):
                if rows := content[table.name.removeprefix("lab_")]:
                    connection.execute(insert(table), [{**row, "run_id": run_id} for row in rows])
            for table, data in (
                (schema.snapshots, pictures),
                (schema.masks, {m["step"]: json.dumps(m).encode() for m in content["masks"]}),
            ):
                if data:
                    rows = [{"run_id": run_id, "step": step, "data": picture} for step, picture in data.items()]
                    connection.execute(insert(table), rows)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is not a sample run of this lab: {' '.join(str(error).split())[:160]}.") from None
    if weights is not None:
        _unpack(path, weights, checkpoint_path(run_id))
    return run_id, database


def _unpack(path: Path, weights: bytes, target: Path) -> None:
    """Put a sample's weights where those of a run are looked for, unless they are there already."""
    with contextlib.suppress(OSError):  # a home that is read-only: the run can be looked at, only not pruned further
        if target.is_file() and target.stat().st_mtime >= path.stat().st_mtime:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
        partial.write_bytes(weights)
        partial.replace(target)


def _empty() -> Database:
    """A store of its own in memory, shared by the threads of this process."""
    return Database(f"sqlite:///file:{uuid.uuid4().hex}?mode=memory&cache=shared&uri=true")
