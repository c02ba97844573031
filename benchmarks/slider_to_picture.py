"""How long after the slider has moved all of the Prune page's pictures stand there anew, in a real browser.

    python benchmarks/slider_to_picture.py [--moves 40]

SmallCNN on Digits, a trained sample run with all its weights: threshold, histogram, layer bars, mask and the accuracy
on all test examples. A lab of its own, server and engine, is started in a temporary folder and ended afterwards; on
Debian's Chromium, or the one that PRUNE_LAB_CHROMIUM names. A move is a key press on the slider, or letting go of the
handle on the curve: the clock starts with that event in the browser, and stops in the frame in which the last of the
four charts stands with the new value. The curve behind is complete before the first move.

It also prints where the time goes: until the browser has sent the value, and until the first of the charts stands.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from _common import machine

ROOT = Path(__file__).resolve().parent.parent
PAGE = "/prune?run=sample-dense&sparsity=0.5"
TARGET_MS = 300
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
CHARTS = ("curve", "layers", "histogram", "mask")

# what each chart draws, when, and when the browser sent something
WATCH = """(names) => {
  const lab = (window.lab = { drawn: {}, sent: 0, began: 0 });
  for (const name of names) {
    const gd = document.querySelector(`.st-key-prune-${name} .lab-gd`);
    gd.on("plotly_afterplot", () => requestAnimationFrame(() => { lab.drawn[name] = performance.now(); }));
  }
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) { lab.sent ||= performance.now(); return send.call(this, data); };
  for (const kind of ["keydown", "pointerup"])
    document.addEventListener(kind, () => { lab.began = performance.now(); lab.drawn = {}; lab.sent = 0; }, true);
}"""
DONE = "(names) => window.lab.began && names.every((n) => window.lab.drawn[n])"


def settled(pid: int, patience_s: float = 120.0) -> None:
    """Wait until the server and its engine, whose workers import for half a minute, have nothing more to do."""
    spent, deadline = -1.0, time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before, spent = spent, 0.0
        for process in (server := psutil.Process(pid), *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                spent += sum(process.cpu_times()[:2])
        if 0 <= spent - before < 0.1 and before > 0:
            return
        time.sleep(2.0)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def lab(home: Path) -> Iterator[str]:
    """A warm lab in ``home``; yields its address."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PRUNE_LAB_HOME": str(home), "PRUNE_LAB_WORKERS": "1"}
    environment.pop("PRUNE_LAB_STORE", None)
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prune_ui", "--port", str(port)], cwd=home, env=environment, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 180
            while time.monotonic() < deadline and server.poll() is None:
                with contextlib.suppress(OSError):
                    urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                    break
                time.sleep(0.2)
            else:
                sys.exit(f"The server did not start:\n{(home / 'server.log').read_text()}")
            settled(server.pid)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            server.wait(20)
            code = "from prune_core.jobs import Lab; Lab().shutdown()"
            subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, timeout=60, check=False)


def by_key(page: Any, moves: int) -> list[dict[str, float]]:
    """Press arrow keys on the sparsity slider; each a value that nobody has asked for yet."""
    slider = page.locator(".st-key-prune-sparsity input[type=range]").first
    slider.focus()
    found = []
    for _ in range(moves):
        page.evaluate("() => { window.lab.began = 0; }")
        page.keyboard.press("ArrowRight")
        found.append(times(page))
    return found


def by_handle(page: Any, moves: int) -> list[dict[str, float]]:
    """Take the line on the curve, move it some pixels and let go."""
    found = []
    for i in range(moves):
        box = page.locator(".st-key-prune-curve .lab-grip").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + (7 if i % 2 else -5), y)
        page.wait_for_timeout(700)  # what it reports on the way has been drawn
        page.mouse.move(x + (9 if i % 2 else -7), y)
        page.evaluate("() => { window.lab.began = 0; }")
        page.mouse.up()
        found.append(times(page))
    return found


def times(page: Any) -> dict[str, float]:
    """Milliseconds from the event until sent, and until each chart stands; then a moment's rest."""
    page.wait_for_function(DONE, arg=list(CHARTS), timeout=30_000)
    page.wait_for_timeout(250)
    return page.evaluate(  # type: ignore[no-any-return]
        "() => { const l = window.lab, at = Object.values(l.drawn);"
        " return { sent: l.sent - l.began, first: Math.min(...at) - l.began, all: Math.max(...at) - l.began }; }"
    )


def table(name: str, found: list[dict[str, float]]) -> bool:
    """Print one line; whether the target is met."""
    every = sorted(x["all"] for x in found)
    p95 = statistics.quantiles(every, n=20, method="inclusive")[-1]
    sent, first = (statistics.median(x[k] for x in found) for k in ("sent", "first"))
    met = p95 <= TARGET_MS
    print(
        f"{name:<34} median {statistics.median(every):4.0f} ms, p95 {p95:4.0f} ms of {len(every)}"
        f"  target p95 {TARGET_MS} ms: {'met' if met else 'MISSED'}"
        f"  (medians: sent after {sent:.0f}, first picture {first:.0f}, last {statistics.median(every):.0f} ms)",
        flush=True,
    )
    return met


def main() -> bool:
    """Print the table; whether the target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--moves", type=int, default=40, help="moves of each kind")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("PRUNE_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    print(machine())
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1300})  # all four charts in view
        page.goto(address + PAGE)
        whole = "document.querySelector('.st-key-prune-curve .lab-gd')?._fullData?.find((t) => t.name === 'measured')"
        page.wait_for_function(f"() => {whole}?.x.length >= 14", timeout=120_000)
        page.wait_for_timeout(2000)
        page.evaluate(WATCH, list(CHARTS))
        by_key(page, 5)  # the first few warm up
        met = [table("slider, four pictures, accuracy", by_key(page, given.moves))]
        met.append(table("handle on the curve, let go", by_handle(page, max(given.moves // 2, 5))))
        browser.close()
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
