"""What belongs to a visitor, to a link, and to the process.

A visitor is known by a random token. The lab's server sets it as a cookie that scripts cannot read and other sites
cannot send (``prune_ui.visitor``), so a refresh keeps a person's own runs under their control and a copied link does
not hand them over. The store sees a digest of it. Without that server the token lives as long as the browser's session.

The URL holds the experiment (``prune_ui.draft``) and ``run``: a refresh finds its run again, and so does whoever opens
the link, to watch.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

import streamlit as st

from prune_core.errors import LabError

if TYPE_CHECKING:
    from prune_core.jobs import Lab
    from prune_core.tracking import RunRecord, Store

T = TypeVar("T")
COOKIE = "lab_visitor"
RUN = "run"  # the URL's name for the run that is shown


class Key(Generic[T]):
    """A named value in the session, with a type and a default."""

    def __init__(self, name: str, default: T) -> None:
        self.name, self.default = name, default

    def get(self) -> T:
        """The value, or the default."""
        return st.session_state.get(self.name, self.default)

    def set(self, value: T) -> None:
        """Keep ``value`` for this session."""
        st.session_state[self.name] = value

    def pop(self) -> T:
        """The value, which is the default from now on: for messages that are shown once."""
        return st.session_state.pop(self.name, self.default)


_HELD: Key[dict[str, Any]] = Key("session/held", {})


def hold(*keys: Key[Any]) -> None:
    """Bring back what widgets had: Streamlit forgets a widget's value when the visitor looks at another page.

    To be called before the widgets are made, in every run that makes them.
    """
    held = dict(_HELD.get())
    for key in keys:
        held[key.name] = st.session_state.get(key.name, held.get(key.name, key.default))
        key.set(held[key.name])
    _HELD.set(held)


# --- the process ------------------------------------------------------------------------------------------------------
_process: dict[tuple[str, str, str], Any] = {}  # by kind, home and store: tests move both
_opening = threading.Lock()


def store() -> Store:
    """The process's live store, opened once."""
    from prune_core.tracking import Store

    return _once("store", lambda: Store())


def lab() -> Lab:
    """The process's lab: its store and the engine, attached or started once. Raises EngineError where it cannot be."""
    from prune_core.jobs import Lab

    shared = store()
    return _once("lab", lambda: Lab(store=shared))


def warm() -> None:
    """Open the store, attach the engine, read the samples: what the first visitor would otherwise wait for."""
    from prune_ui import cache, clipping_gradient, lessons_state, tradeoffs_charts, tradeoffs_read

    lessons_state.warm()
    cache.samples()
    clipping_gradient.warm()
    with contextlib.suppress(LabError):  # a library that finds knees takes seconds to import
        tradeoffs_charts.warm(tradeoffs_read.sample())
    lab().attach()


def _once(kind: str, make: Any) -> Any:
    from prune_core.tracking import home, store_url

    key = (kind, str(home()), store_url())
    with _opening:
        if key not in _process:
            _process[key] = make()
        return _process[key]


# --- the visitor ------------------------------------------------------------------------------------------------------
_TOKEN: Key[str] = Key("visitor/token", "")


def owner() -> str:
    """The visitor's name in the store: a digest, so that who reads the store cannot act as the visitor."""
    token = _cookie() or _TOKEN.get()
    if not token:
        token = secrets.token_urlsafe(16)
        _TOKEN.set(token)
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def may_control(record: RunRecord) -> bool:
    """Whether this visitor may steer a run: their own, or one of nobody (a notebook's) on their own machine."""
    if record.read_only:
        return False
    return record.owner == owner() if record.owner else _local()


def _cookie() -> str:
    try:
        token = st.context.cookies.get(COOKIE, "")
    except (AttributeError, RuntimeError):
        return ""
    return str(token) if 16 <= len(str(token)) <= 64 else ""


def _local() -> bool:
    try:
        return st.context.ip_address in (None, "127.0.0.1", "::1")
    except (AttributeError, RuntimeError):
        return True


# --- the link ---------------------------------------------------------------------------------------------------------
_WRITTEN: Key[dict[str, str]] = Key("url/written", {})  # by page: what the URL should say
_LEFT: Key[list[tuple[str, float]]] = Key("url/left", [])  # what it said before, and until when that may come back
_OURS: Key[bool] = Key("url/ours", False)
STALE_S = 5.0
KEPT = frozenset({"tour"})  # what the URL says of the visitor's way, not of a page


def link() -> dict[str, str]:
    """The URL's parameters, but for those that belong to no page."""
    return {name: str(st.query_params[name]) for name in st.query_params if name not in KEPT}


def keep(name: str, value: str) -> None:
    """Make the URL say ``name``, one of KEPT, on whatever page one is; without a value, take it out."""
    if value and st.query_params.get(name) != value:
        st.query_params[name] = value
    elif not value and name in st.query_params:
        del st.query_params[name]


def follow(page: str) -> None:
    """Somebody goes to ``page`` by a link that they chose, so it counts, whatever was written or left there before."""
    _WRITTEN.set({name: text for name, text in _WRITTEN.get().items() if name != page})
    _LEFT.set([])


def read_link(page: str) -> dict[str, str] | None:
    """The parameters, when they say something this session does not know yet: a fresh link, or the back button.

    None where they are what ``write_link`` wrote last, or empty because the visitor came back from another page; also
    where they are older than that: a message that the browser sent before it took the new URL still brings the old one.
    """
    now, ours = link(), _OURS.pop()
    if not now or _WRITTEN.get().get(page) == _text(now):
        return None
    if page in _WRITTEN.get() and (ours or any(text == _text(now) and time.monotonic() < t for text, t in _LEFT.get())):
        return None
    return now


def rerun() -> NoReturn:
    """``st.rerun``, by which nobody can have followed a link: the URL has nothing new to say."""
    _OURS.set(True)
    st.rerun()


def write_link(page: str, params: Mapping[str, str]) -> None:
    """Make the URL say ``params``, so that it can be copied; empty values are left out."""
    wanted = {name: value for name, value in params.items() if value}
    _WRITTEN.set({**_WRITTEN.get(), page: _text(wanted)})
    before = link()
    if before != wanted:
        _LEFT.set([*_LEFT.get()[-9:], (_text(before), time.monotonic() + STALE_S)])
        kept = {name: str(st.query_params[name]) for name in KEPT if name in st.query_params}
        st.query_params.from_dict({**wanted, **kept})


def run_in_link() -> str:
    """The id of the run that the URL names; empty without one."""
    return str(st.query_params.get(RUN, ""))


def _text(params: Mapping[str, str]) -> str:
    return "&".join(f"{name}={params[name]}" for name in sorted(params))
