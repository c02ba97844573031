"""The Claims page as a visitor uses it: open a claim, change its settings, run it, come back by the URL."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lab_browser_tools import drawn, fits, until

from prune_core.tracking import Sweeps

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser

SMALL = "claim=pruning_costs&model=mlp&model.width=8&seeds=2&steps=40&sparsities=0.5,0.9"


def test_a_claim_is_opened_run_and_found_again(visit: Any, server: Any, shot: Any) -> None:
    page = visit("/claims")
    page.get_by_text("Clipping prevents divergence").wait_for()
    page.locator(".st-key-claims_card_clipping_shrinks").get_by_role("button", name="See the evidence").click()
    page.wait_for_url(re.compile(r"[?&]claim=clipping_shrinks"))
    page.get_by_role("heading", name=re.compile("Clipping gradients reduces")).wait_for()
    page.locator(".st-key-claims_verdict").get_by_text("Does not hold").wait_for()
    drawn(page)
    page.get_by_role("button", name="All claims").click()
    page.locator(".st-key-claims_card_pruning_costs").wait_for()

    page = visit(f"/claims?{SMALL}", context=page.context)
    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_text("Try it on your own settings").click()
    page.get_by_text("6 runs", exact=True).wait_for()
    fits(page)
    page.get_by_role("button", name="Run the trial").click()
    page.wait_for_url(re.compile(r"[?&]trial=s\w+"))
    trial = re.search(r"trial=(s\w+)", page.url)[1]  # type: ignore[index]
    store = server.store()
    until(page, lambda: Sweeps(store).record(trial).status == "finished", "all runs done")
    page.get_by_role("link", name="All its runs").wait_for()
    drawn(page)
    shot(page, "claims-own-trial")
    page.reload()
    page.get_by_role("link", name="All its runs").wait_for()
    assert f"trial={trial}" in page.url
    store.close()
