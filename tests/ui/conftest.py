"""A whole lab for the browser tests: server, store and engine in a folder of its own, ended afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(os.environ.get("PRUNE_LAB_TEST_OUTPUT", ROOT / "test-output"))
START_S = 120
DRAWN = "() => [...document.querySelectorAll('.lab-chart')].every((c) => c.querySelector('.main-svg'))"


@dataclass(frozen=True)
class Server:
    """A running lab: where it listens, and where it keeps its runs."""

    url: str
    home: Path

    def store(self) -> Any:
        """The live store of this lab, to prepare runs or look at them."""
        from prune_core.tracking import Store

        return Store(f"sqlite:///{self.home}/lab.db")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``python -m prune_ui`` on a free loopback port, with a home of its own; one for all browser tests."""
    home = tmp_path_factory.mktemp("lab")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNE_LAB_HOME": str(home), "PRUNE_LAB_WORKERS": "1"}
    environment.pop("PRUNE_LAB_STORE", None)
    log = home / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "prune_ui", "--port", str(port)], cwd=home, env=environment, stdout=out, stderr=out
        )
        try:
            _wait(process, port, log)
            yield Server(f"http://localhost:{port}", home)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            _end_engine(home, environment)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended:\n{log.read_text()}"
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not answer within {START_S} s:\n{log.read_text()}")


def _end_engine(home: Path, environment: dict[str, str]) -> None:
    """The engine outlives the server by design; here it must not outlive the test."""
    code = "from prune_core.jobs import Lab; Lab().shutdown()"
    subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, timeout=60, check=False)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One Chromium for all browser tests."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield started
        started.close()


@dataclass
class Visit:
    """Opens windows and collects what goes wrong in them."""

    browser: Any
    server: Server
    wrong: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def __call__(
        self, path: str = "/", *, width: int = 1280, height: int = 900, theme: str = "light", context: Any = None
    ) -> Any:
        """A window on ``path``; with ``context`` of the same person (the same cookies), otherwise of a new one."""
        if context is None:
            context = self.browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True
            )
            self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", self._hear)
        page.goto(self.server.url + path)
        return page

    def _hear(self, message: Any) -> None:
        # below a page's address Streamlit looks for itself first, and then at the root
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            self.wrong.append(f"{message.text} {message.location}")


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Visit]:
    """Open pages of the lab; an error in a browser's console fails the test."""
    made = Visit(browser, server)
    yield made
    for context in made.contexts:
        context.close()
    assert not made.wrong, json.dumps(made.wrong, indent=1)


@pytest.fixture
def shot() -> Any:
    """Keep a screenshot as test output: ``shot(page, "name")``."""
    SHOTS.mkdir(exist_ok=True)

    def keep(page: Any, name: str, *, full: bool = True) -> None:
        size = page.viewport_size
        if full:  # the page scrolls inside itself, so that the window has to be as tall as what is in it
            tall = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
            page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(tall + 20, 6000))})
            page.wait_for_timeout(600)
            with contextlib.suppress(Exception):  # charts are drawn when they come into view
                page.wait_for_function(DRAWN, timeout=15_000)
        page.screenshot(path=str(SHOTS / f"{name}.png"))
        page.set_viewport_size(size)

    return keep
