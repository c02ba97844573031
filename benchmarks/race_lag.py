"""The default race: how long four lanes take, and worker's step -> seen in the browser, for each step of each lane."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from typing import Any

from _common import machine
from live_latency import CHROMIUM, lab, told

LAG_S, RACE_S = 1.0, 15.0  # targets: 95th percentile of the lag, the slowest of the races
LANES = 4
# the newest step of each lane on the chart of the loss, as soon as a frame shows it
WATCH = """() => {
  window.seen = [[], [], [], []];
  const look = () => {
    const chart = [...document.querySelectorAll('.lab-gd')].find((gd) => /^loss/.test(gd.layout?.yaxis?.title?.text));
    (chart?._fullData ?? []).slice(0, 4).forEach((trace, lane) => {
      const step = trace.x?.at(-1), seen = window.seen[lane];
      if (step !== undefined && step !== seen.at(-1)?.[0]) seen.push([step, Date.now() / 1000]);
    });
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def work(home: str, race: str, made: Any) -> None:
    """What a worker does with a race, and the wall-clock time of every step of each lane; in a process of its own."""
    import torch

    from prune_core.events import StepEvent
    from prune_core.tracking import Races, Store, execute_race
    from prune_core.tracking.recorder import Recorder

    torch.set_num_threads(1)
    store = Store(f"sqlite:///{home}/lab.db")
    lanes = list(Races(store).lanes(race).values())
    times: dict[str, list[float]] = {run_id: [] for run_id in lanes}
    note = Recorder.note

    def timed(self: Any, event: Any) -> None:
        if isinstance(event, StepEvent):
            times[self._run_id].append(time.time())
        note(self, event)

    Recorder.note = timed  # type: ignore[method-assign]
    began = time.monotonic()
    outcomes = execute_race(store, race, lanes, "bench")
    made.put(([times[run_id] for run_id in lanes], time.monotonic() - began, list(outcomes.values())))


def races(page: Any, url: str, home: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from each step in the worker until a frame shows it, and seconds of each race."""
    from prune_core.tracking import Races, Store
    from prune_core.training import RACE_PRESETS

    store, lags, took = Store(f"sqlite:///{home}/lab.db"), [], []
    start = multiprocessing.get_context("spawn")
    experiment = RACE_PRESETS[0].experiment
    for turn in range(rounds + 1):
        race = Races(store).create(experiment, owner="bench")
        made = start.Queue()
        worker = start.Process(target=work, args=(home, race, made))
        page.goto(f"{url}/?race={race}")
        page.get_by_text(re.compile("You are watching")).first.wait_for(timeout=60_000)
        page.evaluate(WATCH)
        worker.start()
        times, seconds, outcomes = made.get(timeout=600)
        assert outcomes == ["finished"] * LANES, outcomes
        steps = experiment.train.steps
        page.wait_for_function(f"() => window.seen.every((s) => s.at(-1)?.[0] === {steps})", timeout=60_000)
        worker.join()
        if not turn:  # the first compiles and fills caches, as a worker has done before anybody comes
            continue
        took.append(seconds)
        for lane, seen in zip(times, page.evaluate("() => window.seen"), strict=True):
            lags += [next(at for step, at in seen if step >= done) - t for done, t in enumerate(lane, 1)]
    return lags, took


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="races")
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
        page = browser.new_page(viewport={"width": 1280, "height": 1700})
        lags, took = races(page, url, home, given.rounds)
        met = [told("race: step -> seen", lags, LAG_S, 0.95), told("race of four lanes", took, RACE_S, 0.95)]
        browser.close()
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
