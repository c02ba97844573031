"""The Methods page as a visitor sees it, wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any

import pytest
from lab_browser_tools import fits

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_first_view_and_a_search(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit("/methods", theme=theme, width=width)
    page.locator(".katex").first.wait_for()
    pictures = "[...document.querySelectorAll('img.lab-method')]"
    page.wait_for_function(f"() => {pictures}.length >= 25 && {pictures}.every((i) => i.complete && i.naturalWidth)")
    assert page.locator(".katex-error").count() == 0, "every formula is LaTeX that can be drawn, with numbers in it too"
    fits(page)
    shot(page, f"methods-{theme}-{width}")
    page.get_by_label("Find").fill("synflow")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("img.lab-method")).to_have_count(1)
    page.get_by_text("Picture, settings, code").click()
    page.get_by_text("pc.SynFlow(").wait_for()
    shot(page, f"methods-found-{theme}-{width}")
    page.wait_for_url("**/methods?*find=synflow*")
