"""A notebook and the app on one lab: each sees at once what the other started, and the notebook steers it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lab_browser_tools import drawn

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.browser


@pytest.fixture
def notebook(server: Any) -> Iterator[Callable[[str], str]]:
    """Runs a cell in a real kernel that belongs to the server's home, and returns what it printed."""
    from jupyter_client.manager import start_new_kernel

    environment = {**os.environ, "PRUNE_LAB_HOME": str(server.home), "PRUNE_LAB_WORKERS": "1"}
    environment.pop("PRUNE_LAB_STORE", None)
    manager, client = start_new_kernel(kernel_name="python3", env=environment, startup_timeout=120)

    def cell(code: str) -> str:
        said: list[str] = []

        def hear(message: Any) -> None:
            content = message["content"]
            assert message["msg_type"] != "error", "\n".join(content.get("traceback", ()))
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                said.append(str(sorted(content["data"])))

        client.execute_interactive(code, timeout=120, output_hook=hear)
        return "".join(said)

    try:
        yield cell
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_what_one_starts_the_other_sees_and_steers(notebook: Callable[[str], str], visit: Any) -> None:
    notebook("import prune_core as pc; lab = pc.Lab()")
    url = notebook(
        "short = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=60))\n"
        "print(lab.launch(short, name='from a cell').url)"
    ).strip()
    path = "/" + url.split("/", 3)[3]
    page = visit(path)  # the address that the notebook printed, below the server's own
    page.get_by_text("from a cell").first.wait_for()
    page.get_by_text("Finished").filter(visible=True).first.wait_for()
    drawn(page)

    page.goto(page.url.split("/runs")[0] + "/train?train.steps=5000000&model=mlp&clip=value")
    drawn(page)
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(re.compile(r"[?&]run="))
    run_id = re.search(r"[?&]run=([^&]+)", page.url)[1]
    page.get_by_text(re.compile(r"Step [1-9]")).first.wait_for()
    shown = notebook(f"watched = lab.watch('{run_id}'); watched")
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert notebook("print(watched.status)").startswith("running")
    notebook("watched._buttons[0].click()")  # Pause, as a click in Jupyter would call it
    page.get_by_role("button", name="Resume", exact=True).wait_for()
    notebook("watched._buttons[2].click(); print(lab.handle(watched.handle.id).wait(60))")
    page.get_by_text("Stopped").first.wait_for()
