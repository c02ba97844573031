"""A lesson as a visitor uses it: a file is dropped, a value changed, the figure follows, a question is answered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from lab_browser_tools import drawn, fits, shown

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lessons"))
from lab_lesson_tools import clipping_lesson

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

BARS = "() => Array.from(document.querySelector('.lab-gd')?._fullData?.[0]?.y ?? [])"


@pytest.fixture
def lessons(server: Any) -> Any:
    """The server's folder with one lesson, dropped while it runs."""
    path = clipping_lesson(server.home / "lessons" / "02_clipping.ipynb")
    yield path
    path.unlink()


def test_a_dropped_lesson_answers_to_its_slider_and_asks(visit: Any, lessons: Path, shot: Any) -> None:
    page = visit("/lessons")
    page.get_by_text("What clipping cuts").wait_for()
    shot(page, "lessons-light-1280")
    page.locator(".st-key-lesson_card_0").get_by_role("button", name="Open").click()
    page.get_by_text("All cells executed").wait_for()
    drawn(page)
    page.wait_for_url("**/lessons?lesson=02_clipping")
    page.locator(".katex").first.wait_for()
    page.evaluate("() => { document.querySelector('.lab-gd').mine = true; }")
    before = page.evaluate(BARS)
    slider = page.get_by_role("slider", name="Clip threshold")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_function(f"(before) => JSON.stringify(({BARS})()) !== JSON.stringify(before)", arg=before)
    assert page.evaluate("() => document.querySelector('.lab-gd').mine"), "the figure is updated in its place"
    page.wait_for_url("**threshold=0.2*")
    page.get_by_text("All cells executed").wait_for()

    # a second visitor, with the link: the same values; and without it, the lesson's own
    other = visit("/lessons?lesson=02_clipping", context=None)
    drawn(other)
    playwright.expect(other.get_by_role("slider", name="Clip threshold")).to_have_attribute("aria-valuetext", "0.1")
    assert other.evaluate(BARS) == before

    question = page.locator(".st-key-lesson_exercise_what")
    question.get_by_text("the update", exact=True).click()
    question.get_by_role("button", name="Check").click()
    question.get_by_text("All 200 entries are still there.").wait_for()
    shot(page, "lessons-answered-light-1280")

    page.go_back()
    page.locator(".st-key-lesson_card_0").wait_for()


def test_a_lesson_on_a_phone_in_the_dark(visit: Any, lessons: Path, shot: Any) -> None:
    page = visit("/lessons?lesson=02_clipping&way=norm", theme="dark", width=390)
    page.get_by_text("All cells executed").wait_for()
    shown(page, page.locator(".lab-chart"))
    drawn(page)
    fits(page)
    shot(page, "lessons-dark-390")
    # the panel stays in reach at the end of the page
    page.get_by_text("Which share of the entries is cut?").scroll_into_view_if_needed()
    playwright.expect(page.locator(".st-key-lesson_panel")).to_be_in_viewport()
