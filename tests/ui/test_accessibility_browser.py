"""axe-core on every page, in both themes: no serious finding. And the tour, from its first stop to its last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_browser_tools import drawn, still

from prune_ui.glossary import WORDS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
pytestmark = pytest.mark.browser

PAGES = sorted(p.stem for p in (Path(__file__).resolve().parents[2] / "pages").glob("*.py"))
SERIOUS = ("serious", "critical")
# each was looked at, and the reason stands beside it
LEFT = {"scrollable-region-focusable": "browsers let the keyboard reach what scrolls by themselves"}
FRAME = "[data-testid=stSidebarNav]"  # Streamlit's own menu: its sections are no list items


def findings(page: Any, *, only: str = "") -> list[str]:
    """What axe finds serious, a line each: rule, what is wrong, and the first element."""
    options = {"runOnly": {"type": "rule", "values": [only]}} if only else {}
    found = axe.Axe().run(page, context={"exclude": [[FRAME]]}, options=options).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}; {len(one['nodes'])} elements, the first: "
        f"{one['nodes'][0]['html'][:160]} {one['nodes'][0].get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in SERIOUS and one["id"] not in LEFT
    ]


def stands(page: Any, name: str) -> None:
    """Wait until all of the page is there."""
    page.locator(".stMain .block-container").wait_for()
    if name in WORDS:
        page.locator(".lab-words").wait_for()  # the end of the page
    still(page)
    drawn(page, 0)


@pytest.mark.parametrize("name", PAGES)
def test_no_serious_finding(visit: Any, name: str) -> None:
    page = visit(f"/{name if name != 'race' else ''}")
    stands(page, name)
    assert findings(page) == []
    page.emulate_media(color_scheme="dark")
    page.reload()
    stands(page, name)
    page.wait_for_function("() => getComputedStyle(document.querySelector('.stApp')).colorScheme === 'dark'")
    assert findings(page, only="color-contrast") == []
