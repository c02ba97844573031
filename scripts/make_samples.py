"""Train the sample runs that ship with the lab, and write them to assets/samples. Run it after a change of format.

.venv/bin/python scripts/make_samples.py
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

import prune_core as pc
from prune_core.tracking import Store, execute, export_sample

PLAIN = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN())
SAMPLES = {  # by file name; the first is what a newcomer sees
    "clipped-and-pruned": ("Clipped and pruned", PLAIN.replace(clip=pc.ValueClip(threshold=0.01), prune=pc.Pruning())),
    "dense": ("Neither clipped nor pruned", PLAIN),
}

store = Store()
for file, (name, experiment) in SAMPLES.items():
    run_id = store.create(experiment, name=name)
    status = execute(store, run_id)
    assert status == "finished", store.run(run_id).reason
    path = export_sample(store, run_id, ROOT / "assets" / "samples" / f"{file}.zip", name=name)
    record = store.run(run_id)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB, accuracy {record.accuracy:.4f}, {record.digest}")
store.close()
shutil.rmtree(folder)
