"""The Methods page as a visitor sees it, wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_first_view_and_a_search(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit("/methods", theme=theme, width=width)
    page.locator("img.lab-method").first.wait_for(timeout=60_000)
    page.locator(".katex").first.wait_for(timeout=30_000)
    page.wait_for_timeout(800)
    shot(page, f"methods-{theme}-{width}")
    assert page.locator("img.lab-method").count() >= 25
    # nothing is wider than the window
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_label("Find").fill("synflow")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("img.lab-method")).to_have_count(1, timeout=30_000)
    page.get_by_text("Picture, settings, code").click()
    page.get_by_text("pc.SynFlow(").wait_for(timeout=10_000)
    page.wait_for_timeout(500)
    shot(page, f"methods-found-{theme}-{width}")
    assert "find=synflow" in page.url
