"""A sweep of short runs on two workers, against plain loops that record nothing.

    python benchmarks/sweep_speed.py [--runs 100] [--steps 200] [--rounds 3]

(a) 100 runs of the small network on digits, 200 steps each, through ``Lab.sweep`` on two workers. The peer is the sum
    of as many bare loops, divided by what the cores give: how much more two processes of bare loops do at once than
    one. Target: at most 1.15 times that.
(b) The same sweep on two workers against one, divided by what two plain processes gain over one. Target: at least 0.95.

Bare loops train and do nothing else, as in train_speed.py; the sweep queues, records every step, looks at the test
split, keeps checkpoints, and measures bytes, MACs and latency of every model. Engines of their own, workers warm, every
run new.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prune_core.jobs.local import ENVIRONMENT

if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
    # malloc and OpenMP read their settings when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})

import torch
from _common import machine
from train_speed import THRESHOLD, bare_loop, by_value, small_on_digits

import prune_core as pc
from prune_core.jobs.worker import NICE

WORKERS = 2
WALL, SCALING = 1.15, 0.95


def loops(runs: int, steps: int) -> None:
    """A process of bare loops: says when it is warm, begins when told, says how long it took."""
    torch.set_num_threads(1)
    os.nice(NICE)
    loop = bare_loop(small_on_digits(steps, pc.ValueClip(threshold=THRESHOLD)), by_value, evaluate=False)
    for _ in range(3):
        list(loop())
    print("warm", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(runs):
            list(loop())
        print(time.perf_counter() - began, flush=True)


def at_once(processes: list[subprocess.Popen[str]]) -> float:
    """Seconds until the last of ``processes`` has made its loops."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return max(float(process.stdout.readline()) for process in processes if process.stdout)


def sweep(lab: pc.Lab, runs: int, steps: int, first: int) -> float:
    """Seconds from the call to the last run's end; seeds from ``first`` on have no run yet."""
    exp = small_on_digits(steps, pc.ValueClip(threshold=THRESHOLD))
    space = pc.Grid(vary={"train.seed": range(first, first + runs)})
    estimate = lab.estimate(pc.Sweep(experiment=exp, space=space))
    began = time.perf_counter()
    handle = lab.sweep(exp, space, where="workers", estimate=estimate)
    while (record := handle.record).status == "running":
        time.sleep(0.1)  # whoever asks more often takes from the workers what is measured
    seconds = time.perf_counter() - began
    assert (record.done, record.failed, record.reused) == (runs, 0, 0), record
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=100, help="runs of a sweep")
    parser.add_argument("--steps", type=int, default=200, help="steps of one run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the median of")
    parser.add_argument("--loops", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.loops:
        loops(given.runs, given.steps)
        return
    print(machine())
    half = max(1, given.runs // WORKERS)
    command = [sys.executable, __file__, "--loops", "--runs", str(half), "--steps", str(given.steps)]
    plain = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
    ]
    walls, gains, seed = [], [], 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        labs = [pc.Lab(home=Path(folder), workers=n).attach() for folder, n in ((one, 1), (two, WORKERS))]
        try:
            for process in plain:
                assert process.stdout is not None and process.stdout.readline() == "warm\n"
            for lab in labs:
                sweep(lab, 4, given.steps, 1_000_000)  # workers import and read their data once
            for _ in range(given.rounds):
                alone, both = at_once(plain[:1]), at_once(plain)
                capacity = WORKERS * alone / both
                wall = sweep(labs[1], given.runs, given.steps, seed)
                single = sweep(labs[0], half, given.steps, seed + given.runs)
                seed += 2 * given.runs
                bare = given.runs * alone / half / capacity
                walls.append(wall / bare)
                gains.append((given.runs / half * single / wall) / capacity)
                print(
                    f"  bare loops {bare:.1f} s at {capacity:.2f} times one process; the sweep {wall:.1f} s, on one "
                    f"worker {single * given.runs / half:.1f} s: {walls[-1]:.2f} and {gains[-1]:.2f}"
                )
        finally:
            for process in plain:
                process.kill()
                process.wait()
            for lab in labs:
                lab.shutdown()
    wall, gain = statistics.median(walls), statistics.median(gains)
    fits, scales = wall <= WALL, gain >= SCALING
    print(f"(a) wall, bare loops over the cores' capacity: {wall:.2f}  target {WALL}: {'met' if fits else 'MISSED'}")
    print(f"(b) two workers, two plain processes: {gain:.2f}  target {SCALING}: {'met' if scales else 'MISSED'}")
    sys.exit(0 if fits and scales else 1)


if __name__ == "__main__":
    main()
