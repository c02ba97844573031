"""How soon each page stands on a warm server, in a real browser, with the samples that ship.

    python benchmarks/pages_speed.py [--rounds 10] [--only race claims ...]

First paint: from asking for the link until the page's own first lines stand. All of it: until its last line stands and
every chart in sight is drawn. The browser has read Streamlit's scripts before, and shares the cores with the server.
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

TARGET_S = 1.5  # of the first paint, 95th percentile
# ours, not Streamlit's frame: the first heading, sentence or caption of the page
FIRST = "() => document.querySelector('.stMain h1, .stMain .lab-lesson, .stMain [data-testid=stCaptionContainer]')"
LAST = """() => {
    const seen = (gd) => {
        const box = gd.parentElement.getBoundingClientRect();
        return box.width && box.height && box.top < innerHeight && box.bottom > 0;
    };
    return document.querySelector('.lab-words')
        && [...document.querySelectorAll('.lab-gd')].filter(seen).every((gd) => gd.querySelector('.main-svg'));
}"""
PAGES = ("race", "clipping", "prune", "train", "trade_offs", "claims", "lessons", "runs", "methods")


def opened(page: Any, url: str) -> tuple[float, float]:
    """Seconds from asking for the link until the first lines, and until all of it, stand."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(FIRST, polling="raf")
    first = time.perf_counter() - began
    page.wait_for_function(LAST, polling="raf")
    return first, time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=PAGES, choices=PAGES)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("PRUNE_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as address, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page()
        page.set_default_timeout(120_000)
        print(machine())
        for name in given.only:
            url = f"{address}/{'' if name == 'race' else name}"
            opened(page, url)  # what every first visit pays: Streamlit's own scripts
            times = [opened(page, url) for _ in range(given.rounds)]
            first, whole = ([t[i] for t in times] for i in (0, 1))
            p95, last = (statistics.quantiles(t, n=20, method="inclusive")[-1] for t in (first, whole))
            print(
                f"{name:<12} first paint median {statistics.median(first):.2f} s, p95 {p95:.2f} s  target p95 "
                f"{TARGET_S:g} s: {'met' if p95 <= TARGET_S else 'MISSED'};  all of it median "
                f"{statistics.median(whole):.2f} s, p95 {last:.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
