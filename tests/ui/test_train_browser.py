"""The Train page as a visitor uses it: first view, a run to its end, a run that is steered, a refresh in mid-run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lab_browser_tools import PATIENCE_S, drawn, fits, nudge, shown, until, zoom

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

LONG = "/train?train.steps=5000000&model=mlp"  # far longer than a test: what is done with it happens in mid-run


def run_id(page: Any) -> str:
    page.wait_for_url(re.compile(r"[?&]run="))
    return re.search(r"[?&]run=([^&]+)", page.url)[1]


def button(page: Any, name: str) -> Any:
    return page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True)


def ready(page: Any) -> None:
    """The charts that are in sight stand."""
    drawn(page)


@pytest.fixture
def going(visit: Any, server: Any) -> Any:
    """A page with a long run that has begun."""
    page = visit(LONG)
    ready(page)
    button(page, "Train").click()
    button(page, "Stop").wait_for()
    new, store = run_id(page), server.store()
    until(page, lambda: store.run(new).step > 0, "its first step")
    page.get_by_text(re.compile(r"Step [1-9]")).first.wait_for()
    return page


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_a_newcomer_sees_a_finished_run(visit: Any, shot: Any, theme: str, width: int) -> None:
    page = visit("/train", theme=theme, width=width)
    shown(page, page.locator(".lab-chart").first)  # on a phone the charts begin below the window
    ready(page)
    page.get_by_text("Sample run").first.wait_for()
    playwright.expect(page.locator(".lab-lesson")).to_contain_text("removed 0 of 13")
    fits(page)
    shot(page, f"train-first-{theme}-{width}")


def test_a_run_from_the_click_to_the_end(visit: Any, server: Any, shot: Any) -> None:
    page = visit("/train?train.steps=120&prune.schedule.start=20&prune.schedule.stop=80")
    ready(page)
    button(page, "Train").click()
    new = run_id(page)
    page.get_by_text("120 of 120 steps").first.wait_for()
    store = server.store()
    assert store.wait(new, timeout=PATIENCE_S) == "finished"
    accuracy = f"{store.run(new).accuracy:.1%}".replace("%", " %")
    playwright.expect(page.locator("[data-testid=stMetricValue]").first).to_have_text(accuracy)
    shot(page, "train-finished")


def test_a_threshold_changed_in_mid_run_is_marked_and_recorded(going: Any, server: Any, shot: Any) -> None:
    new = run_id(going)
    slider = going.get_by_role("slider", name="Clip threshold").first
    store = server.store()
    nudge(going, slider, "ArrowRight", lambda: len(store.marks(new)), "a mark of the change")
    marks = store.marks(new)
    assert marks["field"].tolist() == ["clip_threshold"]
    value = marks["value"].iloc[0]
    assert value > store.run(new).experiment.clip.threshold
    # drawn where it happened: a vertical line of that step on the charts
    shapes = "() => (document.querySelector('.lab-gd')?._fullLayout?.shapes ?? []).map((s) => Number(s.x0))"
    going.wait_for_function(f"({shapes})().includes({int(marks['step'].iloc[0])})")
    shot(going, "train-changed-in-mid-run", full=False)


def test_a_refresh_in_mid_run_loses_nothing(going: Any, server: Any) -> None:
    new, store = run_id(going), server.store()
    before = store.run(new).step
    going.reload()
    ready(going)
    assert run_id(going) == new
    button(going, "Stop").wait_for()  # it is still this visitor's
    assert store.run(new).status == "running"
    x = "document.querySelector('.lab-gd')._fullData[0].x"
    assert going.evaluate(f"() => {x}[0]") == 1, "the chart begins where the run began"
    until(going, lambda: store.run(new).step > before, "the run goes on")
    for _ in range(3):  # redrawn thrice: whatever the sliders had to send is with the run by then
        going.wait_for_function(f"(last) => {x}.at(-1) > last", arg=going.evaluate(f"() => {x}.at(-1)"))
    assert not len(store.marks(new)), "sliders that come back move nothing"
    assert going.get_by_role("slider", name="Target sparsity").get_attribute("aria-valuetext") == "90%"


def test_pause_one_step_and_stop(going: Any, server: Any) -> None:
    new, store = run_id(going), server.store()
    button(going, "Pause").click()
    assert store.wait(new, ["paused"], timeout=PATIENCE_S) == "paused"
    button(going, "Resume").wait_for()
    held = store.run(new).step
    going.get_by_role("button", name="Step", exact=True).click()
    until(going, lambda: store.run(new).step != held, "one step")
    assert store.run(new).step == held + 1
    button(going, "Stop").click()
    assert store.wait(new, timeout=PATIENCE_S) == "stopped"
    button(going, "Train").wait_for()
    going.get_by_text("Stopped").first.wait_for()


def test_zoom_stays_and_no_frame_is_blank_while_it_runs(going: Any) -> None:
    going.evaluate(
        """() => {
            const gd = document.querySelector('.lab-gd'); gd.mine = true; window.blank = 0; window.frames_ = 0;
            const look = () => {
                const svg = document.querySelector('.lab-gd .main-svg'), box = svg?.getBoundingClientRect();
                const line = document.querySelector('.lab-gd .scatterlayer path.js-line');
                if (!svg || box.width < 50 || !line) window.blank++;
                window.frames_++; requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        }"""
    )
    zoom(going, going.locator(".lab-chart").first, (0.2, 0.1), (0.7, 0.9))
    view = "() => document.querySelector('.lab-gd')._fullLayout.xaxis.range.map(Number)"
    points = "() => document.querySelector('.lab-gd')._fullData[0].x.at(-1)"
    zoomed, last = going.evaluate(view), going.evaluate(points)
    going.wait_for_function(f"({points})() > {last} + 200")
    assert going.evaluate(view) == pytest.approx(zoomed)
    assert going.evaluate("() => document.querySelector('.lab-gd').mine"), "the chart was never taken away"
    going.wait_for_function("() => window.frames_ > 10")
    assert going.evaluate("() => window.blank") == 0


def test_somebody_else_may_watch_and_not_steer(going: Any, visit: Any) -> None:
    run_id(going)  # its address names the run a moment after the page shows it
    other = visit(going.url.removeprefix(going.url.split("/train?")[0]))
    ready(other)
    other.get_by_text("You are watching").first.wait_for()
    playwright.expect(button(other, "Stop")).to_be_disabled()


def test_points_in_the_plane_show_their_boundary(visit: Any, shot: Any) -> None:
    page = visit("/train?data=moons&model=mlp&train.steps=100&prune=none", theme="dark")
    ready(page)
    button(page, "Train").click()
    page.get_by_text("100 of 100 steps").first.wait_for()
    page.get_by_text("boundary").first.wait_for()
    shot(page, "train-moons-dark")


def test_a_run_that_diverges_is_a_result(visit: Any, shot: Any) -> None:
    page = visit("/train?data=digits&model=mlp&clip=none&prune=none&train.lr=100&train.weight_decay=1&train.steps=200")
    ready(page)
    button(page, "Train").click()
    page.get_by_text("Diverged").first.wait_for()
    shot(page, "train-diverged", full=False)


def test_a_mistake_is_a_sentence_and_keeps_what_was_typed(visit: Any) -> None:
    page = visit("/train")
    ready(page)
    field = page.get_by_role("textbox", name=re.compile("Threshold.*exactly"))
    field.fill("-1")
    field.press("Enter")
    page.get_by_text(re.compile("greater than 0 and at most")).first.wait_for()
    playwright.expect(button(page, "Train")).to_be_disabled()
    assert float(field.input_value()) == -1
    field.fill("0.02")
    field.press("Enter")
    playwright.expect(button(page, "Train")).to_be_enabled()
