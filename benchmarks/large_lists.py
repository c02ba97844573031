"""How long pages take to show 10,000 finished runs, in a real browser.

    python benchmarks/large_lists.py [--runs 10000] [--loads 20]

The runs are one sweep's: two criteria, ten sparsities, seeds for the rest. They are written into the store as finished
with made-up figures, because pages do not care where a number comes from; nothing is trained. A lab of its own, server
and engine, runs in a temporary folder; a load is a fresh session, as after a click on a copied link. Runs: until the
first rows stand in the table, beyond what a page without runs takes. Trade-offs: until the chart of all is drawn. Both:
until the page is at rest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import machine
from slider_to_picture import FLAGS, lab
from sqlalchemy import insert, update

import prune_core as pc
from prune_core.tracking import Store, Sweeps, schema, writing

FIRST_S, WHOLE_S = 0.5, 2.0
SPARSITIES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)


def fill(url: str, n: int) -> str:
    """Write a finished sweep of ``n`` runs; returns its id."""
    store, chance = Store(url), np.random.default_rng(0)
    base = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), prune=pc.Pruning(schedule=pc.OneShot(at=100)))
    criteria = [pc.Magnitude(), pc.Random()]
    seeds = range(max(1, n // (len(criteria) * len(SPARSITIES))))
    vary = {"prune.criterion": criteria, "prune.schedule.final": SPARSITIES, "train.seed": seeds}
    asked = pc.Sweep(experiment=base, space=pc.Grid(vary=vary), share=False)
    sweep_id = Sweeps(store).create(asked, name=f"{asked.total:,} runs")
    rows, now = [], time.time()
    for member in asked.members():
        share = member.changes["prune.schedule.final"]
        worse = 0.3 if isinstance(member.changes["prune.criterion"], pc.Random) else 0.1
        accuracy = min(1.0, 0.97 - worse * share**6 + chance.normal(0, 0.005))
        left = 1 - share
        summary = {
            "accuracy": accuracy, "loss": 1 - accuracy, "sparsity": share, "n": 355, "seconds": 0.5,
            "parameters": 13706, "nonzero": int(13706 * left), "dense_bytes": 56000,
            "kept_bytes": int(4000 + 52000 * left), "macs": 91776, "kept_macs": int(91776 * left),
            "latency_ms": 0.13, "latency_low_ms": 0.12, "latency_high_ms": 0.15,
        }  # fmt: skip
        values = writing.queued(member.experiment, name="", owner="", priority=0, parent=sweep_id)
        values |= {"id": writing.new_id(), "created": now, "started": now, "ended": now + 0.5, "status": "finished"}
        values |= {"step": 400, "summary": json.dumps(summary)}
        rows.append(values | {name: summary[name] for name in ("accuracy", "loss", "sparsity")})
    m = schema.members
    with store.database.writing() as connection:
        connection.execute(insert(schema.runs), rows)
        for place, row in enumerate(rows):
            at = (m.c.sweep_id == sweep_id, m.c.place == place)
            connection.execute(update(m).where(*at).values(run_id=row["id"], state="done", origin="run"))
        ended = update(schema.sweeps).where(schema.sweeps.c.id == sweep_id)
        connection.execute(ended.values(status="finished", ended=now))
    store.close()
    return sweep_id


def load(browser: Any, url: str, marks: dict[str, str]) -> dict[str, float]:
    """Seconds of one fresh session until each of ``marks``, conditions in JavaScript, holds."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    try:
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        found = {}
        for name, condition in marks.items():
            page.wait_for_function(condition, timeout=60_000, polling=20)
            found[name] = time.perf_counter() - began
        return found
    finally:
        context.close()


def main() -> bool:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000, help="finished runs in the store")
    parser.add_argument("--loads", type=int, default=20, help="fresh sessions of each page")
    given = parser.parse_args()
    print(machine())
    still = "() => document.querySelector('h1') && !document.querySelector('[data-testid=stStatusWidget]')"
    pages = {
        "runs": {
            "first rows": "() => document.querySelector('[data-testid=stDataFrame] canvas')",
            "at rest": still,
        },
        "trade_offs": {
            "chart drawn": "() => document.querySelector('.lab-gd .main-svg .scatterlayer .trace, .lab-gd .parcoords')",
            "at rest": still,
        },
    }
    met = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        home = Path(folder)
        sweep_id = fill(f"sqlite:///{home}/lab.db", given.runs)
        chromium = os.environ.get("PRUNE_LAB_CHROMIUM", "/usr/bin/chromium")
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        with lab(home) as address:
            load(browser, f"{address}/methods", {"at rest": still})
            empty = [load(browser, f"{address}/methods", {"at rest": still})["at rest"] for _ in range(5)]
            print(f"a page that shows no run, at rest: median {statistics.median(empty):.2f} s")
            for name, marks in pages.items():
                url = f"{address}/{name}" + (f"?sweep={sweep_id}" if name == "trade_offs" else "?all=yes")
                found = [load(browser, url, marks) for _ in range(given.loads)]
                for mark in marks:
                    times = sorted(one[mark] for one in found)
                    p95 = times[min(len(times) - 1, round(0.95 * len(times)))]
                    target = FIRST_S if mark == "first rows" else WHOLE_S
                    more = p95 - (statistics.median(empty) if mark == "first rows" else 0)
                    met.append(more <= target)
                    print(
                        f"{name}, {mark}: median {statistics.median(times):.2f} s, p95 {p95:.2f} s"
                        + (f", {more:.2f} s more than an empty page" if mark == "first rows" else "")
                        + f"  target {target}: {'met' if met[-1] else 'MISSED'}"
                    )
        browser.close()
    return all(met)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
