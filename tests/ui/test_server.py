"""Starting the lab: the port, the sentences, and what the server sends and refuses."""

from __future__ import annotations

import asyncio
import gzip
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

from prune_ui import server
from prune_ui.chart import library


@pytest.fixture
def taken() -> int:
    """A port somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_taken_port_that_was_asked_for_ends_with_a_sentence(taken: int) -> None:
    with pytest.raises(SystemExit, match=f"Port {taken} on 127.0.0.1 is taken. .* --port {taken + 1}"):
        server.choose_port("127.0.0.1", taken)


def test_without_a_wish_the_next_free_port_is_taken(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEFAULT_PORT", taken)
    assert server.choose_port("127.0.0.1", None) > taken


@pytest.mark.parametrize(("port", "words"), [("70000", "from 0 to 65535; got 70000"), ("-1", "got -1")])
def test_impossible_ports_are_refused(port: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        server.main(["--port", port])


def test_a_missing_app_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"There is no app.py in"):
        server.main(["--script", str(tmp_path / "app.py")])


def test_addresses_people_type() -> None:
    assert server.address("127.0.0.1", 8501) == "http://localhost:8501"
    assert server.address("192.168.0.7", 80) == "http://192.168.0.7:80"
    assert server.address("fe80::1", 80) == "http://[fe80::1]:80"


def test_only_this_machines_names_may_open_a_websocket_on_loopback() -> None:
    assert set(server.options("127.0.0.1", 1)["server.allowedHosts"]) == {"127.0.0.1", "localhost", "::1"}  # type: ignore[call-overload]
    assert server.options("0.0.0.0", 1)["server.allowedHosts"] == []


def test_a_proxys_names_are_let_in_when_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNE_LAB_HOSTS", "lab.example.org, *.school.example,")
    here = ["127.0.0.1", "localhost", "::1"]
    for host in ("127.0.0.1", "0.0.0.0"):  # where names are given, no other one will do
        assert server.options(host, 1)["server.allowedHosts"] == [*here, "lab.example.org", "*.school.example"]


def ask(app: Any, path: str, accept: str = "") -> tuple[dict[str, str], bytes]:
    """GET without a network: the answer's headers and body."""
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(b"accept-encoding", accept.encode())], "http_version": "1.1", "scheme": "http",
        "server": ("localhost", 80), "client": ("localhost", 1),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
    assert sent[0]["status"] == 200
    return headers, b"".join(m.get("body", b"") for m in sent[1:])


def test_scripts_are_sent_packed_and_may_be_kept_for_good() -> None:
    app = Starlette(routes=library.routes())
    headers, body = ask(app, library.path("chart"), "gzip, br")
    assert gzip.decompress(body) == library.source("chart")
    assert headers["content-encoding"] == "gzip" and "immutable" in headers["cache-control"]
    assert headers["content-type"].startswith("text/javascript")
    headers, body = ask(app, library.path("chart"), "identity")
    assert "content-encoding" not in headers and body == library.source("chart")


def test_pages_announce_the_scripts_and_other_answers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_served", True)
    routes = [Route("/", lambda request: HTMLResponse("x")), Route("/t", lambda request: PlainTextResponse("x"))]
    app = library.Preload(Starlette(routes=routes))
    assert library.path("plotly") in ask(app, "/")[0]["link"]
    assert "link" not in ask(app, "/t")[0]
