"""The local engine on a PostgreSQL store: the same run as on SQLite, and a password that nobody else sees."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from lab_services import Postgres

import prune_core as pc
from prune_core.jobs import Lab
from prune_core.jobs.place import Place

pytestmark = pytest.mark.slow


def test_a_whole_run_on_postgresql(postgres: Postgres, home: Path) -> None:
    exp = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=40, device="cpu"))
    with Lab(store=postgres.database(), home=home, workers=1) as lab:
        try:
            handle = lab.launch(exp)
            assert handle.wait(60) == "finished"
            whole = pc.run(exp, progress=False)
            assert handle.history()["loss"].tolist() == whole.history["loss"].astype("float32").tolist()
            assert handle.record.accuracy == whole.accuracy
            engine = psutil.Process(Place(home).read().pid)
            seen = [" ".join(process.cmdline()) for process in (engine, *engine.children(recursive=True))]
            assert len(seen) > 2
            assert not [line for line in seen if postgres.password in line]
            assert postgres.password not in (home / "engine.log").read_text()
        finally:
            lab.shutdown()
