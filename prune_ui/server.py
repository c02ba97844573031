"""Start the lab: one process that is warm before the first visitor comes.

Everything a page needs is imported, the store is opened and the engine attached, and then the garbage collector is told
to leave all of it alone: Streamlit collects after every rerun, which with torch in memory costs a quarter of a second
each time, and nothing once those objects are frozen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prune_core.jobs.app_file import announce, withdraw
from prune_core.tracking import home
from prune_ui.chart import library
from prune_ui.opening import Opening
from prune_ui.visitor import Visitor

if TYPE_CHECKING:
    from streamlit.starlette import App

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.py"
DEFAULT_PORT = 8501
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# What pages touch, heaviest first; several of these are imported lazily by the packages themselves.
WARM = (
    "torch", "torchvision", "numpy", "pandas", "pyarrow", "sklearn.datasets", "sqlalchemy", "pydantic", "yaml",
    "plotly.graph_objects", "plotly.validators", "distributed",
    "streamlit.dataframe_util", "streamlit.elements.arrow", "streamlit.elements.lib.column_config_utils",
    "prune_core", "prune_core.clipping.kernels", "prune_core.figures", "prune_ui.chart", "prune_ui.theme",
    "prune_ui.forms", "prune_ui.live", "prune_ui.cache", "prune_ui.session",
)  # fmt: skip


def warm(*, engine: bool = True) -> list[str]:
    """Import what pages need; with ``engine`` also open the store and attach the engine.

    Returns a sentence for each thing that failed. Its page says what to do about it: the lab starts all the same.
    """
    problems = []
    for name in WARM:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken package must not keep the others from working
            problems.append(f"{name} could not be loaded: {error}")
    session = sys.modules.get("prune_ui.session")
    if engine and session is not None and hasattr(session, "warm"):
        try:
            session.warm()
        except Exception as error:  # whatever it is, the pages must come up and say so
            problems.append(f"The store or the engine is not ready: {error}")
    return problems


@asynccontextmanager
async def lifespan(app: App, *, engine: bool = True) -> AsyncIterator[dict[str, object]]:
    """Warm up, freeze, announce; runs before the first request is answered."""
    begun = time.perf_counter()
    # in a thread: the engine's client looks for a running event loop, and must not find the server's
    problems = await asyncio.to_thread(warm, engine=engine)
    gc.collect()
    gc.freeze()
    for problem in problems:
        print(f"  ! {problem}", file=sys.stderr)
    from streamlit import config

    host, port = config.get_option("server.address"), config.get_option("server.port")
    with contextlib.suppress(OSError):  # a home that is read-only: notebooks cannot name pages, all else works
        announce(home(), address(host, port))
    print(f"\n  Clip & Prune Lab is ready: {address(host, port)}   (warm in {time.perf_counter() - begun:.1f} s)")
    print("  Stop it with Ctrl+C; runs in progress go on.\n", flush=True)
    yield {}
    withdraw(home())


def build(script: Path = APP, *, engine: bool = True) -> App:
    """The ASGI application: Streamlit around ``script``, with the chart scripts on routes of their own."""
    from starlette.middleware import Middleware
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.starlette import App

    # app.py says which pages there are; else the first visitor of a deep link would get a navigation made from pages/
    PagesManager.uses_pages_directory = False
    library.serve()
    return App(
        script,
        lifespan=partial(lifespan, engine=engine),
        routes=library.routes(),
        middleware=[Middleware(Opening), Middleware(Visitor)],
    )


def address(host: str, port: int) -> str:
    """The URL a person types."""
    name = "localhost" if host in LOOPBACK else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def free(host: str, port: int) -> bool:
    """Whether ``port`` can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_port(host: str, wanted: int | None) -> int:
    """The port to listen on: the next free one from 8501 on, or the wish; a wish that is taken ends with a sentence."""
    if wanted is not None:
        if wanted != 0 and not free(host, wanted):
            sys.exit(f"Port {wanted} on {host} is taken. Stop what uses it, or start with --port {wanted + 1}.")
        return wanted
    for port in range(DEFAULT_PORT, DEFAULT_PORT + 100):
        if free(host, port):
            if port != DEFAULT_PORT:
                print(f"  Port {DEFAULT_PORT} is taken; the lab takes {port}.")
            return port
    sys.exit(f"No port from {DEFAULT_PORT} to {DEFAULT_PORT + 99} is free on {host}; name one with --port.")


def options(host: str, port: int) -> dict[str, object]:
    """Streamlit's options; the rest stands in .streamlit/config.toml.

    Behind loopback only the machine's own names may open a websocket, so that no foreign site can (DNS rebinding), and
    those in PRUNE_LAB_HOSTS, by which people reach a proxy. Elsewhere any name may where none is given.
    """
    named = [name.strip() for name in os.environ.get("PRUNE_LAB_HOSTS", "").split(",") if name.strip()]
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "logger.hideWelcomeMessage": True,
        "server.allowedHosts": [*LOOPBACK, *named] if host in LOOPBACK or named else [],
    }


def main(arguments: list[str] | None = None) -> None:
    """The command line of ``python -m prune_ui``."""
    parser = argparse.ArgumentParser(prog="python -m prune_ui", description="Start the Clip & Prune Lab.")
    parser.add_argument("--port", type=int, help=f"port to listen on (default {DEFAULT_PORT} or the next free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--script", type=Path, default=APP, help=argparse.SUPPRESS)
    parser.add_argument("--no-engine", action="store_true", help="look at what is stored; start no runs")
    given = parser.parse_args(arguments)
    if given.port is not None and not 0 <= given.port <= 65535:
        sys.exit(f"--port must be from 0 to 65535; got {given.port}.")
    script = given.script.resolve()
    if not script.is_file():
        sys.exit(f"There is no {script.name} in {script.parent}; start the lab from a complete checkout.")
    port = choose_port(given.host, given.port)
    # Streamlit looks for .streamlit/config.toml and pages/ beside argv[0], and here that is the app, not this module
    sys.argv = [str(APP)]
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    build(script, engine=not given.no_engine).run(config=options(given.host, port))
