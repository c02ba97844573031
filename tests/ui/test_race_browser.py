"""The Race page as a visitor uses it: the default race to its end, a change in mid-race, a refresh, somebody else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lab_browser_tools import PATIENCE_S, fits, nudge, still, until

from prune_core.comparing import race_finding
from prune_core.tracking import Races, race_table

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

LONG = "/?train.steps=5000000&model=mlp&train.eval_every=5000"  # far longer than a test, which meets it in mid-race


def button(page: Any, name: str) -> Any:
    return page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True)


def race_of(page: Any) -> str:
    page.wait_for_url(re.compile(r"[?&]race=race-"))
    return re.search(r"[?&]race=([^&]+)", page.url)[1]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_a_newcomer_sees_a_finished_race(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit(theme=theme, width=width)
    playwright.expect(page.locator(".lab-lane")).to_have_count(4)
    playwright.expect(page.locator(".lab-lesson")).to_contain_text("removed 0 of 13")
    button(page, "Race").wait_for()
    formulas = page.locator("[class*='st-key-formula_']")
    playwright.expect(formulas.locator(".katex").first).to_be_visible()
    assert formulas.count() == 2
    inside = "(all) => all.every((e) => e.scrollWidth <= e.clientWidth)"
    assert formulas.locator("p").evaluate_all(inside), "no formula is cut off"
    fits(page)
    shot(page, f"race-first-{theme}-{width}")


def test_the_default_race_from_the_click_to_the_sentence(visit: Any, server: Any, shot: Any) -> None:
    page = visit()
    button(page, "Race").click()
    race, store = race_of(page), server.store()
    page.locator(f'.lab-lesson[data-race="{race}"]').wait_for()
    lanes = Races(store).lanes(race)
    assert {store.run(i).status for i in lanes.values()} == {"finished"}
    wanted = race_finding(race_table(store, lanes.values())).sentence
    playwright.expect(page.locator(".lab-lesson")).to_have_text(wanted)
    shot(page, "race-finished")


def test_a_change_in_mid_race_is_marked_in_the_lanes_it_concerns_and_a_refresh_loses_nothing(
    visit: Any, server: Any, shot: Any
) -> None:
    page = visit(LONG)
    page.get_by_text("changes the running race").click()
    button(page, "Race").click()
    race, store = race_of(page), server.store()
    lanes = Races(store).lanes(race)
    until(page, lambda: store.run(lanes["both"]).step > 0, "it goes")
    slider = page.get_by_role("slider", name="Clip threshold").first
    nudge(page, slider, "ArrowRight", lambda: len(store.marks(lanes["both"])), "a mark of the change")
    until(page, lambda: len(store.marks(lanes["clipping"])), "in both lanes that clip")
    steps = {int(store.marks(lanes[lane])["step"].iloc[0]) for lane in ("clipping", "both")}
    assert len(steps) == 1, "from the same step on"
    assert not len(store.marks(lanes["baseline"])) and not len(store.marks(lanes["pruning"]))
    # a refresh, of an address that has another threshold for the next race
    page.goto(re.sub(r"&clip\.threshold=[^&]+", "", page.url) + "&clip.threshold=0.5")
    assert race_of(page) == race
    button(page, "Pause").wait_for()  # it is still this visitor's
    other = visit(page.url.removeprefix(page.url.split("/?")[0]))  # somebody else
    other.get_by_text("You are watching").first.wait_for()
    assert button(other, "Pause").count() == 0
    button(page, "Pause").click()
    until(page, lambda: {store.run(i).status for i in lanes.values()} == {"paused"}, "all hold")
    assert len({store.run(i).step for i in lanes.values()}) == 1
    button(page, "Resume").wait_for()
    shot(page, "race-paused", full=False)
    button(page, "Stop").focus()
    page.keyboard.press("Enter")
    until(page, lambda: all(store.run(i).has_ended for i in lanes.values()), "it ended")
    assert {store.wait(i, timeout=PATIENCE_S) for i in lanes.values()} == {"stopped"}
    at = store.run(lanes["both"]).step
    playwright.expect(page.locator(".lab-lesson")).to_contain_text(re.compile(r"stopped at step [\d\u202f]+\)"))
    playwright.expect(page.locator(".lab-lane em").first).to_have_text(f"Stopped at step {at:,}".replace(",", "\u202f"))
    wanted = "by value, step " + f"{at:,}".replace(",", "\u202f")
    playwright.expect(page.locator(".st-key-formula_clipping_race")).to_contain_text(wanted)
    assert page.locator(".katex-error").count() == 0
    playwright.expect(slider).to_have_attribute("aria-valuetext", "0.5")  # back to what is set for the next race
    still(page)
    assert race_of(page) == race, "no other begins by itself"
    assert store.runs(statuses=["queued", "running", "paused"]).empty
