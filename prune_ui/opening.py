"""What the page's own HTML says beside Streamlit's: where the server is, and which scripts will be wanted.

Streamlit's script looks for its server below the page's address first, below ``/runs`` say, and only after a pause at
the root; then it asks for its settings, and then it connects. Told both beforehand it connects at once, which spares
every visit to a page that is not the first one about 0.1 s. Charts' scripts are announced to load beside Streamlit's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from prune_ui.chart import library
from prune_ui.visitor import is_html

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEAD = b"<head>"
# pages that draw none as they open, unless their link names something
WITHOUT_CHARTS = frozenset({"claims", "glossary", "lessons", "methods", "present", "runs"})
SETTINGS = "/_stcore/host-config"


class Opening:
    """ASGI middleware: adds to HTML and passes on everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._script = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None  # of an answer that is HTML, held back until all of it is there
        body = b""

        async def add(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
            elif message["type"] == "http.response.body" and start is not None:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    page = body.replace(HEAD, HEAD + await self._settings(scope), 1)
                    await send({**start, "headers": _headers(scope, start, len(page) if body else None)})
                    await send({**message, "body": page})
            else:
                await send(message)

        await self.app(_unpacked(scope), receive, add)

    async def _settings(self, scope: Scope) -> bytes:
        """The script that tells Streamlit's where its server is, and what that would answer; nothing if it cannot."""
        if self._script:
            return self._script
        base = library.base()
        said = f'"BACKEND_BASE_URL":location.origin+{json.dumps(base)}'
        if settings := await self._asked(scope, base + SETTINGS):
            said += f',"HOST_CONFIG":{json.dumps(settings)}'
        said = said.replace("<", "\\u003c")  # nothing in it ends the script
        script = f"<script>window.__streamlit={{{said}}}</script>".encode()
        self._script = script if settings else b""  # asked again where there was no answer
        return script

    async def _asked(self, scope: Scope, path: str) -> dict[str, object]:
        """What the server itself answers to a GET of JSON; empty where it does not."""
        answer: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def take(message: Message) -> None:
            answer.append(message)

        asked = {**_unpacked(scope), "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        await self.app(asked, receive, take)
        if answer[0]["status"] != 200:
            return {}
        try:
            found = json.loads(b"".join(m.get("body", b"") for m in answer[1:]))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def _is_page(start: Message) -> bool:
    packed = any(k.lower() == b"content-encoding" for k, _ in start.get("headers", []))
    return bool(start["status"] == 200 and not packed and is_html(start))


def _headers(scope: Scope, start: Message, length: int | None) -> list[tuple[bytes, bytes]]:
    headers = [(k, v) for k, v in start.get("headers", []) if length is None or k.lower() != b"content-length"]
    if length is not None:  # an answer to HEAD has none, and says how long it would be
        headers.append((b"content-length", str(length).encode()))
    page = str(scope["path"]).removeprefix(library.base()).strip("/")
    if page in WITHOUT_CHARTS and not scope.get("query_string"):  # to read 5 MB costs such a page 0.1 s for nothing
        return headers
    scripts = f"<{library.url('plotly')}>; rel=preload; as=script, <{library.url('chart')}>; rel=modulepreload"
    return [*headers, (b"link", scripts.encode())]


def _unpacked(scope: Scope) -> Scope:
    """The same request, where it is one for a page, for an answer that is not packed: it is a few KB, and read here."""
    headers = scope.get("headers", [])
    if not any(k == b"accept" and b"text/html" in v for k, v in headers):
        return scope
    return {**scope, "headers": [(k, v) for k, v in headers if k != b"accept-encoding"]}
