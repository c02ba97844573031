"""The Runs page as a visitor uses it: tick two runs, compare them, take the link along."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from lab_browser_tools import PATIENCE_S, drawn, fits, shown, zoom

import prune_core as pc
from prune_core.events import EvalEvent

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

TOKEN = "token"
SAMPLES = "/runs?runs=sample-clipped-and-pruned,sample-dense"


def tick(page: Any, row: int) -> None:
    """Click the box in front of a row: the table is painted, so its place has to be known."""
    canvas = page.locator("[data-testid=stDataFrame] canvas").first
    canvas.locator(f"tr[aria-rowindex='{row + 2}']").wait_for(state="attached")  # its rows, for those who cannot see
    above = page.locator("[data-testid=stDataFrame] .dvn-scroller").first  # takes the clicks for the canvas
    above.click(position={"x": 15, "y": 35 + 35 * row + 18})


def ready(page: Any) -> None:
    """Wait until the charts and the tables stand there."""
    shown(page, page.locator(".lab-gd").first)  # below the fold of a narrow window it is not drawn yet
    page.locator(".lab-gd .main-svg").first.wait_for()
    drawn(page)
    page.locator("[data-testid=stDataFrame] canvas").nth(1).wait_for()


def test_two_runs_are_ticked_and_compared(visit: Any, shot: Any) -> None:
    page = visit("/")  # the link of the page comes from the menu here, and from the address in the next test
    page.get_by_role("link", name="Runs").click()
    tick(page, 0)
    page.get_by_text("All settings").wait_for()
    page.wait_for_url("**/runs?runs=sample-clipped-and-pruned")
    tick(page, 1)
    page.get_by_text("2 runs compared").wait_for()
    page.wait_for_url(re.compile("sample-clipped-and-pruned(,|%2C)sample-dense"))
    ready(page)
    names = "new Set(document.querySelector('.lab-gd')._fullData?.map((t) => t.name))"
    page.wait_for_function(f"() => {names}.size === 2")  # each run has a line of its own name
    shot(page, "runs-compared")
    page.get_by_role("button", name="Choose none").click()
    page.get_by_text("Tick a run").wait_for()


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
def test_a_link_opens_the_comparison(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit(SAMPLES, theme=theme, width=width)
    page.get_by_text("2 runs compared").wait_for()
    page.get_by_text("What is set differently").wait_for()
    ready(page)
    fits(page)
    shot(page, f"runs-{theme}-{width}")


def test_from_a_run_to_train_and_to_prune(visit: Any) -> None:
    page = visit("/runs?runs=sample-dense")
    page.get_by_role("link", name="Prune it").click()
    page.wait_for_url("**/prune?run=sample-dense*")
    page = visit("/runs?runs=sample-dense")  # not back: how many entries Prune has made by now depends on its speed
    page.get_by_role("link", name="Open on Train").click()
    page.wait_for_url(re.compile("[?&]run=sample-dense"))
    page.get_by_text("Sample run").first.wait_for()


def begun(store: Any, name: str) -> str:
    """A run that this test executes, taken before a worker of the lab does."""
    experiment = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=200))
    while True:
        run_id = store.create(experiment, name=name)
        if store.claim(run_id, TOKEN):
            return str(run_id)
        store.wait(run_id, timeout=PATIENCE_S)
        store.delete([run_id])


@contextmanager
def alive(store: Any, *run_ids: str) -> Iterator[None]:
    """Keep saying that runs are alive: the lab ends those that say nothing for seconds."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(0.5):
            for run_id in run_ids:
                store.heartbeat(run_id, TOKEN)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def go_on(store: Any, run_id: str, first: int, last: int) -> None:
    """Record steps, with an evaluation at the last one."""
    step = np.arange(first, last + 1.0)
    columns = [step, 2 / step, *([np.full_like(step, 0.5)] * 6)]
    evaluation = EvalEvent(last, 0.9, 0.3, 355, (0.9,) * 10)
    store.append(run_id, TOKEN, steps=np.column_stack(columns), evals=[evaluation])


def test_a_live_comparison_keeps_its_place(visit: Any, server: Any, shot: Any) -> None:
    store = server.store()
    run_id = begun(store, "still going")
    go_on(store, run_id, 1, 60)
    with alive(store, run_id):
        page = visit(f"/runs?runs=sample-dense,{run_id}")
        page.get_by_text("2 runs compared").wait_for()
        ready(page)
        chart = page.locator(".lab-gd").first
        shown(page, chart)
        zoom(page, page.locator(".lab-chart").first, (0.1, 0.1), (0.5, 0.6))
        view = "(chart) => [...chart._fullLayout.xaxis.range]"
        zoomed = chart.evaluate(view)
        page.evaluate("() => { window.__table = document.querySelector('[data-testid=stDataFrame]'); }")

        another = begun(store, "another")
        store.finish(another, TOKEN, "finished", "all steps made", {})
        go_on(store, run_id, 61, 120)
        page.wait_for_function("() => document.querySelector('.lab-gd').data.at(-1).x.length === 2")
        page.get_by_text("Show 1 new run").wait_for()
        assert chart.evaluate(view) == zoomed
        assert page.evaluate("() => window.__table.isConnected"), "the table is the one that was there"
        page.get_by_text("Show 1 new run").click()
        page.get_by_text("Show 1 new run").wait_for(state="detached")
        assert re.search(f"sample-dense(,|%2C){run_id}", page.url), "both are still chosen"
        assert chart.evaluate(view) == zoomed
        shot(page, "runs-live")
    store.finish(run_id, TOKEN, "finished", "all steps made", {"accuracy": 0.9})
    store.delete([run_id, another])


def test_delete_can_be_taken_back(visit: Any, server: Any) -> None:
    store = server.store()
    run_id = begun(store, "to be deleted")
    go_on(store, run_id, 1, 60)
    store.finish(run_id, TOKEN, "finished", "all steps made", {"accuracy": 0.9})
    page = visit(f"/runs?runs={run_id}")
    page.get_by_role("button", name="Delete 1 run").click()
    page.get_by_text("Tick a run").wait_for()
    assert store.run(run_id).deleted
    page.get_by_role("button", name="Undo: bring back 1 run").click()
    page.get_by_role("heading", name="to be deleted").wait_for()
    assert not store.run(run_id).deleted
    store.delete([run_id])
