"""The Prune page in a real browser: the sliders, the handles, a refresh, and training on from there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lab_browser_tools import PATIENCE_S, drawn, fits, shown, still, until

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

DENSE = "/prune?run=sample-dense"


def ready(page: Any) -> None:
    """The four charts stand, and the curve behind them is whole."""
    drawn(page, 4)
    page.wait_for_function(f"() => ({trace('curve', 'measured')})?.x.length >= 14")


def trace(chart: str, name: str) -> str:
    """A chart's line, as JavaScript."""
    return f"document.querySelector('.st-key-prune-{chart} .lab-gd')?._fullData?.find((t) => t.name === '{name}')"


def slider(page: Any, name: str) -> Any:
    """The "sparsity" or the "threshold" slider above the charts."""
    return page.locator(f".st-key-prune-{name} input[type=range]").first


def lesson(page: Any) -> str:
    return str(page.locator(".lab-lesson").inner_text()).replace("\u202f", "").replace("\u00a0", " ")


def says(page: Any, text: str) -> None:
    """Wait until the sentence at the top has ``text``."""
    plain = r"innerText.replace(/\u202f/g, '').replace(/\u00a0/g, ' ')"
    page.wait_for_function(f"(t) => document.querySelector('.lab-lesson')?.{plain}.includes(t)", arg=text)


def said(page: Any) -> float:
    """The share in the sentence at the top, in percent."""
    return float(re.search(r"\(([\d.]+) %\)", lesson(page))[1])


def chosen(page: Any) -> float:
    """The share that the slider shows, in percent."""
    return 100 * float(slider(page, "sparsity").input_value())


def kept(page: Any) -> int:
    """Weights that the histogram shows as kept."""
    return int(page.evaluate(f"() => {trace('histogram', 'kept')}.y.reduce((a, b) => a + b, 0)"))


@pytest.mark.parametrize(("theme", "widths"), [("light", (1280, 390)), ("dark", (390, 1280))])
def test_first_view(visit: Any, shot: Any, theme: str, widths: tuple[int, int]) -> None:
    """Opened wide and made narrow, and the other way round."""
    heights = {1280: 1300, 390: 2600}
    page = visit("/prune", theme=theme, width=widths[0], height=heights[widths[0]])
    for width in widths:
        page.set_viewport_size({"width": width, "height": heights[width]})
        ready(page)
        assert "removes 6792 of 13584 weights (50.0 %)" in lesson(page)
        fits(page)
        shot(page, f"prune-first-{theme}-{width}")


def test_the_slider_moves_all_pictures_and_the_link(visit: Any, shot: Any) -> None:
    page = visit(f"{DENSE}&sparsity=0.9", height=1300)
    ready(page)
    charts = "[...document.querySelectorAll('.lab-gd')]"
    page.evaluate(f"() => {charts}.forEach((n) => {{ n.mine = true }})")
    before, threshold = kept(page), float(slider(page, "threshold").input_value())
    visited = page.evaluate("() => history.length")
    slider(page, "sparsity").focus()
    slider(page, "sparsity").press("PageUp")  # a tenth of the way: 99 %
    says(page, "(99.")
    page.wait_for_function(f"() => {trace('curve', 'now')}?.x[0] > 0.98")
    until(page, lambda: float(slider(page, "threshold").input_value()) > threshold, "a higher threshold")
    until(page, lambda: kept(page) < before, "fewer weights kept")
    page.wait_for_url("**/prune?*sparsity=0.99*")
    assert page.evaluate(f"() => {charts}.every((n) => n.mine)"), "no chart was made anew"
    assert page.evaluate("() => history.length") == visited, "Back leaves the page, and does not go through each move"
    shot(page, "prune-99")

    page.reload()
    ready(page)
    says(page, "(99.")


def test_the_line_in_the_histogram_is_the_threshold(visit: Any) -> None:
    page = visit(DENSE, height=1300)
    ready(page)
    grip = page.locator(".st-key-prune-histogram .lab-grip").first
    plot = page.locator(".st-key-prune-histogram .nsewdrag").bounding_box()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + plot["width"] * 0.08, y, steps=6)
    page.mouse.up()
    page.wait_for_function("() => Number(new URL(location).searchParams.get('sparsity')) > 0.6")
    page.wait_for_function(
        """() => {
            const at = Number(document.querySelector('.st-key-prune-histogram .lab-grip').ariaValueNow);
            const other = document.querySelector('.st-key-prune-threshold input[type=range]');
            return at > 0.1 && Math.abs(at - Number(other.value)) <= 2 * Number(other.step);
        }"""
    )
    until(page, lambda: said(page) == pytest.approx(chosen(page), abs=0.15), "the sentence says what the slider does")


def test_the_dot_walks_on_the_curve_while_it_is_drawn_along(visit: Any) -> None:
    page = visit(DENSE, height=1300)
    ready(page)
    grip = page.locator(".st-key-prune-curve .lab-grip").first
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    says(page, "(6")  # answered before it is let go
    page.locator(".st-key-prune-curve .lab-dot-now").wait_for()
    page.mouse.up()
    until(page, lambda: 55 < chosen(page) < 75, "the slider where the dot is")


