"""What browser tests wait for. Nothing is read once and nothing is slept: a slow machine only takes longer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0  # far beyond what anything here takes, so that only what never comes fails

# a chart is drawn when it has data and the size of its place; those far out of sight are not drawn, by design
_DRAWN = """(least) => {
    const all = [...document.querySelectorAll('.lab-gd')];
    const stands = (gd) => gd._fullData?.length && gd.querySelector('.main-svg')
        && gd._fullLayout.width === Math.round(gd.parentElement.clientWidth);
    const seen = (gd) => {
        const box = gd.parentElement.getBoundingClientRect();
        return box.width && box.height && box.top < innerHeight && box.bottom > 0;
    };
    return all.filter(stands).length >= least && all.filter(seen).every(stands);
}"""


def drawn(page: Any, least: int = 1) -> None:
    """Wait until every chart in the window is drawn, and ``least`` of them altogether."""
    page.wait_for_function(_DRAWN, arg=least)


def still(page: Any) -> None:
    """Wait until no script runs: a key that is pressed while one does may meet a widget that gives way to another."""
    page.wait_for_function("() => document.querySelector('.stApp')?.dataset.testScriptState === 'notRunning'")


def shown(page: Any, locator: Any) -> None:
    """Scroll to ``locator`` as often as it takes: a rerun may put another element in its place meanwhile."""
    from playwright.sync_api import Error  # not everybody has it

    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return locator.scroll_into_view_if_needed(timeout=5_000)
        except Error:
            if time.monotonic() > deadline:
                raise
            page.wait_for_timeout(50)


def fits(page: Any) -> None:
    """Wait until nothing is wider than the window; a page that was just resized takes a moment."""
    page.wait_for_function("() => document.documentElement.scrollWidth <= window.innerWidth")


def zoom(page: Any, chart: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box from ``start`` to ``end``, shares of the plot, until the chart takes it: it may move meanwhile."""
    from playwright.sync_api import Error  # not everybody has it

    deadline = time.monotonic() + PATIENCE_S
    while True:
        plot = chart.locator(".nsewdrag").first.bounding_box()
        at = [(plot["x"] + plot["width"] * x, plot["y"] + plot["height"] * y) for x, y in (start, end)]
        page.mouse.move(*at[0])
        page.mouse.down()
        page.mouse.move(*at[1], steps=5)
        page.mouse.up()
        try:
            return chart.locator("[data-action=reset]").wait_for(timeout=5_000)
        except Error:
            if time.monotonic() > deadline:
                raise


def nudge(page: Any, slider: Any, key: str, condition: Callable[[], object], what: str) -> None:
    """Press ``key`` on a slider until ``condition``: while the page draws it anew a key may be lost, not once moved."""
    deadline = time.monotonic() + PATIENCE_S
    before = slider.input_value()
    while not condition():
        assert time.monotonic() < deadline, f"in {PATIENCE_S:g} s it never came to this: {what}"
        if slider.input_value() == before:
            slider.focus()
            slider.press(key)
        patience = time.monotonic() + 5.0
        while not condition() and time.monotonic() < patience:
            page.wait_for_timeout(50)


def end_all(store: Any) -> None:
    """End every run that waits or goes, so that no test waits for what another has left."""
    from prune_core.errors import StoreError

    while len(rows := store.runs(statuses=["queued", "running", "paused"])):
        for run_id in rows["id"]:
            with contextlib.suppress(StoreError):  # it has ended by itself
                store.send(run_id, "stop")
        for run_id in rows["id"]:
            store.wait(run_id, timeout=PATIENCE_S)


def until(page: Any, condition: Callable[[], object], what: str) -> None:
    """Wait for ``condition``, of the store say, while the page goes on; fails with ``what`` where it never comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"in {PATIENCE_S:g} s it never came to this: {what}"
        page.wait_for_timeout(50)
