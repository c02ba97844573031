"""A run through the Lab, recorded step by step in a process of its own, against a bare loop that records nothing.

    python benchmarks/tracked_run.py [--rounds 7] [--steps 5000]

Ours is everything between the click and the end: queue, claim, building the model, training with every metric on, the
live store's writes, heartbeat and controls, checkpoints, the last look at the test split. The bare loop has its data
in memory beforehand and only trains, with torch's own clipping, in this process: one thread, the same malloc settings,
the same priority. An engine of its own is started in a temporary folder and ended afterwards.

It also prints how long a launch takes until the run's first step can be read from the store.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from prune_core.jobs.local import ENVIRONMENT

if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
    # malloc and OpenMP read their settings when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})

import torch
from _common import machine, paired, report
from train_speed import MAX_NORM, THRESHOLD, bare_loop, by_norm, by_value, lenet_on_mnist, mnist_root, small_on_digits

import prune_core as pc
from prune_core.jobs.worker import NICE


def through(lab: pc.Lab, exp: pc.Experiment) -> float:
    """Launch and wait; returns seconds from the launch until a step could be read."""
    began = time.perf_counter()
    handle, seen = lab.launch(exp), 0.0
    while not (record := handle.record).has_ended:
        if record.step and not seen:
            seen = time.perf_counter() - began
        time.sleep(0.02 if seen else 0.002)
    assert record.status == "finished", record.reason
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="pairs of runs to take the median of")
    parser.add_argument("--steps", type=int, default=5000, help="steps of one run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    os.nice(NICE)
    mnist_root()
    print(machine())
    value, norm = pc.ValueClip(threshold=THRESHOLD), pc.NormClip(max_norm=MAX_NORM)
    pairs = [
        (f"{name}, {how}", make(given.steps, clip), clip_)
        for name, make in (("LeNet300/MNIST", lenet_on_mnist), ("SmallCNN/Digits", small_on_digits))
        for how, clip, clip_ in (("value", value, by_value), ("norm", norm, by_norm))
    ]
    met, seen = [], []
    with tempfile.TemporaryDirectory() as folder, pc.Lab(home=Path(folder), workers=1) as lab:
        try:
            for name, exp, clip_ in pairs:
                peer = bare_loop(exp, clip_, evaluate=False)
                ratio = paired(
                    lambda exp=exp: seen.append(through(lab, exp)), lambda peer=peer: list(peer()), rounds=given.rounds
                )
                met.append(report(f"Lab against {name}: bare loop", ratio, 0.85, unit="steps/s", count=exp.train.steps))
        finally:
            lab.shutdown()
    print(f"launch until the first step can be read: median {1e3 * statistics.median(seen):.0f} ms of {len(seen)}")
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
