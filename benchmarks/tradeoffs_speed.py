"""How long the Trade-offs page takes with 10,000 finished runs of one sweep, in a real browser.

    python benchmarks/tradeoffs_speed.py [--runs 10000] [--rounds 20]

The runs' rows are written straight into a store (5 criteria, 5 thresholds, 20 sparsities, seeds): nothing is trained,
their accuracies are made up, and only times are read. A server is started on it in a temporary folder and ended
afterwards. Timed are: coming from another page of the lab until the first numbers stand and until all three charts are
drawn, the same with the browser loading the whole app anew, and a change of the x axis until the chart stands anew. The
first opening pays for reading the results, the others find them read. Beside it the same with the 144 runs of the
sample: what is left between the two is the price of the runs, the rest that of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PRUNE_LAB_PUBLISH"] = "off"

import numpy as np
from _common import machine
from slider_to_picture import FLAGS, lab
from sqlalchemy import insert, select, update

import prune_core as pc
from prune_core.tracking import Store, Sweeps, schema

PAGE_S, FIRST_S = 2.0, 0.5  # targets
CRITERIA = (pc.Magnitude(), pc.Random(), pc.LAMP(), pc.L2Norm(), pc.RelativeMagnitude())
THRESHOLDS = (0.001, 0.003, 0.01, 0.03, 0.1)
SPARSITIES = tuple(round(float(s), 3) for s in np.linspace(0.3, 0.99, 20))
DRAWN = """(wanted) => {
  const all = [...document.querySelectorAll('.lab-gd')].filter((g) => g._fullData?.length);
  return all.length >= 3 && all[0]._fullLayout.xaxis.title.text.includes(wanted);
}"""


def filled(home: Path, n: int) -> str:
    """A store in ``home`` with a sweep of ``n`` finished runs; its id."""
    exp = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=pc.ValueClip(threshold=0.01), prune=pc.Pruning())
    seeds = range(max(1, n // (len(CRITERIA) * len(THRESHOLDS) * len(SPARSITIES))))
    vary = {
        "prune.criterion": CRITERIA, "clip.threshold": THRESHOLDS, "prune.schedule.final": SPARSITIES,
        "train.seed": seeds,
    }  # fmt: skip
    store = Store(f"sqlite:///{home}/lab.db")
    sweeps = Sweeps(store)
    sweep = pc.Sweep(experiment=exp, space=pc.Grid(vary=vary), share=False)
    sweep_id = sweeps.create(sweep, name=f"{sweep.total:,} runs", owner="somebody")
    one = store.create(exp)
    store.claim(one, "token")
    store.finish(one, "token", "finished", "", {"accuracy": 0.9, "loss": 0.3, "sparsity": 0.9, "n": 355})
    chance = np.random.default_rng(0)
    with store.database.writing() as connection:
        row = dict(connection.execute(select(schema.runs).where(schema.runs.c.id == one)).mappings().one())
        rows = []
        for place, changes in enumerate(sweep.space.rows()):
            target, threshold = changes["prune.schedule.final"], changes["clip.threshold"]
            drop = 0.8 * target ** (6 + CRITERIA.index(changes["prune.criterion"])) + 0.02 * abs(
                np.log10(threshold) + 2
            )
            accuracy = float(np.clip(0.97 - drop + 0.01 * chance.standard_normal(), 0, 1))
            summary = {
                "n": 355, "seconds": 2.0, "parameters": 10_000, "nonzero": 10_000 * (1 - target), "dense_bytes": 57_000,
                "kept_bytes": 1800 + 55_000 * (1 - target), "macs": 2e5, "kept_macs": 2e5 * (1 - target),
                "latency_ms": 0.2 + 0.02 * chance.random(), "latency_low_ms": 0.19, "latency_high_ms": 0.23,
            }  # fmt: skip
            rows.append({
                **row, "id": f"bench{place:07d}", "digest": f"{place:016x}", "target": target, "threshold": threshold,
                "prune": changes["prune.criterion"].registered_as, "seed": changes["train.seed"], "accuracy": accuracy,
                "sparsity": target, "summary": json.dumps(summary),
            })  # fmt: skip
        connection.execute(insert(schema.runs), rows)
        m = schema.members
        for r in rows:
            place = int(r["id"][5:])
            connection.execute(
                update(m).where(m.c.sweep_id == sweep_id, m.c.place == place)
                .values(state="done", run_id=r["id"], origin="run")
            )  # fmt: skip
        connection.execute(update(schema.sweeps).values(status="finished", ended=time.time()))
    store.close()
    return sweep_id


def opened(page: Any, url: str) -> tuple[float, float]:
    """Seconds from asking for the link until the first numbers stand, and until the charts are drawn."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => /runs/.test(document.querySelector('.st-key-tradeoffs_head')?.innerText ?? '')")
    first = time.perf_counter() - began
    page.wait_for_function(DRAWN, arg="weights removed")
    return first, time.perf_counter() - began


def come(page: Any) -> tuple[float, float]:
    """The same by the menu, from another page of the lab."""
    page.get_by_role("link", name="Glossary").click()
    page.get_by_role("heading", name="Glossary", exact=True).wait_for()
    page.wait_for_function("() => !document.querySelector('.st-key-tradeoffs_head')")
    page.wait_for_timeout(500)
    began = time.perf_counter()
    page.get_by_role("link", name="Trade-offs").click()
    page.wait_for_function("() => /runs/.test(document.querySelector('.st-key-tradeoffs_head')?.innerText ?? '')")
    first = time.perf_counter() - began
    page.wait_for_function(DRAWN, arg="weights removed")
    return first, time.perf_counter() - began


def turned(page: Any) -> float:
    """Seconds from a click on another axis until the chart has it; then back."""
    began = time.perf_counter()
    page.get_by_text("Bytes", exact=True).click()
    page.wait_for_function(DRAWN, arg="size")
    took = time.perf_counter() - began
    page.get_by_text("Sparsity", exact=True).first.click()
    page.wait_for_function(DRAWN, arg="weights removed")
    return took


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("PRUNE_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        sweep_id = filled(Path(folder), given.runs)
        with lab(Path(folder)) as address, sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page(
                viewport={"width": 1280, "height": 2600}
            )
            page.set_default_timeout(120_000)
            page.goto(address + "/methods")  # what every first visit pays: Streamlit's own scripts
            page.get_by_role("heading", name="Methods").wait_for()
            for name, link in ((f"{given.runs:,} runs", f"?sweep={sweep_id}"), ("the sample, 144 runs", "?x=sparsity")):
                url = f"{address}/trade_offs{link}"
                first = opened(page, url)
                print(f"\n{name}: first opening {first[0]:.2f} s to the numbers, {first[1]:.2f} s to the charts")
                times = [(*come(page), *opened(page, url), turned(page)) for _ in range(given.rounds)]
                table(times)


def table(times: list[tuple[float, ...]]) -> None:
    """Print a line for each column."""
    rows = (
        ("from another page: numbers", FIRST_S), ("from another page: all charts", PAGE_S),
        ("app loaded anew: numbers", FIRST_S), ("app loaded anew: all charts", PAGE_S), ("another axis", PAGE_S),
    )  # fmt: skip
    for (name, target), values in zip(rows, zip(*times, strict=True), strict=True):
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
        print(
            f"{name:<30} median {statistics.median(values):.2f} s, p95 {p95:.2f} s of {len(values)}"
            f"  target p95 {target:g} s: {'met' if p95 <= target else 'MISSED'}"
        )


if __name__ == "__main__":
    main()
