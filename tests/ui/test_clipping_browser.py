"""The Clipping page in a real browser: the line on the chart and the slider are one truth, with mouse and keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from lab_browser_tools import drawn, fits, nudge, shown, still, until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

VALUE = ".st-key-clipping-at-value input[type=range]"

SURFACE = "document.querySelector('.st-key-clipping-cliff_surface .lab-gd')"
NO_WEBGL = """HTMLCanvasElement.prototype.getContext = new Proxy(HTMLCanvasElement.prototype.getContext, {
    apply: (real, canvas, given) => (/webgl/.test(given[0]) ? null : Reflect.apply(real, canvas, given)),
})"""


def trace(chart: str, name: str) -> str:
    """A chart's line, as JavaScript."""
    return f"document.querySelector('.st-key-clipping-{chart} .lab-gd')?._fullData?.find((t) => t.name === '{name}')"


def says(page: Any, text: str) -> None:
    """Wait until the sentence at the top has ``text``."""
    plain = r"innerText.replace(/\u202f/g, '').replace(/\u00a0/g, ' ')"
    page.wait_for_function(f"(t) => document.querySelector('.lab-lesson')?.{plain}.includes(t)", arg=text)


def chosen(page: Any) -> float:
    """The threshold that the slider says, as people read it."""
    return float(page.locator(VALUE).first.get_attribute("aria-valuetext"))


def agree(page: Any) -> None:
    """Wait until slider, the handles of all charts, the dot on each curve and the sentence say the same threshold."""
    page.wait_for_function(
        f"""() => {{
            const wanted = Number(document.querySelector('{VALUE}')?.ariaValueText);
            const close = (v) => v && Math.abs(v / wanted - 1) < 1e-3;
            const said = Number(document.querySelector('.lab-lesson').innerText.match(/at ([\\d.e-]+) changed/)?.[1]);
            const grips = ['norm_after', 'changed', 'cosine', 'histogram'].map((name) =>
                Number(document.querySelector(`.st-key-clipping-${{name}} .lab-grip`)?.ariaValueNow));
            const dots = [{trace("norm_after", "now")}, {trace("changed", "now")}, {trace("cosine", "now")}];
            return wanted > 0 && close(said) && grips.every(close) && dots.every((t) => close(t?.x[0]));
        }}"""
    )


def dot(page: Any) -> float:
    """Share of entries changed, where the dot is."""
    return float(page.evaluate(f"() => {trace('changed', 'now')}.y[0]"))


@pytest.mark.parametrize(("theme", "widths"), [("light", (1280, 390)), ("dark", (390, 1280))])
def test_first_view(visit: Any, shot: Any, theme: str, widths: tuple[int, int]) -> None:
    """Opened wide and made narrow, and the other way round; nobody has to wait for an engine."""
    heights = {1280: 3000, 390: 5600}
    page = visit("/clipping", theme=theme, width=widths[0], height=heights[widths[0]])
    for width in widths:
        page.set_viewport_size({"width": width, "height": heights[width]})
        drawn(page, 8)
        says(page, "changed 18.8 % of the gradient's 13706 entries, turned it by 35.8°")
        says(page, "removed 0 of 13706 parameters")
        fits(page)
        shot(page, f"clipping-first-{theme}-{width}")


def test_the_line_on_the_chart_and_the_slider_are_one_truth(visit: Any, shot: Any) -> None:
    page = visit("/clipping", height=1300)
    drawn(page, 3)
    agree(page)
    before = dot(page)
    charts = "[...document.querySelectorAll('.lab-gd')]"
    page.evaluate(f"() => {charts}.forEach((n) => {{ n.mine = true }})")

    grip = page.locator(".st-key-clipping-changed .lab-grip").first
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 50, y, steps=6)
    page.mouse.up()
    until(page, lambda: chosen(page) < 0.005, "a lower threshold on the slider")
    agree(page)
    assert dot(page) > before, "the point on the curve went along: more entries are changed"
    page.wait_for_url("**/clipping?*t.value=*")
    dragged = chosen(page)

    still(page)
    slider = page.locator(VALUE).first
    nudge(page, slider, "ArrowRight", lambda: chosen(page) > dragged, "the slider's next stop")
    agree(page)
    assert chosen(page) == pytest.approx(dragged * 10**0.05, rel=0.01)

    still(page)
    grip = page.locator(".st-key-clipping-cosine .lab-grip").first
    grip.focus()
    grip.press("PageUp")
    until(page, lambda: chosen(page) > 1.5 * dragged, "the handle's keys move the slider")
    agree(page)
    assert page.evaluate(f"() => {charts}.filter((n) => n.mine).length") >= 3, "no chart was made anew"
    shot(page, "clipping-dragged")
    last = chosen(page)
    page.reload()
    drawn(page, 3)
    until(page, lambda: chosen(page) == last, "a refresh finds the threshold again")


