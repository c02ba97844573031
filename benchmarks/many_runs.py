"""What a run costs the scheduler and the store, by how many there are: 1,000 and 10,000 tiny runs of one sweep.

    python benchmarks/many_runs.py [--runs 1000 10000] [--real 200] [--workers 2] [--store URL]

Workers are simulated: each run is claimed, ten steps, two evaluations and its end are written, as a worker would, but
nothing is trained. Supervising is real: sweeps are tended and the queue is looked at as the scheduler does it after
every run that ends. Then the runs are listed and the results of the sweep read, as pages do. With ``--real N`` as many
runs of two steps go through a local engine with ``--workers`` as well, so that the rest of a run's way (Dask, the
model, the checkpoint) is seen. Milliseconds of this machine; the peer is the same with 100 runs: that shows what grows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prune_core.jobs.local import ENVIRONMENT

if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})

import numpy as np
import psutil
from _common import machine

import prune_core as pc
from prune_core.jobs.tending import Tender
from prune_core.tracking import Store, Sweeps, new_token, results

BASE, WORKERS = 100, 16
STEPS = np.column_stack([np.arange(1.0, 11.0), np.random.default_rng(0).random((10, 7))])
LOOKS = [pc.EvalEvent(step, 0.9, 0.3, 355, (0.9,) * 10) for step in (5, 10)]
SUMMARY = {"accuracy": 0.9, "loss": 0.3, "sparsity": 0.8, "seconds": 0.4, "n": 355, "kept_bytes": 9000, "macs": 90000}


def sweep_of(n: int, steps: int = 10) -> pc.Sweep:
    exp = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), train=pc.Training(steps=steps))
    return pc.Sweep(experiment=exp, space=pc.Grid(vary={"train.seed": range(n)}), share=False)


def clocked(spent: dict[str, list[float]], name: str, call: Callable[[], object]) -> object:
    began = time.perf_counter()
    found = call()
    spent.setdefault(name, []).append(1e3 * (time.perf_counter() - began))
    return found


def simulated(url: str, n: int) -> dict[str, float]:
    """Mean milliseconds a run of each part, and of what pages ask afterwards."""
    store = Store(url)
    sweeps, tender, spent = Sweeps(store), Tender(store), {}
    asked = sweep_of(n)
    clocked(spent, "validate all", asked.members)
    sweep_id = str(clocked(spent, "write the sweep", lambda: sweeps.create(asked)))
    while sweeps.record(sweep_id).status == "running":
        clocked(spent, "tend", lambda: tender.tend(WORKERS))
        while turn := clocked(spent, "whose turn", lambda: store.turn(WORKERS)):
            for run_id in turn:  # type: ignore[attr-defined]
                token = new_token()
                clocked(spent, "claim", lambda run_id=run_id, token=token: store.claim(run_id, token, "simulated"))
                clocked(
                    spent, "write steps",
                    lambda run_id=run_id, token=token: store.append(run_id, token, steps=STEPS, evals=LOOKS),
                )  # fmt: skip
                clocked(
                    spent, "end",
                    lambda run_id=run_id, token=token: store.finish(run_id, token, "finished", "", SUMMARY),
                )  # fmt: skip
                clocked(spent, "tend", lambda: tender.tend(WORKERS))
        spent["whose turn"].pop()  # nobody's: the tender rests, to take in together what ends within half a second
    assert sweeps.record(sweep_id).done == n
    found = {name: sum(times) / n for name, times in spent.items()}
    for name, call in (
        ("list 500 runs", store.runs),
        (f"list {n:,} runs", lambda: store.runs(limit=n)),
        (f"results of {n:,}", lambda: results(store.database, sweeps.record(sweep_id))),
    ):
        times: dict[str, list[float]] = {}
        for _ in range(5):
            clocked(times, name, call)
        found[name] = statistics.median(times[name])
    if store.url.startswith("sqlite"):
        found["file, KB a run"] = Path(store.url.removeprefix("sqlite:///")).stat().st_size / 1000 / n
    store.close()
    return found


def real(n: int, workers: int) -> None:
    """Runs of two steps through an engine: wall and processor time a run, and of that the scheduler's."""
    with tempfile.TemporaryDirectory() as folder, pc.Lab(home=Path(folder), workers=workers).attach() as lab:
        try:
            while (lab.workers()["role"] == "train").sum() < workers:
                time.sleep(0.5)
            lab.sweep(sweep_of(4 * workers, 3), where="workers").wait()
            asked = sweep_of(n, 2)
            estimate = lab.estimate(asked)
            assert lab._engine is not None
            engine = psutil.Process(lab._engine.pid)
            before, began = sum(engine.cpu_times()[:2]), time.perf_counter()
            handle = lab.sweep(asked, where="workers", estimate=estimate)
            handle.wait()
            wall, spent = time.perf_counter() - began, sum(engine.cpu_times()[:2]) - before
            print(
                f"\nreal, {n} runs of 2 steps, {workers} workers: {1e3 * wall / n:.1f} ms a run, {n / wall:.0f} runs/s"
            )
            print(f"  of it the scheduler's processor time: {1e3 * spent / n:.1f} ms")
        finally:
            lab.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, nargs="*", default=[1000, 10_000], help="how many tiny runs")
    parser.add_argument("--real", type=int, default=200, help="runs through a real engine; 0: none")
    parser.add_argument("--store", default="", help="address of an empty store; default: SQLite in a temporary folder")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="worker processes of the real engine")
    given = parser.parse_args()
    print(machine())
    base: dict[str, float] = {}
    for n in [BASE, *given.runs] if given.runs else ():
        with tempfile.TemporaryDirectory() as folder:
            found = simulated(given.store or f"sqlite:///{folder}/lab.db", n)
        base = base or found
        print(f"\nsimulated, {n:,} runs: milliseconds a run, and how many times that of {BASE} runs")
        for name, value in found.items():
            more = f"{value / base[name]:8.2f}x" if name in base and n != BASE else ""
            print(f"  {name:22}{value:10.2f}{more}")
    for workers in given.workers if given.real else ():
        real(given.real, workers)


if __name__ == "__main__":
    main()
