"""The Runs page as a visitor uses it: tick two runs, compare them, take the link along."""

from __future__ import annotations

import re
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

SAMPLES = "/runs?runs=sample-clipped-and-pruned,sample-dense"


def tick(page: Any, row: int) -> None:
    """Click the box in front of a row: the table is painted, so its place has to be known."""
    canvas = page.locator("[data-testid=stDataFrame] canvas").first
    canvas.wait_for(timeout=60_000)
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + 15, box["y"] + 35 + 35 * row + 18)


def drawn(page: Any) -> None:
    """Wait until the first chart and the tables stand there."""
    page.locator(".lab-gd .main-svg").first.wait_for(timeout=60_000)
    page.locator("[data-testid=stDataFrame] canvas").nth(1).wait_for(timeout=30_000)


def test_two_runs_are_ticked_and_compared(visit: Any, shot: Any) -> None:
    page = visit("/")  # the link of the page comes from the menu here, and from the address in the next test
    page.get_by_role("link", name="Runs").click()
    tick(page, 0)
    page.get_by_text("All settings").wait_for(timeout=30_000)
    page.wait_for_url("**/runs?runs=sample-clipped-and-pruned", timeout=20_000)
    tick(page, 1)
    page.get_by_text("2 runs compared").wait_for(timeout=30_000)
    page.wait_for_url(re.compile("sample-clipped-and-pruned(,|%2C)sample-dense"), timeout=20_000)
    drawn(page)
    lines = page.evaluate("() => document.querySelector('.lab-gd')._fullData.map((t) => t.name)")
    assert len(set(lines)) == 2, "each run has a line of its own name"
    shot(page, "runs-compared")
    page.get_by_role("button", name="Choose none").click()
    page.get_by_text("Tick a run").wait_for(timeout=20_000)


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
def test_a_link_opens_the_comparison(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit(SAMPLES, theme=theme, width=width)
    page.get_by_text("2 runs compared").wait_for(timeout=60_000)
    page.get_by_text("What is set differently").wait_for(timeout=20_000)
    drawn(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
    shot(page, f"runs-{theme}-{width}")


def test_from_a_run_to_train_and_to_prune(visit: Any) -> None:
    page = visit("/runs?runs=sample-dense")
    page.get_by_role("link", name="Prune it").click(timeout=60_000)
    page.wait_for_url("**/prune?run=sample-dense*", timeout=30_000)
    page.go_back()
    page.get_by_role("link", name="Open on Train").click(timeout=60_000)
    page.get_by_text("Sample run").first.wait_for(timeout=30_000)
    assert "run=sample-dense" in page.url
