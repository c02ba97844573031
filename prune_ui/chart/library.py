"""What charts need in the browser, served once by URL: plotly.js from the installed plotly package, and our own module.

``python -m prune_ui`` gives both a route of their own with year-long caching, and asks browsers to fetch them while
Streamlit's scripts still load. Under a bare ``streamlit run`` there are no such routes; then Streamlit's media files
carry them. Nothing is copied into the project and no other host is asked.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prune_core.figures.palette import DARK, LIGHT, pairs
from prune_core.figures.template import template

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

Name = Literal["plotly", "chart"]
NAMES: tuple[Name, ...] = ("plotly", "chart")
HERE = Path(__file__).parent
PARTS = ("reading.js", "saving.js", "handle.js", "brush.js", "chart.js")  # one module in the browser

_served = False
_media: dict[tuple[int, str], str] = {}  # (id of the runtime, name) -> URL


@cache
def source(name: Name) -> bytes:
    """The script: plotly.js as shipped (about 5 MB), or our module with templates, colours and css filled in."""
    if name == "plotly":
        return (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    module = "\n".join((HERE / part).read_text(encoding="utf-8") for part in PARTS)
    constants = {
        "templates": {"light": template("light").to_plotly_json(), "dark": template("dark").to_plotly_json()},
        "toDark": pairs("light"),
        "toLight": pairs("dark"),
        "colours": {n: {"background": p.background, "muted": p.muted} for n, p in (("light", LIGHT), ("dark", DARK))},
        "css": (HERE / "chart.css").read_text(encoding="utf-8"),
    }
    return module.replace('"__CONSTANTS__"', json.dumps(constants)).encode()


@cache
def _packed(name: Name) -> bytes:
    return gzip.compress(source(name), compresslevel=6, mtime=0)


@cache
def path(name: Name) -> str:
    """The route; it carries a digest of the content, so that it may be cached for good."""
    return f"/lab/{name}-{hashlib.sha256(source(name)).hexdigest()[:12]}.js"


def serve() -> None:
    """Say that this process has the routes, and prepare what they send."""
    global _served
    _served = True
    for name in NAMES:
        _packed(name)


def routes() -> list[Route]:
    """One route for each script."""
    return [_route(name) for name in NAMES]


def _route(name: Name) -> Route:
    from starlette.responses import Response
    from starlette.routing import Route

    async def script(request: Request) -> Response:
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                _packed(name), media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"}
            )
        return Response(source(name), media_type="text/javascript", headers=headers)

    return Route(path(name), script)


def base() -> str:
    """The path that everything is served below: empty, or one that begins with a slash."""
    from streamlit import config

    path = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def url(name: Name) -> str:
    """Where the browser finds a script, as an absolute path; empty when no server runs (a bare script)."""
    from streamlit import runtime

    if _served:
        return base() + path(name)
    return _media_url(runtime.get_instance(), name) if runtime.exists() else ""


def _media_url(instance: Any, name: Name) -> str:
    known = _media.get((id(instance), name))
    if known is not None:
        return known
    # straight into the storage: files added through the manager belong to a session and vanish with it
    storage = getattr(getattr(instance, "media_file_mgr", None), "_storage", None)
    if storage is None:
        return ""
    from streamlit.runtime.media_file_storage import MediaFileKind

    file_id = storage.load_and_get_id(source(name), "text/javascript", MediaFileKind.MEDIA)
    if len(_media) > 8:  # only tests start many runtimes in one process
        _media.clear()
    return _media.setdefault((id(instance), name), storage.get_url(file_id))
