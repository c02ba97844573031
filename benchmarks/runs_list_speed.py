"""How long the Runs page takes with 10,000 finished runs in the store, in a real browser.

    python benchmarks/runs_list_speed.py [--runs 10000] [--rounds 20]

The store is that of tradeoffs_speed.py: made-up accuracies, nothing trained. Timed are opening the page until its first
rows stand, as it is (the newest 100, and how many more there are), with the newest 1,000, and with all ("Show all").
What comes over the websocket is counted too: that does not depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PRUNE_LAB_PUBLISH"] = "off"

from _common import machine
from slider_to_picture import FLAGS, lab
from tradeoffs_speed import filled

FIRST_S, ALL_S = 0.5, 2.0  # targets
ROWS = "() => document.querySelector('[data-testid=stDataFrame] canvas')"


def opened(page: Any, url: str) -> float:
    """Seconds from asking for the link until rows stand."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(ROWS)
    return time.perf_counter() - began


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
        filled(Path(folder), given.runs)
        with lab(Path(folder)) as address, sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page()
            page.set_default_timeout(120_000)
            sent: list[int] = []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(len(frame))))
            opened(page, f"{address}/runs")  # what every first visit pays: Streamlit's own scripts
            for name, url, target in (
                ("newest 100", f"{address}/runs", FIRST_S),
                ("newest 1,000", f"{address}/runs?more=yes", FIRST_S),
                (f"all {given.runs:,}", f"{address}/runs?all=yes", ALL_S),
            ):
                sent.clear()
                times = [opened(page, url) for _ in range(given.rounds)]
                p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
                print(
                    f"{name:<14} median {statistics.median(times):.2f} s, p95 {p95:.2f} s of {len(times)}"
                    f"  target p95 {target:g} s: {'met' if p95 <= target else 'MISSED'}"
                    f"  ({sum(sent) / given.rounds / 1000:.0f} KB a visit)"
                )


if __name__ == "__main__":
    main()
