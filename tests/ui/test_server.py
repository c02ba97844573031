"""Starting the lab: the port, the sentences, and what the server sends and refuses."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

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


def test_scripts_are_sent_packed_and_may_be_kept_for_good() -> None:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    client = TestClient(Starlette(routes=library.routes()))
    answer = client.get(library.path("chart"), headers={"accept-encoding": "gzip"})
    assert answer.content == library.source("chart")
    assert answer.headers["content-encoding"] == "gzip" and "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = client.get(library.path("chart"), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.content == library.source("chart")


def test_pages_announce_the_scripts_and_other_answers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    monkeypatch.setattr(library, "_served", True)
    routes = [Route("/", lambda r: HTMLResponse("x")), Route("/t", lambda r: PlainTextResponse("x"))]
    client = TestClient(library.Preload(Starlette(routes=routes)))
    assert library.path("plotly") in client.get("/").headers["link"]
    assert "link" not in client.get("/t").headers
