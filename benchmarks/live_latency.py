"""How soon the browser shows it: click on Train -> first live point, and worker's step -> seen, on a warm server."""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from _common import machine

ROOT = Path(__file__).resolve().parent.parent
FIRST_S, SEEN_S = 1.0, 1.5  # targets: median of the first, 95th percentile of the second
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# the step of the newest point on the first chart; null before there is one
NEWEST = "(document.querySelector('.lab-gd')?._fullData?.[0]?.x?.at(-1) ?? null)"
# notes every new point with the time at which a frame showed it
WATCH = f"""() => {{
  window.seen = [];
  const look = () => {{
    const step = {NEWEST};
    if (step !== null && step !== window.seen.at(-1)?.[0]) window.seen.push([step, Date.now() / 1000]);
    requestAnimationFrame(look);
  }};
  requestAnimationFrame(look);
}}"""


def work(home: str, run_id: str, made: Any) -> None:
    """What a worker does with a run, and the wall-clock time of every step; in a process of its own."""
    import torch

    from prune_core.events import StepEvent
    from prune_core.tracking import Store, execute
    from prune_core.tracking.recorder import Recorder

    torch.set_num_threads(1)
    times: list[float] = []
    note = Recorder.note

    def timed(self: Any, event: Any) -> None:
        if isinstance(event, StepEvent):
            times.append(time.time())
        note(self, event)

    Recorder.note = timed  # type: ignore[method-assign]
    execute(Store(f"sqlite:///{home}/lab.db"), run_id, "bench")
    made.put(times)


@contextlib.contextmanager
def lab(home: str) -> Any:
    """A warm server in a folder of its own. The first click starts the engine: until then nobody takes a run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNE_LAB_HOME": home, "PRUNE_LAB_WORKERS": "1"}
    environment |= {"PRUNE_LAB_PUBLISH": "off"}
    environment.pop("PRUNE_LAB_STORE", None)
    with subprocess.Popen(
        [sys.executable, "-m", "prune_ui", "--no-engine", "--port", str(port)],
        cwd=home,
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                    break
                time.sleep(0.2)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            server.wait(30)
            code = "from prune_core.jobs import Lab; Lab().shutdown()"
            subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, check=False)


def first_points(page: Any, url: str, rounds: int) -> list[float]:
    """Seconds from each click on Train until a frame shows a point of the new run."""
    from playwright.sync_api import expect

    found = []
    train, stop = (
        page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True) for name in ("Train", "Stop")
    )
    for turn in range(rounds + 1):
        page.goto(f"{url}/train?train.steps=3000&prune.schedule.start=100&prune.schedule.stop=2000")
        expect(train).to_be_enabled(timeout=60_000)
        page.wait_for_function(f"() => {NEWEST} !== null")  # the sample run stands there, 400 steps long
        page.wait_for_timeout(700)
        page.evaluate(
            """() => {
              const button = [...document.querySelectorAll('button')].find((b) => b.innerText.trim().endsWith('Train'));
              button.addEventListener('click', () => { window.clicked = Date.now() / 1000; }, { capture: true });
              window.before = document.querySelector('.lab-gd')._fullData[0].x.length;
            }"""
        )
        page.evaluate(WATCH)
        train.click()
        page.wait_for_function("() => window.seen.length > 1 && window.seen.at(-1)[0] !== 400", timeout=60_000)
        seconds = page.evaluate("() => window.seen[1][1] - window.clicked")
        if turn:  # the first starts the engine and fills the worker's caches
            found.append(seconds)
        expect(stop).to_be_visible(timeout=60_000)
        stop.click()
        expect(train).to_be_visible(timeout=60_000)
    return found


def steps_seen(page: Any, url: str, home: str, rounds: int, steps: int) -> list[float]:
    """Seconds from each step in the worker until a frame shows it."""
    import prune_core as pc
    from prune_core.tracking import Store

    store, found = Store(f"sqlite:///{home}/lab.db"), []
    start = multiprocessing.get_context("spawn")
    for _ in range(rounds):
        experiment = pc.Experiment(
            data=pc.Digits(), model=pc.SmallCNN(), clip=pc.ValueClip(threshold=0.01),
            prune=pc.Pruning(schedule=pc.Cubic(final=0.9, start=100, stop=steps - 100)), train=pc.Training(steps=steps),
        )  # fmt: skip
        run_id = store.create(experiment, owner="bench")
        made = start.Queue()
        worker = start.Process(target=work, args=(home, run_id, made))
        page.goto(f"{url}/train?run={run_id}")
        page.get_by_text(re.compile("You are watching")).first.wait_for(timeout=60_000)
        page.evaluate(WATCH)
        worker.start()
        times = made.get(timeout=600)
        page.wait_for_function(f"() => window.seen.at(-1)?.[0] === {steps}", timeout=60_000)
        worker.join()
        seen = page.evaluate("() => window.seen")
        found += [next(at for step, at in seen if step >= made_step) - t for made_step, t in enumerate(times, 1)]
    return found


def told(name: str, seconds: list[float], target: float, share: float) -> bool:
    """Print one line; returns whether the target, of the median or the 95th percentile, is met."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    met = (statistics.median(ordered) if share == 0.5 else p95) <= target
    of = "median" if share == 0.5 else "p95"
    print(
        f"{name:<40} n {len(ordered):>6}   median {statistics.median(ordered):.2f} s   p95 {p95:.2f} s   "
        f"target: {of} <= {target:g} s: {'met' if met else 'MISSED'}",
        flush=True,
    )
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="clicks on Train")
    parser.add_argument("--runs", type=int, default=3, help="runs whose every step is timed")
    parser.add_argument("--steps", type=int, default=1500, help="steps of each of them")
    given = parser.parse_args()
    names = [os.environ.get("PRUNE_LAB_CHROMIUM", ""), *CHROMIUM]
    chromium = next((path for name in names if name and (path := shutil.which(name))), None)
    if chromium is None:
        sys.exit("No Chromium: install it (Debian: apt-get install chromium) or set PRUNE_LAB_CHROMIUM.")
    from playwright.sync_api import sync_playwright

    print(machine())
    with tempfile.TemporaryDirectory() as home, lab(home) as url, sync_playwright() as playwright:
        os.environ["PRUNE_LAB_HOME"], os.environ["PRUNE_LAB_PUBLISH"] = home, "off"
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        met = [told("step -> seen", steps_seen(page, url, home, given.runs, given.steps), SEEN_S, 0.95)]
        met.append(told("click on Train -> first live point", first_points(page, url, given.rounds), FIRST_S, 0.5))
        browser.close()
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
