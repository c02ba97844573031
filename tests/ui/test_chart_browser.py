"""The chart in a real browser: nothing blinks, zoom stays, the handle answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_browser_tools import drawn, fits, shown, until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")

ROOT = Path(__file__).resolve().parents[2]
ORANGE = (0xB9, 0x4E, 0x06)  # clipping, light theme
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, serve: Any) -> Iterator[str]:
    """A lab server around the test's own page, started from another folder."""
    script = str(ROOT / "tests/ui/chart_app.py")
    with serve(tmp_path_factory.mktemp("elsewhere"), "--no-engine", "--script", script) as url:
        yield url


@pytest.fixture
def opened(visit_other: Any, address: str) -> Iterator[Any]:
    """Opens the test's own page with its charts drawn; whatever goes wrong in it fails the test."""
    with visit_other(address) as visit:

        def show(path: str = "/", *, charts: int = 3, **window: Any) -> Any:
            page = visit(path, **window)
            drawn(page, charts)
            return page

        yield show


@pytest.fixture
def page(opened: Any) -> Any:
    """A visitor's window on two charts that move and one to drag."""
    return opened(height=1100)


def live(page: Any) -> Any:
    return page.locator(".lab-chart").first


def ticks(page: Any, more: int) -> None:
    """Wait until the page has been updated ``more`` times."""
    number = "() => Number(document.body.innerText.match(/tick (\\d+)/)?.[1] ?? 0)"
    goal = page.evaluate(number) + more
    page.wait_for_function(f"({number})() >= {goal}")


def view(page: Any) -> list[float]:
    return page.evaluate("() => document.querySelector('.lab-gd')._fullLayout.xaxis.range.map(Number)")


POINTS = "document.querySelector('.lab-gd')._fullData[0].x.length"
"""How many points the first line shows, as JavaScript."""


def test_updates_keep_the_node_and_leave_no_blank_frame(page: Any, tmp_path: Path) -> None:
    nodes = "['.lab-gd', '.lab-gd .main-svg'].map((s) => document.querySelector(s))"
    page.evaluate(f"() => {nodes}.forEach((n) => {{ n.mine = true }})")
    before = page.evaluate(f"() => {POINTS}")
    frames: list[bytes] = []
    session = page.context.new_cdp_session(page)

    def keep(event: dict[str, Any]) -> None:
        frames.append(base64.b64decode(event["data"]))
        session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    box = live(page).locator(".lab-gd").bounding_box()
    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
    ticks(page, 12)
    page.wait_for_function(f"() => {POINTS} >= {before + 10}")
    until(page, lambda: len(frames) >= 8, "eight frames")  # each is asked for when the one before has come
    session.send("Page.stopScreencast")
    page.screenshot(path=str(tmp_path / "live.png"))

    assert page.evaluate(f"() => {nodes}.every((n) => n.mine)")
    for frame in frames:
        assert coloured(frame, box) > 100, "a frame without the line"


def coloured(frame: bytes, box: dict[str, float]) -> int:
    """Pixels of the clipped line's colour within the chart."""
    picture = Image.open(io.BytesIO(frame)).convert("RGB")
    scale = picture.width / 1280
    edges = [round(v * scale) for v in (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])]
    pixels = np.asarray(picture.crop(tuple(edges)), dtype=int)  # (height, width, 3)
    return int((np.abs(pixels - ORANGE).sum(axis=2) < 90).sum())


def test_zoom_and_legend_stay_and_the_whole_view_returns(page: Any) -> None:
    plot = live(page).locator(".nsewdrag").bounding_box()
    page.mouse.move(plot["x"] + plot["width"] * 0.3, plot["y"] + 30)
    page.mouse.down()
    ticks(page, 2)  # updates come in while the box is drawn
    page.mouse.move(plot["x"] + plot["width"] * 0.6, plot["y"] + 90, steps=6)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('.lab-gd')._fullLayout.xaxis.range[1] < 390")
    zoomed = view(page)
    assert 60 < zoomed[0] < 200 and 180 < zoomed[1] < 330
    live(page).locator(".legendtoggle").first.click()
    first = "document.querySelector('.lab-gd')._fullData[0]"
    page.wait_for_function(f"() => {first}.visible === 'legendonly'")
    ticks(page, 5)
    assert view(page) == zoomed
    assert page.evaluate(f"() => {first}.visible") == "legendonly"

    live(page).hover()
    live(page).get_by_role("button", name="Show everything again").click()
    page.wait_for_function("() => document.querySelector('.lab-gd')._fullLayout.xaxis.range[1] > 390")
    shown = page.evaluate(f"() => {POINTS}")  # the whole view was drawn with data that were there already
    page.wait_for_function(f"() => {POINTS} > {shown + 1}")
    assert page.evaluate(f"() => {first}.visible") == "legendonly"


