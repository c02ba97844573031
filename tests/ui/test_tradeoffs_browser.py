"""The Trade-offs page as a visitor uses it: click a point, keep a part of an axis, take a picture, start a sweep."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lab_browser_tools import drawn, fits, until

from prune_core.tracking import Sweeps

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

PLACE = """(g, [trace, i]) => {
    const l = g._fullLayout, b = g.getBoundingClientRect(), t = g._fullData.find((t) => t.name === trace);
    return [b.left + l.xaxis._offset + l.xaxis.d2p(t.x[i]), b.top + l.yaxis._offset + l.yaxis.d2p(t.y[i])];
}"""
ON_AXIS = """(g, [axis, y]) => {
    const l = g._fullLayout, b = g.getBoundingClientRect();
    return [b.left + l.xaxis._offset + l.xaxis.d2p(axis), b.top + l.yaxis._offset + l.yaxis.d2p(y)];
}"""


def test_the_sample_is_clicked_filtered_and_taken_away(visit: Any, shot: Any) -> None:
    page = visit("/trade_offs", height=2300)
    page.get_by_text("shipped with the lab").wait_for()
    drawn(page, 3)
    trade, lines = page.locator(".lab-gd").nth(0), page.locator(".lab-gd").nth(1)
    page.mouse.click(*trade.evaluate(PLACE, ["Pareto front", 0]))
    page.wait_for_url(re.compile(r"[?&]point=\w+"))
    page.get_by_role("link", name="Train it").wait_for()

    page.mouse.move(*lines.evaluate(ON_AXIS, [1, -0.04]))  # the criterion: magnitude is at the bottom
    page.mouse.down()
    page.mouse.move(*lines.evaluate(ON_AXIS, [1, 0.3]), steps=4)
    page.mouse.up()
    kept = page.get_by_role("button", name="criterion: magnitude")
    kept.wait_for()
    names = "(g) => g._fullData.map((t) => t.name).filter((n) => /random/.test(n)).length"
    until(page, lambda: trade.evaluate(names) == 0, "no line of the other criterion")
    shot(page, "tradeoffs-filtered")
    kept.click()
    until(page, lambda: trade.evaluate(names) > 0, "all lines again")

    with page.expect_download() as picture:
        page.locator(".lab-chart").first.locator("[data-action=vector]").click()
    assert picture.value.suggested_filename == "what-sparsity-costs-test-accuracy-as-weights-go.svg"
    assert Path(picture.value.path()).read_text(encoding="utf-8").startswith("<svg")
    with page.expect_download() as table:
        page.locator(".lab-chart").first.locator("[data-action=table]").click()
    rows = Path(table.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "series,weights removed,test accuracy"
    removed = {float(r.rsplit(",", 2)[1]) for r in rows[1:] if r.count(",") >= 2}
    assert min(removed) >= 0 and max(removed) == pytest.approx(0.98, abs=0.01), "removed, not left"

    page.get_by_role("link", name="Race it").click()
    page.get_by_text("These settings came without clipping").wait_for()
    page.get_by_test_id("stMain").get_by_role("button", name="Race", exact=True).wait_for()
    page.wait_for_url(re.compile(r"[?&]clip=value"))


def test_a_sweep_is_started_watched_and_stopped(visit: Any, server: Any) -> None:
    page = visit("/trade_offs", width=390)
    page.get_by_text("New sweep").click()
    page.get_by_role("button", name=re.compile("Start 36 runs")).wait_for()
    fits(page)
    store = server.store()
    before = {one.id for one in Sweeps(store).list()}  # other tests' trials of claims are sweeps too
    page.get_by_role("button", name="Start 36 runs").click()
    page.wait_for_url(re.compile(r"[?&]sweep=s\w+"))
    sweep_id = re.search(r"sweep=(s\w+)", page.url)[1]  # type: ignore[index]
    until(page, lambda: Sweeps(store).record(sweep_id).done >= 1, "one run done")
    assert {one.id for one in Sweeps(store).list()} - before == {sweep_id}
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Go on").wait_for()
    assert Sweeps(store).record(sweep_id).status == "stopped"
