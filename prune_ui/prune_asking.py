"""What the sections of the Prune page have asked the preview worker: one question for all who look at the same thing.

A question is named by the weights (their stamp) and by its own content. Answers stay for whoever comes back. Whoever
asks for something else in a section, because a slider moved say, takes an unfinished question back that nobody else
looks at.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from prune_core.errors import LabError
from prune_core.jobs import Answers
from prune_core.jobs.answers import Question
from prune_ui import session

T = TypeVar("T")
MOST = 64  # questions kept; those looked at longest ago go first


@dataclass
class Asked:
    """A question with its answers so far. ``windows`` look at it."""

    answers: Answers
    windows: set[str] = field(default_factory=set)
    _made: dict[Any, tuple[int, Any]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Parts of the question."""
        return len(self.answers.questions)

    @property
    def lost(self) -> bool:
        """Whether it was taken back, or its engine ended, before all was answered. What failed is not lost."""
        try:
            return self.answers.done and len(self.answers.replies()) < self.total
        except LabError:
            return False

    def made(self, name: Any, make: Callable[[dict[int, Any]], T]) -> T:
        """``make(replies)``, once for as many replies as there are. ``name`` stands for it."""
        replies = self.answers.replies()
        known = self._made.get(name)
        if known is None or known[0] != len(replies):
            known = self._made[name] = (len(replies), make(replies))
        return known[1]


_asked: OrderedDict[str, Asked] = OrderedDict()
_looking: dict[tuple[str, str], str] = {}  # by window and section: what it looks at
_lock = threading.Lock()


def ask(window: str, section: str, stamp: str, questions: Sequence[Question], *, patience_s: float = 0.0) -> Asked:
    """The question, asked once. ``section`` names the place that has one question at a time in each window.

    Waits up to ``patience_s`` for answers that come at once. Raises LabError or OSError where nothing can be asked.
    """
    key = f"{stamp}/" + "/".join(f"{type(q).__name__}{q.model_dump_json()}" for q in questions)
    with _lock:
        found = _asked.get(key)
    # outside of the lock: the engine may take its time, and others need not wait for it
    fresh = Asked(session.lab().ask(questions)) if found is None or found.lost else None
    with _lock:
        if fresh is not None:
            if _asked.get(key) is found:
                _asked[key] = fresh
            else:  # somebody else was faster
                fresh.answers.cancel()
        found = _asked.get(key) or fresh or found
        assert found is not None, "it was there, or is fresh"
        _asked[key] = found
        _asked.move_to_end(key)
        _leave(window, section, key)
        found.windows.add(window)
        _looking[window, section] = key
        while len(_asked) > MOST:
            _asked.popitem(last=False)[1].answers.cancel()
        while len(_looking) > 16 * MOST:
            _looking.pop(next(iter(_looking)))
    if patience_s:
        found.answers.wait(patience_s)
    return found


def look(asked: Asked, name: str, make: Callable[[dict[int, Any]], T]) -> T | None:
    """``Asked.made``; where the question failed this draws why, with a button to ask again, and returns None."""
    try:
        return asked.made(name, make)
    except (LabError, OSError) as error:
        with st.container(key=f"prune_failed_{name}"):
            st.error(str(error), icon=":material/error:")
            st.button(
                "Try again", key=f"prune/again/{name}", icon=":material/refresh:", on_click=_forget, args=(asked,)
            )
        return None


def _forget(asked: Asked) -> None:
    with _lock:
        for key in [key for key, one in _asked.items() if one is asked]:
            del _asked[key]


def clear() -> None:
    """Forget everything: for tests."""
    with _lock:
        _asked.clear()
        _looking.clear()


def _leave(window: str, section: str, now: str) -> None:
    before = _looking.get((window, section), now)
    if before == now or (left := _asked.get(before)) is None:
        return
    left.windows.discard(window)
    if not left.windows and not left.answers.done:
        left.answers.cancel()
        del _asked[before]