def test_hover_label_survives_updates(page: Any) -> None:
    plot = live(page).locator(".nsewdrag").bounding_box()
    page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 2)
    page.mouse.move(plot["x"] + plot["width"] / 2 + 3, plot["y"] + plot["height"] / 2, steps=3)
    label = live(page).locator(".hoverlayer .legend, .hoverlayer .hovertext")
    label.first.wait_for()
    ticks(page, 4)
    label.first.wait_for()  # a redraw takes it down and puts it back


def test_drag_and_keys_return_the_value(page: Any) -> None:
    chart = page.locator(".lab-chart").last
    grip = chart.get_by_role("slider")
    shown(page, grip)
    box = grip.bounding_box()
    pixel = page.evaluate(
        """() => {
          const axis = [...document.querySelectorAll('.lab-gd')].at(-1)._fullLayout.xaxis;
          return axis.d2p(0.08) - axis.d2p(0.05);
        }"""
    )
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + pixel, box["y"] + 10, steps=5)
    until(
        page, lambda: float(grip.get_attribute("aria-valuenow")) == pytest.approx(0.08, abs=0.002), "the grip at 0.08"
    )
    assert "threshold is 0.0500" in page.inner_text("body")  # nothing is sent before it is let go
    page.mouse.up()
    page.wait_for_function("() => /threshold is 0\\.0(79|80|81)/.test(document.body.innerText)")
    page.wait_for_function("() => /event drag 0\\.0(79|80|81)/.test(document.body.innerText)")
    grip.focus()
    page.keyboard.press("End")  # the bound, 0.15
    page.wait_for_function("() => document.body.innerText.includes('threshold is 0.1500')")


def test_click_on_a_bar_is_reported(page: Any) -> None:
    chart = page.locator(".lab-chart").last
    shown(page, chart)
    plot = chart.locator(".nsewdrag").bounding_box()
    page.mouse.click(plot["x"] + plot["width"] * 0.52, plot["y"] + plot["height"] * 0.9)
    page.wait_for_function("() => document.body.innerText.includes('event select')")


def test_table_and_picture_are_downloaded(page: Any) -> None:
    chart = page.locator(".lab-chart").last
    chart.hover()
    with page.expect_download() as table:
        chart.locator("[data-action=table]").click()
    lines = Path(table.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "weight,weights" and len(lines) == 81
    assert lines[40].startswith("-0.0025,")  # the 40th of 80 bins from -0.2 to 0.2 has its middle there
    with page.expect_download() as picture:
        chart.locator("[data-action=image]").click()
    assert picture.value.suggested_filename == "what-goes-below-the-line.png"
    with Image.open(picture.value.path()) as image:
        assert image.width > 900


def test_narrow_window_and_dark_theme(opened: Any) -> None:
    page = opened(width=390, theme="dark", charts=1)
    page.wait_for_selector(".lab-chart.dark .main-svg")
    fits(page)
    drawn(page)
    assert 280 < page.evaluate("() => document.querySelector('.lab-gd .main-svg').clientWidth") <= 390
    assert page.evaluate("() => document.querySelector('.lab-gd')._fullData[1].line.color").lower() == "#f5964a"


def test_eight_charts_follow(opened: Any) -> None:
    page = opened("/?charts=8", height=1700, charts=8)
    shown = "[...document.querySelectorAll('.lab-gd')].slice(0, 8).map((g) => g._fullData?.[0].x.length ?? 0)"
    before = page.evaluate(f"() => Math.max(...{shown})")
    ticks(page, 6)
    page.wait_for_function(f"() => Math.min(...{shown}) >= {before + 4}")
