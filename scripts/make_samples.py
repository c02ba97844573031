"""Train the sample runs that ship with the lab, and write them to assets/samples. Run it after a change of format.

.venv/bin/python scripts/make_samples.py [runs] [race]
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["PRUNE_LAB_HOME"] = folder = tempfile.mkdtemp(prefix="prune-lab-samples-")
os.environ["PRUNE_LAB_PUBLISH"] = "off"
os.environ["OMP_NUM_THREADS"] = "1"

import shutil
import sys

import prune_core as pc
from prune_core.tracking import Races, Store, execute, execute_race, export_sample
from prune_core.training import RACE_PRESETS

PLAIN = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN())
SAMPLES = {  # by file name; the first is what a newcomer sees
    "clipped-and-pruned": ("Clipped and pruned", PLAIN.replace(clip=pc.ValueClip(threshold=0.01), prune=pc.Pruning())),
    "dense": ("Neither clipped nor pruned", PLAIN),
}

store = Store()


def export(run_id: str, path: Path, name: str) -> None:
    """Write an ended run as a sample and say what it is."""
    export_sample(store, run_id, path, name=name)
    record = store.run(run_id)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB, accuracy {record.accuracy:.4f}, {record.digest}")


only = sys.argv[1:]  # "race" makes that alone
if not only or "runs" in only:
    for file, (name, experiment) in SAMPLES.items():
        run_id = store.create(experiment, name=name)
        status = execute(store, run_id)
        assert status == "finished", store.run(run_id).reason
        export(run_id, ROOT / "assets" / "samples" / f"{file}.zip", name)
if not only or "race" in only:  # the finished race that a newcomer sees first
    races = Races(store)
    race = races.create(RACE_PRESETS[0].experiment)
    lanes = races.lanes(race)
    outcomes = execute_race(store, race, list(lanes.values()))
    assert set(outcomes.values()) == {"finished"}, outcomes
    for lane, run_id in lanes.items():
        export(run_id, ROOT / "assets" / "samples" / "race" / f"race-{lane}.zip", f"Sample race: {lane}")
store.close()
shutil.rmtree(folder)
