"""Starting the lab: the port, the sentences, and what the server sends and refuses."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Route

from prune_ui import server
from prune_ui.chart import library
from prune_ui.opening import Opening


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
        "type": "http", "method": "GET", "path": path.partition("?")[0], "raw_path": path.partition("?")[0].encode(),
        "root_path": "", "query_string": path.partition("?")[2].encode(),
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


def opening(routes: list[Route]) -> Opening:
    pages = [
        Route(path, lambda request: HTMLResponse("<html><head>x</head></html>")) for path in ("/", "/runs", "/prune")
    ]
    return Opening(Starlette(routes=[*pages, *routes]))


def test_pages_that_draw_charts_announce_the_scripts_and_other_answers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_served", True)
    app = opening([Route("/t", lambda request: PlainTextResponse("x"))])
    for path in ("/", "/prune"):
        assert library.path("plotly") in ask(app, path)[0]["link"]
    assert library.path("plotly") in ask(app, "/runs?runs=a,b")[0]["link"], "what is compared is drawn"
    assert "link" not in ask(app, "/runs")[0]
    assert ask(app, "/t")[1] == b"x" and "link" not in ask(app, "/t")[0]


@pytest.mark.parametrize("base", ["", "lab"])
def test_a_page_says_where_its_server_is_and_what_that_would_answer(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setattr(library, "base", lambda: f"/{base}" if base else "")
    settings = {"allowedOrigins": ["https://</script>"], "useExternalAuthToken": False}
    path = f"/{base}/_stcore/host-config" if base else "/_stcore/host-config"
    app = opening([Route(path, lambda request: JSONResponse(settings))])
    for _ in range(2):
        headers, body = ask(app, "/runs")
        text = body.decode()
        found = re.fullmatch(
            r'<html><head><script>window\.__streamlit=\{"BACKEND_BASE_URL":location\.origin\+"(.*?)",'
            r'"HOST_CONFIG":(.*)\}</script>x</head></html>',
            text,
        )
        assert found, text
        assert found[1] == (f"/{base}" if base else "") and "<" not in found[2]
        assert json.loads(found[2]) == settings
        assert int(headers["content-length"]) == len(body)


def test_a_server_that_does_not_tell_its_settings_is_only_named() -> None:
    text = ask(opening([]), "/runs")[1].decode()
    assert "BACKEND_BASE_URL" in text and "HOST_CONFIG" not in text
