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

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests import lab_browser_tools by its name
from lab_browser_tools import PATIENCE_S, drawn, end_all

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(os.environ.get("PRUNE_LAB_TEST_OUTPUT", ROOT / "test-output"))
START_S = 240


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
    (home / "lessons").mkdir()
    with served(home, PRUNE_LAB_WORKERS="1", PRUNE_LAB_LESSONS=str(home / "lessons")) as url:
        yield Server(url, home)


@pytest.fixture(scope="session")
def serve() -> Any:
    """Start another server: ``with serve(folder, "--script", path) as url``."""
    return served


@contextlib.contextmanager
def served(home: Path, *arguments: str, **variables: str) -> Iterator[str]:
    """The address of a server started in ``home`` and with its runs there, ended afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNE_LAB_HOME": str(home)}
    environment["PRUNE_LAB_LESSONS_WARM"] = "off"  # kernels start for those tests that want them
    environment.pop("PRUNE_LAB_STORE", None)
    environment |= variables
    log = home / "server.log"
    command = [sys.executable, "-m", "prune_ui", "--port", str(port), *arguments]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=out)
        try:
            _wait(process, port, log)
            yield f"http://localhost:{port}"
        finally:
            # the engine outlives its server by design; here it must not outlive the tests, not even half started
            engine = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            for one in (process, *engine):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended:\n{log.read_text()}"
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
            return
        time.sleep(0.1)
    pytest.fail(f"the server did not answer within {START_S} s:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One Chromium for all browser tests."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    api.expect.set_options(timeout=1000 * PATIENCE_S)
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def window(browser: Any) -> Iterator[Any]:
    """One window for all browser tests: scripts it has read once cost a page half its time less."""
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(1000 * PATIENCE_S)
    yield context.new_page()
    context.close()


@dataclass
class Visit:
    """Opens windows and collects what goes wrong in them."""

    browser: Any
    window: Any
    url: str
    wrong: list[str] = field(default_factory=list)
    pages: list[Any] = field(default_factory=list)

    def __call__(
        self, path: str = "/", *, width: int = 1280, height: int = 900, theme: str = "light", context: Any = None
    ) -> Any:
        """A window on ``path``; with ``context`` of the same person (the same cookies), otherwise of a new one."""
        size = {"width": width, "height": height}
        if context is None and not self.pages:
            page = self.window
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=theme)
        else:
            if context is None:
                context = self.browser.new_context(viewport=size, color_scheme=theme, accept_downloads=True)
                context.set_default_timeout(1000 * PATIENCE_S)
            page = context.new_page()
        page.on("pageerror", self._fall)
        page.on("console", self._hear)
        self.pages.append(page)
        page.goto(self.url + path)
        return page

    def close(self) -> None:
        """Leave; of this visitor the shared window keeps neither cookie and storage nor the pointer's place."""
        for page in self.pages:
            page.remove_listener("pageerror", self._fall)
            page.remove_listener("console", self._hear)
            if page is not self.window:
                (page if page.context is self.window.context else page.context).close()
        if self.window in self.pages:
            self.window.mouse.up()
            self.window.mouse.move(0, 0)
            self.window.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
            self.window.goto("about:blank")
            self.window.context.clear_cookies()

    def _fall(self, error: Any) -> None:
        self.wrong.append(str(error))

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(f"{message.text} {message.location}")


@pytest.fixture
def visit(browser: Any, window: Any, server: Server) -> Iterator[Visit]:
    """Open pages of the lab; an error in a browser's console fails the test. Nothing that was begun goes on after."""
    try:
        with visiting(browser, window, server.url) as made:
            yield made
    finally:
        store = server.store()
        end_all(store)
        store.close()


@pytest.fixture
def visit_other(browser: Any, window: Any) -> Any:
    """Open pages of another server: ``with visit_other(url) as visit``."""
    return lambda url: visiting(browser, window, url)


@contextlib.contextmanager
def visiting(browser: Any, window: Any, url: str) -> Iterator[Visit]:
    """A Visit that is closed afterwards; an error in a browser's console fails the test."""
    made = Visit(browser, window, url)
    try:
        yield made
    finally:
        made.close()
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
            page.wait_for_function("(tall) => innerHeight >= Math.min(tall, 6000)", arg=tall)
            drawn(page, 0)  # charts are drawn when they come into view
        page.screenshot(path=str(SHOTS / f"{name}.png"))
        page.set_viewport_size(size)

    return keep


@pytest.fixture
def bench(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The Prune page's lab, whose preview worker is this process."""
    from prune_bench import Bench

    from prune_ui import prune_asking, prune_curve, prune_sensitivity, session

    found = Bench()
    monkeypatch.setattr(session, "lab", lambda: found)
    monkeypatch.setattr(prune_curve, "SPARSITIES", (0.0, 0.9))
    kept = (prune_curve._curves, prune_sensitivity._kept, prune_asking._asked, prune_asking._looking)
    for one in kept:
        one.clear()
    yield found
    for one in kept:
        one.clear()


@pytest.fixture
def prune_page(bench: Any) -> Any:
    """Opens the Prune page by a link."""
    from streamlit.testing.v1 import AppTest

    def open_page(**link: str) -> Any:
        page = AppTest.from_file(str(ROOT / "pages" / "prune.py"), default_timeout=60)
        for name, value in link.items():
            page.query_params[name] = value
        return page.run()

    return open_page
