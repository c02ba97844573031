"""Run the sample sweep that ships with the lab, and write it to assets/samples. Run it after a change of format.

.venv/bin/python scripts/make_sample_sweep.py
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["PRUNE_LAB_HOME"] = folder = tempfile.mkdtemp(prefix="prune-lab-samples-")
os.environ["PRUNE_LAB_PUBLISH"] = "off"
os.environ["OMP_NUM_THREADS"] = "1"

import prune_core as pc

SWEEP = pc.Sweep(
    experiment=pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), prune=pc.Pruning()),
    space=pc.Grid(
        vary={
            "prune.criterion": [pc.Magnitude(), pc.Random()],
            "clip": [None, pc.ValueClip(threshold=0.01), pc.ValueClip(threshold=0.001)],
            "prune.schedule.final": [0.0, 0.5, 0.8, 0.9, 0.95, 0.98],
            "train.seed": [0, 1, 2, 3],
        }
    ),
)

handle = pc.Lab().sweep(SWEEP, where="here")
assert handle.status == "finished", handle.record.reason
results = handle.results()
assert results["status"].eq("finished").all(), results["status"].value_counts()
path = ROOT / "assets" / "samples" / "sweep.json"
content = {
    "name": "Two criteria, with and without clipping",
    "sweep": json.loads(SWEEP.to_json()),
    "results": json.loads(results.to_json(orient="split", index=False, double_precision=7)),
}
path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB, {len(results)} runs, {handle.cost().seconds:.0f} s")
shutil.rmtree(folder)
