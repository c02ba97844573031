"""How many runs a second a store takes from many workers at once: PostgreSQL beside SQLite.

    python benchmarks/store_load.py [--postgres postgresql://lab:PASSWORD@127.0.0.1/lab] [--workers 1 8] [--seconds 10]

Each simulated worker is a process that queues a run, claims it, writes its 200 steps, looks, histograms and heartbeats
in two transactions, and ends it, over and over and as fast as it can; nothing is trained. Counted are runs a second of
all together, and the milliseconds of one transaction. The peer is the same on an SQLite file, in turns in one run. Both
databases share the machine's cores with the workers, so that the rates are a lower bound of what a machine of its own
gives. Without --postgres only SQLite is measured. The database has to be empty, and is left with the runs in it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PRUNE_LAB_PUBLISH"] = "off"

import numpy as np
from _common import machine

import prune_core as pc
from prune_core.errors import StoreError
from prune_core.tracking import Store, new_token

EXPERIMENT = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), train=pc.Training(steps=200))
SUMMARY = {"accuracy": 0.9, "loss": 0.3, "sparsity": 0.8, "seconds": 0.4, "n": 355, "kept_bytes": 9000, "macs": 90000}
KINDS = ("queue", "claim", "write", "end")


def one_run(store: Store, clocked: Callable[[str, Callable[[], Any]], Any], chance: np.random.Generator) -> None:
    """All that a run of 200 steps asks of the store."""
    run_id = clocked("queue", lambda: store.create(EXPERIMENT))
    token = new_token()
    assert clocked("claim", lambda: store.claim(run_id, token, "simulated"))
    for first in (0, 100):
        steps = np.column_stack([np.arange(first + 1.0, first + 101.0), chance.random((100, 7))])
        looks = [pc.EvalEvent(first + 50 * i, 0.9, 0.3, 355, (0.9,) * 10) for i in (1, 2)]
        pictures = [(first + 25 * i, chance.bytes(2500)) for i in (1, 2, 3, 4)]  # as large as SmallCNN's, packed
        clocked(
            "write",
            lambda steps=steps, looks=looks, pictures=pictures: store.append(
                run_id, token, steps=steps, evals=looks, snapshots=pictures
            ),
        )
    clocked("end", lambda: store.finish(run_id, token, "finished", "", SUMMARY))


def work(url: str, seed: int, begin: Any, until: Any, results: Any) -> None:
    """A simulated worker: the runs that it made, milliseconds by kind of transaction, and what was refused."""
    store, chance = Store(url), np.random.default_rng(seed)
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    refused = runs = 0

    def clocked(kind: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = call()
        spent[kind].append(1e3 * (time.perf_counter() - began))
        return found

    one_run(store, lambda _, call: call(), chance)  # the first one pays for the connection
    begin.wait()
    while time.time() < until.value:
        try:
            one_run(store, clocked, chance)
            runs += 1
        except StoreError:
            refused += 1
    results.put((runs, refused, spent))
    store.close()


def load(url: str, workers: int, seconds: float) -> tuple[float, int, dict[str, list[float]]]:
    """Runs a second of ``workers`` at once, how many were refused, and milliseconds by kind."""
    context = multiprocessing.get_context("fork")
    begin, until, results = context.Barrier(workers + 1), context.Value("d", 0.0), context.Queue()
    processes = [context.Process(target=work, args=(url, i, begin, until, results)) for i in range(workers)]
    for process in processes:
        process.start()
    until.value = float("inf")
    begin.wait()
    began = time.time()
    until.value = began + seconds
    found = [results.get() for _ in processes]
    took = time.time() - began
    for process in processes:
        process.join()
    spent = {kind: [one for _, _, s in found for one in s[kind]] for kind in KINDS}
    return sum(runs for runs, _, _ in found) / took, sum(refused for _, refused, _ in found), spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--postgres", default="", help="address of an empty database")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8, 32], help="simulated workers at once")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each number of workers")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'lab.db'}"}
        if given.postgres:
            urls["PostgreSQL"] = given.postgres
        for url in urls.values():
            Store(url).close()  # makes the tables
        for workers in given.workers:
            rates = {}
            for name, url in urls.items():
                rates[name], refused, spent = load(url, workers, given.seconds)
                everything = sorted(one for kind in KINDS for one in spent[kind])
                medians = ", ".join(f"{kind} {statistics.median(spent[kind]):.1f}" for kind in KINDS if spent[kind])
                print(
                    f"{workers:3d} workers  {name:<11}{rates[name]:7.1f} runs/s  a transaction: {medians} ms,"
                    f" p95 {everything[int(0.95 * len(everything))]:.1f} ms, longest {everything[-1]:.0f} ms;"
                    f" {refused} refused"
                )
            if len(rates) == 2:
                print(f"             PostgreSQL / SQLite: {rates['PostgreSQL'] / rates['SQLite']:.2f}x")


if __name__ == "__main__":
    main()
