"""How long the Runs page takes with 10,000 finished runs in the store, in a real browser.

    python benchmarks/runs_list_speed.py [--runs 10000] [--rounds 20]

The store is that of tradeoffs_speed.py: made-up accuracies, nothing trained. Timed are opening the page until its first
rows stand, by the menu from another page of the lab and with the browser loading the whole app anew: as it is (the
newest 100, and how many more there are), with the newest 1,000, and with all ("Show all"). The peer is a script of two
lines under ``streamlit run``, a title and a table of 100 rows and 13 columns: what is between the two is ours, the rest
is Streamlit's and the browser's. What comes over the websocket is counted too: that does not depend on how busy the
machine is.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PRUNE_LAB_PUBLISH"] = "off"

from _common import machine
from slider_to_picture import FLAGS, free_port, lab
from tradeoffs_speed import filled

FIRST_S, ALL_S = 0.5, 2.0  # targets
WARM = 4  # visits before any is timed
PEER = """import numpy as np, pandas as pd, streamlit as st
st.title("Runs")
st.dataframe(pd.DataFrame(np.random.rand(100, 13)), key="table", on_select="rerun", selection_mode="multi-row")
"""
ROWS = "() => document.querySelector('[data-testid=stDataFrame] canvas')"


def opened(page: Any, url: str) -> float:
    """Seconds from asking for the link until rows stand."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(ROWS)
    return time.perf_counter() - began


def come(page: Any) -> float:
    """The same by the menu, from another page of the lab."""
    page.get_by_role("link", name="Glossary").click()
    page.get_by_role("heading", name="Glossary", exact=True).wait_for()
    page.wait_for_function(f"() => !({ROWS})()")
    page.wait_for_timeout(500)
    began = time.perf_counter()
    page.get_by_role("link", name="Runs").click()
    page.wait_for_function(ROWS)
    return time.perf_counter() - began


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[str]:
    """The address of the peer."""
    (folder / "bare.py").write_text(PEER)
    port = free_port()
    options = {"server.port": port, "server.headless": "true", "server.address": "127.0.0.1"}
    options |= {"browser.gatherUsageStats": "false", "server.fileWatcherType": "none"}
    command = [sys.executable, "-m", "streamlit", "run", "bare.py", *(f"--{k}={v}" for k, v in options.items())]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError):
                urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                break
            time.sleep(0.2)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("PRUNE_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    print(machine())
    with tempfile.TemporaryDirectory() as folder, bare(Path(folder)) as peer:
        filled(Path(folder), given.runs)
        with lab(Path(folder)) as address, sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=chromium, args=FLAGS).new_page()
            page.set_default_timeout(120_000)
            sent: list[int] = []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(len(frame))))
            for _ in range(WARM):  # first visits pay for scripts that are read and compiled
                opened(page, peer)
                opened(page, f"{address}/runs")
            for name, visit, target in (
                ("from another page: newest 100", lambda: come(page), FIRST_S),
                ("app loaded anew: newest 100", lambda: opened(page, f"{address}/runs"), FIRST_S),
                ("the peer: 100 rows", lambda: opened(page, peer), None),
                ("app loaded anew: newest 1,000", lambda: opened(page, f"{address}/runs?more=yes"), FIRST_S),
                (f"app loaded anew: all {given.runs:,}", lambda: opened(page, f"{address}/runs?all=yes"), ALL_S),
            ):
                opened(page, f"{address}/runs")
                sent.clear()
                times = [visit() for _ in range(given.rounds)]
                p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
                said = f"  target p95 {target:g} s: {'met' if p95 <= target else 'MISSED'}" if target else ""
                print(
                    f"{name:<30} median {statistics.median(times):.2f} s, p95 {p95:.2f} s of {len(times)}{said}"
                    f"  ({sum(sent) / given.rounds / 1000:.0f} KB a visit)"
                )


if __name__ == "__main__":
    main()
