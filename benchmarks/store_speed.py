"""The live store against MLflow's own, both on SQLite in one temporary folder, side by side.

    python benchmarks/store_speed.py [--rounds 30]

What a run and a page do all the time: write a step's ten numbers, ask what is new, list the runs. MLflow gets its
cheapest way: a client without the fluent layer, one batch a step, its own database switched to WAL as ours is. It
has no way to ask for what is new since a step, so its peer of a poll is the history of the two metrics that the page's
first chart draws, asked by key; a page draws more.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sqlite3
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["PRUNE_LAB_PUBLISH"] = "off"

import numpy as np
import torch
from _common import machine, paired, report

import prune_core as pc
from prune_core.events import STEP_FIELDS, EvalEvent
from prune_core.tracking import Store

NAMES = (*STEP_FIELDS, "accuracy", "test_loss", "seconds")  # ten
RUNS = 500
STEPS = 500  # of the run that is polled
NEW = 10  # steps between two polls: 40 steps/s looked at four times a second


class Ours:
    """The lab's store with RUNS runs; the newest is being written."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(f"sqlite:///{folder}/lab.db")
        experiment = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=pc.ValueClip(), prune=pc.Pruning())
        for i in range(RUNS):
            self.run_id = self.store.create(experiment, name=f"run {i}")
            self.store.claim(self.run_id, "token")
            if i < RUNS - 1:
                self.store.finish(self.run_id, "token", "finished", "", {"accuracy": 0.9, "loss": 0.1})
        self.step = itertools.count(1)
        self.cursor = self.store.live(self.run_id).cursor

    def fill(self, steps: int) -> None:
        rows = np.array([[next(self.step), *([0.5] * len(STEP_FIELDS))] for _ in range(steps)])
        looks = [EvalEvent(int(step), 0.9, 0.1, 1000, ()) for step in rows[:, 0]]
        self.store.append(self.run_id, "token", steps=rows, evals=looks)

    def write(self) -> None:
        step = next(self.step)
        row = np.array([[step, *([0.5] * len(STEP_FIELDS))]])
        self.store.append(self.run_id, "token", steps=row, evals=[EvalEvent(step, 0.9, 0.1, 1000, ())])

    def poll(self) -> None:
        self.store.live(self.run_id, self.cursor)

    def runs(self) -> None:
        assert len(self.store.runs(limit=RUNS)) == RUNS


class Peer:
    """MLflow's store with as many runs, as many numbers."""

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self.metric = Metric
        path = folder / "mlflow.db"
        self.client = MlflowClient(tracking_uri=f"sqlite:///{path}")
        self.experiment = self.client.create_experiment("benchmark", (folder / "artifacts").as_uri())
        with sqlite3.connect(path) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
        raw.close()
        params = [
            Param(key, str(value)) for key, value in pc.Experiment(data=pc.Digits(), model=pc.SmallCNN()).flat().items()
        ]
        for i in range(RUNS):
            self.run_id = self.client.create_run(self.experiment, run_name=f"run {i}").info.run_id
            self.client.log_batch(self.run_id, params=params, metrics=self._metrics(0))
            if i < RUNS - 1:
                self.client.set_terminated(self.run_id)
        self.step = itertools.count(1)

    def _metrics(self, step: int) -> list[object]:
        at = int(time.time() * 1000)
        return [self.metric(name, 0.5, at, step) for name in NAMES]

    def fill(self, steps: int) -> None:
        metrics = [metric for _ in range(steps) for metric in self._metrics(next(self.step))]
        for first in range(0, len(metrics), 1000):
            self.client.log_batch(self.run_id, metrics=metrics[first : first + 1000])

    def write(self) -> None:
        self.client.log_batch(self.run_id, metrics=self._metrics(next(self.step)))

    def poll(self) -> None:
        for name in ("loss", "accuracy"):
            self.client.get_metric_history(self.run_id, name)

    def runs(self) -> None:
        assert len(self.client.search_runs([self.experiment], max_results=RUNS)) == RUNS


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="pairs to take the median of")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="prune-lab-store-") as name:
        began = time.perf_counter()
        ours = Ours(Path(name))
        middle = time.perf_counter()
        peer = Peer(Path(name))
        spent = time.perf_counter() - middle
        print(f"{RUNS} runs made: ours {middle - began:.1f} s, MLflow {spent:.1f} s (its tables included)", flush=True)
        ours.fill(STEPS - given.rounds)
        peer.fill(STEPS - given.rounds)
        report("store: write one step's ten numbers", paired(ours.write, peer.write, rounds=given.rounds))
        ours.cursor = ours.store.live(ours.run_id).cursor
        for _ in range(NEW):
            ours.write(), peer.write()
        report(f"store: what is new after {STEPS} steps", paired(ours.poll, peer.poll, rounds=given.rounds))
        report(f"store: list {RUNS} runs", paired(ours.runs, peer.runs, rounds=max(3, given.rounds // 5)))
        ours.store.close()


if __name__ == "__main__":
    main()