def test_a_model_without_data(visit: Any, shot: Any) -> None:
    page = visit("/prune?model=squeezenet1_1&weights=random&sparsity=0.8&scope=layer", height=1300)
    says(page, "(80.0 %)")
    drawn(page, 3)
    page.get_by_text("no accuracy is measured").wait_for()
    assert page.locator(".st-key-prune-curve").count() == 0
    shot(page, "prune-torchvision")


def test_a_run_that_is_not_there(visit: Any, shot: Any) -> None:
    page = visit("/prune?run=nowhere", height=1300)
    page.get_by_text("Run nowhere cannot be pruned").wait_for(timeout=60_000)
    ready(page)
    assert page.get_by_text("Run nowhere cannot be pruned").is_visible(), "it stays said while the curve grows"
    shot(page, "prune-lost", full=False)


def test_fine_tune_from_here(visit: Any, server: Any, shot: Any) -> None:
    page = visit(f"{DENSE}&sparsity=0.95", height=1300)
    ready(page)
    page.get_by_label("Steps", exact=True).fill("60")
    page.get_by_label("Steps", exact=True).press("Tab")
    page.get_by_role("button", name="Fine-tune").click()
    page.wait_for_url(re.compile(r"[?&]run=(?!sample)"))
    run_id = re.search(r"[?&]run=([^&]+)", page.url)[1]
    store = server.store()
    assert store.wait(run_id, timeout=PATIENCE_S) == "finished"
    record = store.run(run_id)
    assert record.experiment.train.steps == 60
    assert store.history(run_id)["sparsity"].min() == pytest.approx(0.95, abs=1e-3), "pruned before the first step"
    page.get_by_text("Finished").filter(visible=True).first.wait_for()
    shot(page, "prune-fine-tuned")


def test_from_the_scan_to_a_budget_by_its_handle(visit: Any, shot: Any) -> None:
    page = visit(f"{DENSE}&show=layers&scope=sensitivity", height=1300)
    page.get_by_role("button", name="Measure every layer").click()
    measured = f"[...{trace('sensitivity', 'accuracy')}?.z ?? []].flatMap((row) => [...row]).filter(Number.isFinite)"
    page.wait_for_function(f"() => {measured}.length > 0", timeout=60_000)
    slider(page, "sparsity").press("PageUp")  # meanwhile the slider goes first
    says(page, "(60.")
    with page.expect_download(timeout=60_000) as download:
        page.locator(".st-key-prune-sensitivity-csv button").click()
    rows = download.value.path().read_text().splitlines()
    assert rows[0].startswith("layer,sparsity,removed") and len(rows) == 33, "four layers at eight sparsities"

    grip = page.locator(".st-key-prune-budget-chart .lab-grip").first
    shown(page, grip)
    line = page.locator(".st-key-prune-budget-chart .lab-line").first
    until(page, lambda: line.bounding_box()["height"] < 60, "the handle is of one row")
    grip.focus()
    grip.press("End")
    page.wait_for_url(re.compile(r"budget=.*7\.weight%3A0\.999"))
    page.wait_for_function(f"() => {trace('allocation', 'accuracy')}?.x[0] < 0.9", timeout=60_000)
    page.get_by_role("button", name="Fill from the scan").click()
    page.wait_for_url(lambda url: "7.weight%3A0.999" not in url and "budget=" in url)
    still(page)
    any_layer = page.locator(".st-key-prune-budget-chart .lab-rest:visible")
    until(page, lambda: any_layer.count() == 3, "a handle for each of the other layers")
    shown(page, any_layer.first)
    box = any_layer.first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(5, y, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"budget=0\.weight%3A0(%2C|,)"))
    until(page, lambda: "0.weight 0.0" in grip.get_attribute("aria-valuetext"), "that layer is the one in hand")
    shot(page, "prune-layers")
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Prune").click()
    page.get_by_role("tab", name="Layers").wait_for()
    shown(page, page.locator(".st-key-prune-sensitivity-csv button"))  # charts are drawn where they are seen
    page.wait_for_function(f"() => {measured}.length === 32", timeout=60_000)


def test_what_was_forgotten_shows_as_images_and_follows_the_slider(visit: Any, shot: Any) -> None:
    page = visit(f"{DENSE}&sparsity=0.9", theme="dark", height=1300)
    ready(page)
    page.get_by_role("tab", name="Forgotten").click()
    page.wait_for_url("**/prune?*show=forgotten*")
    pictures = page.locator(".lab-gallery img")
    pictures.first.wait_for()
    assert pictures.first.evaluate("(i) => i.decode().then(() => i.naturalWidth)") == 8, "the browser reads it"
    many = int(re.search(r"(\d+) predictions became wrong", page.locator(".stMain").inner_text())[1])
    slider(page, "sparsity").focus()
    slider(page, "sparsity").press("PageUp")
    says(page, "(99.")
    more = re.compile(r"(\d+) predictions became wrong")
    until(page, lambda: int(more.search(page.locator(".stMain").inner_text())[1]) > many, "more is forgotten")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 1300})
        fits(page)
        shot(page, f"prune-forgotten-dark-{width}")
    page.get_by_role("tab", name="Masks").click()
    page.wait_for_function(f"() => {trace('dots', 'removed')}?.x.length > 100")
    page.get_by_role("tab", name="Criteria").click()
    page.get_by_text("No more in common than two random masks").wait_for()
    page.wait_for_function(f"() => {trace('criteria', 'LAMP')}?.x.length >= 14", timeout=60_000)
    shot(page, "prune-criteria-dark")
