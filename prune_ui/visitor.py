"""Who visits: a random cookie, set with the first page, so that a refresh keeps a person's runs under their control.

HttpOnly: no script can read it. SameSite=Strict: no other site can use it. It says nothing about the person, and the
store sees only a digest of it (``prune_ui.session.owner``).
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from prune_ui.session import COOKIE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

YEAR = 365 * 24 * 3600  # seconds


class Visitor:
    """ASGI middleware: gives a visitor without the cookie one, along with the page's own HTML."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; add ``Set-Cookie`` to HTML for who has none."""
        if scope["type"] != "http" or _known(scope):
            await self.app(scope, receive, send)
            return

        async def greet(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                if is_html(message):
                    cookie = f"{COOKIE}={secrets.token_urlsafe(24)}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Strict"
                    cookie += "; Secure" if scope.get("scheme") == "https" else ""
                    # a shared cache must not hand one visitor's cookie to the next
                    headers = [*headers, (b"set-cookie", cookie.encode()), (b"vary", b"Cookie")]
                    message["headers"] = [(k, v) for k, v in headers if k.lower() != b"cache-control"]
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        await self.app(scope, receive, greet)


def is_html(start: Message) -> bool:
    """Whether the answer that begins so is a page."""
    return any(k.lower() == b"content-type" and v.startswith(b"text/html") for k, v in start.get("headers", []))


def _known(scope: Scope) -> bool:
    for name, value in scope.get("headers", []):
        if name == b"cookie":
            try:
                if SimpleCookie(value.decode("latin-1")).get(COOKIE):
                    return True
            except CookieError:
                continue
    return False