def test_another_strategy_and_another_moment(visit: Any, shot: Any) -> None:
    page = visit("/clipping", height=1300)
    drawn(page, 3)
    page.locator(".st-key-clipping-lane").get_by_text("By norm", exact=True).click()
    says(page, "Clipping by norm at 1 changed 79.8 %")
    says(page, "did not turn it")
    page.get_by_label("Batch number", exact=True).fill("3")  # no file has it: the engine takes it
    page.get_by_label("Batch number", exact=True).press("Tab")
    page.wait_for_url("**/clipping?*draw=3*")
    says(page, "Clipping by norm at 1")
    drawn(page, 3)
    shot(page, "clipping-norm")
    with page.expect_download() as download:
        page.get_by_role("button", name="All curves (CSV)").click()
    rows = download.value.path().read_text().splitlines()
    assert rows[0] == "strategy,threshold,share_of_quiet,norm_before,norm_after,changed,cosine" and len(rows) > 600


def test_the_cliff_answers_its_sliders(visit: Any) -> None:
    page = visit("/clipping", height=1300)
    drawn(page, 3)
    cliff = page.locator(".st-key-clipping_cliff")
    cliff.scroll_into_view_if_needed()
    page.wait_for_function(f"() => {trace('cliff', 'clipped by norm')}")
    end = f"() => {trace('cliff_loss', 'clipped by norm')}?.y.at(-1)"
    before = page.evaluate(end)
    slider = cliff.locator("input[type=range]").first
    slider.focus()
    slider.press("ArrowLeft")
    page.wait_for_url("**/clipping?*cliff_lr=*")
    page.wait_for_function(f"(v) => {{ const now = ({end})(); return now && now !== v }}", arg=before)


def test_the_cliff_as_a_surface_keeps_its_camera(visit: Any, shot: Any) -> None:
    """It draws; turned by hand it stays turned while a slider moves; without WebGL a sentence stands in its place."""
    page = visit("/clipping", height=1300)
    drawn(page, 3)
    cliff, surface = page.locator(".st-key-clipping_cliff"), page.locator(".st-key-clipping-cliff_surface")
    shown(page, cliff)
    cliff.get_by_text("Surface", exact=True).click()
    page.wait_for_url("**/clipping?*cliff=surface*")
    shown(page, surface)
    scene = f"{SURFACE}?._fullLayout?.scene"
    page.wait_for_function(f"() => {scene}?._scene?.glplot && !{scene}._scene.glplot.contextLost")
    still(page)
    eye = (
        f"() => {{ const e = {scene}._scene.getCamera().eye; return [e.x, e.y, e.z].map((v) => v.toFixed(3)).join() }}"
    )
    before = page.evaluate(eye)
    box = surface.locator(".lab-gd").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=4)
    page.mouse.up()
    whole = surface.get_by_role("button", name="Show everything again")
    whole.wait_for()
    turned = page.evaluate(eye)
    assert turned != before, "a drag turns it"
    stops = "(t) => t.mode === 'markers' && t.name === 'clipped by norm'"
    end = f"{SURFACE}._fullData.find({stops}).customdata.at(-1)"
    loss = page.evaluate(f"() => {end}")
    slider = cliff.locator("input[type=range]").first
    slider.focus()
    slider.press("ArrowLeft")
    page.wait_for_function(f"(v) => {end} !== v", arg=loss)
    assert page.evaluate(eye) == turned, "the slider leaves the camera where it is"
    shot(page, "clipping-surface")
    whole.click()
    page.wait_for_function(f"(v) => ({eye})() === v", arg=before)

    page.add_init_script(NO_WEBGL)
    page.reload()
    shown(page, surface)
    surface.get_by_text("This browser draws no surfaces (WebGL is off)").wait_for()
    cliff.get_by_text("Map", exact=True).click()
    page.wait_for_function(f"() => {trace('cliff', 'clipped by norm')}")
