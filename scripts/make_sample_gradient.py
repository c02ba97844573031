"""Take the gradients that the Clipping page shows first, and write them to assets/samples. Run it after make_samples.

.venv/bin/python scripts/make_sample_gradient.py
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["OMP_NUM_THREADS"] = "1"

import prune_core as pc
from prune_core.training.gradient import Moments, save_gradients

moments = Moments(pc.Experiment(data=pc.Digits(), model=pc.SmallCNN()))  # what "dense" in make_samples.py trains
found = {}
for step in (0, 10, 50, 200, 400):
    while moments.step < step:
        moments.go_on()
    found[str(step)] = moments.gradient(examples=64, seed=0)
    print(
        f"after {step} steps: loss {found[str(step)].loss:.4f}, norm {(found[str(step)].values ** 2).sum() ** 0.5:.4f}"
    )
path = ROOT / "assets" / "samples" / "gradients.npz"
save_gradients(path, found)
print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB")
