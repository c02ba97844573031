"""The guided tour in a browser, from its first stop to its last, as a visitor takes it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lab_browser_tools import fits

from prune_ui.tour_steps import STEPS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

TOTAL = len(STEPS)


def button(page: Any, name: str) -> Any:
    found = page.locator(".st-key-lab_tour").get_by_role("button", name=name, exact=True)
    playwright.expect(found).to_have_count(1)  # while a page gives way to another, both are there
    return found


def guess(page: Any, at: int) -> None:
    """Make the guess of a stop; what it is does not matter, the first option or where the slider stands."""
    panel, question = page.locator(".st-key-lab_tour"), STEPS[at - 1].question
    panel.get_by_text(question.text).first.wait_for()
    assert panel.locator(".lab-guess").count() == 0
    if question.options:
        panel.locator("[data-testid=stRadio] label").filter(has_text=question.options[0]).first.click()
    button(page, "That is my guess").click()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_from_the_first_stop_to_the_last(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit("/", theme=theme, width=width)
    if width < 700:  # the way in is in the menu at the side
        page.goto(page.url + "?tour=1")
    else:
        page.get_by_role("button", name="Take the tour").click()
    panel = page.locator(".st-key-lab_tour")
    for at, step in enumerate(STEPS, 1):
        panel.get_by_text(f"Tour · {at} of {TOTAL}").wait_for()
        panel.get_by_text(step.title, exact=True).wait_for()
        page.wait_for_url(re.compile(rf"[?&]tour={at}(&|$)"))
        if step.question is not None:
            guess(page, at)
            playwright.expect(page.locator(".lab-veil")).to_have_count(0)
            if step.name != "race" or step.action == "":  # the others need a race first
                panel.locator(".lab-guess").wait_for()
        if at == 2 and theme == "light":
            button(page, step.action).click()
            page.wait_for_url(re.compile(r"[?&]race=race-"))
            page.get_by_text(re.compile("Running|Finished")).first.wait_for()
        if at in (1, 4):
            fits(page)
            shot(page, f"tour-{at}-{theme}-{width}", full=False)
        button(page, "Finish" if at == TOTAL else "Next").click()
    playwright.expect(panel).to_have_count(0)
    page.wait_for_url(lambda url: "tour=" not in url)


def test_a_refresh_comes_back_to_the_stop_and_another_page_shows_the_way_back(visit: Any) -> None:
    page = visit("/?tour=6")
    page.wait_for_url(re.compile("/prune.*tour=6|tour=6"))
    page.get_by_role("button", name="Back to the tour").click()
    page.locator(".st-key-lab_tour").get_by_text(f"Tour · 6 of {TOTAL}").wait_for()
    page.reload()
    page.locator(".st-key-lab_tour").get_by_text(f"Tour · 6 of {TOTAL}").wait_for()
    assert "/prune" in page.url
