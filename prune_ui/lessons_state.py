"""What a visitor of the Lessons page has chosen: lesson, values, answers; and what is executed for them."""

from __future__ import annotations

import os
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from prune_core.errors import ConfigError, LabError
from prune_core.lessons import Execution, Lesson, Now, Shown, Trouble, Value, executor, folder
from prune_core.lessons.parameters import text_of
from prune_ui import session
from prune_ui.session import Key

PAGE = "lessons"
LESSON = "lesson"  # the URL's name for the lesson that is shown
WAIT_S = 0.6  # what is ready by then needs no second turn of the page
STALE_S = 1.5  # for so long the browser may still send the address from before
LATER_S = 8.0  # after the start of the server; the first visitors go first
WARM = "PRUNE_LAB_LESSONS_WARM"
"""Environment variable: ``off`` executes no lesson before somebody opens it."""

SLUG: Key[str] = Key("lessons/slug", "")
VALUES: Key[dict[str, dict[str, Value]]] = Key("lessons/values", {})  # by lesson; the defaults are left out
GIVEN: Key[dict[str, dict[str, str | float]]] = Key("lessons/given", {})  # answers by lesson and exercise
REVEALED: Key[frozenset[str]] = Key("lessons/revealed", frozenset())  # "lesson/exercise" that were asked to be shown
SAID: Key[tuple[str, ...]] = Key("lessons/said", ())
CODE: Key[bool] = Key("lessons/code", False)
STOPPED: Key[str] = Key("lessons/stopped", "")  # digest of what the visitor cancelled
_OPENED: Key[float] = Key("lessons/opened", -1e9)
_VISITOR: Key[str] = Key("lessons/visitor", "")
_NOW: Key[Execution | None] = Key("lessons/execution", None)
_LAST: Key[dict[str, dict[int, Shown]]] = Key("lessons/last", {})  # by lesson: what stood there before


@dataclass(frozen=True)
class View:
    """What a page draws: how far the execution is, and each cell's outputs, of which ``stale`` are of other values."""

    now: Now
    ahead: int
    cells: dict[int, Shown]
    stale: frozenset[int]
    stopped: bool = False

    @property
    def waiting(self) -> bool:
        """Whether more will come by itself."""
        return not self.now.ended and not self.stopped


# --- the link ---------------------------------------------------------------------------------------------------------
def open_link() -> None:
    """Take what the URL says; a sentence for each part that means nothing."""
    params = session.read_link(PAGE)
    if params is None:
        # the list's address is empty: by Back, or by the navigation; not by what is older than our own writing of it
        if not session.link() and time.monotonic() - _OPENED.get() > STALE_S:
            SLUG.set("")
        return
    slug = params.pop(LESSON, "")
    SLUG.set("")
    if not slug:
        return
    try:
        lesson = folder().get(slug)
    except LabError as error:
        SAID.set((str(error),))
        return
    SLUG.set(slug)
    known = {p.name: p for p in lesson.parameters}
    values, said = {}, []
    for name, text in params.items():
        try:
            if name not in known:
                raise ConfigError(f"This lesson has no {name}; the link is of another one, or of an older one.")
            values[name] = known[name].read(text)
        except ConfigError as error:
            said.append(str(error))
    SAID.set(tuple(said))
    _keep(lesson, values)


def keep_link(lesson: Lesson | None) -> None:
    """Make the URL say what is chosen, so that it can be copied."""
    if lesson is None:
        session.write_link(PAGE, {})
        return
    changed = {name: text_of(value) for name, value in changes(lesson).items()}
    session.write_link(PAGE, {LESSON: lesson.slug, **changed})


# --- values -----------------------------------------------------------------------------------------------------------
def values(lesson: Lesson) -> dict[str, Value]:
    """All values; what the file does not allow (any more) is the default again."""
    return {**{p.name: p.default for p in lesson.parameters}, **changes(lesson)}


def changes(lesson: Lesson) -> dict[str, Value]:
    """The values that are not the defaults."""
    found: dict[str, Value] = {}
    kept = VALUES.get().get(lesson.slug, {})
    for p in lesson.parameters:
        if p.name in kept:
            try:
                value = p.check(kept[p.name])
            except ConfigError:
                continue
            if value != p.default:
                found[p.name] = value
    return found


def put(lesson: Lesson, name: str, value: Any) -> None:
    """Set one value, as a widget gave it."""
    parameter = next(p for p in lesson.parameters if p.name == name)
    _keep(lesson, {**changes(lesson), name: parameter.check(value)})


def reset(lesson: Lesson) -> None:
    """All values are the defaults."""
    _keep(lesson, {})


def _keep(lesson: Lesson, chosen: dict[str, Value]) -> None:
    VALUES.set({**VALUES.get(), lesson.slug: chosen})


def open_lesson(slug: str) -> None:
    """Show this lesson; the list without one."""
    SLUG.set(slug)
    SAID.set(())
    _OPENED.set(time.monotonic())
    if not slug:
        leave()


# --- executions -------------------------------------------------------------------------------------------------------
def visitor() -> str:
    """This window's name for the queue."""
    if not _VISITOR.get():
        _VISITOR.set(secrets.token_hex(8))
    return _VISITOR.get()


def leave() -> None:
    """Nothing is waited for any more."""
    if _VISITOR.get():
        executor().leave(visitor())


def look(lesson: Lesson) -> View:
    """What there is for the visitor's values; asks for it where nobody did, and waits for what is quick."""
    execution = _execution(lesson)
    if execution is None:
        kept = _LAST.get().get(lesson.slug, {})
        return View(Now(state="cancelled"), 0, kept, frozenset(kept), stopped=True)
    if not execution.digest:  # it could not even be asked for
        return View(execution.now, 0, {}, frozenset())
    now = executor().look(execution, visitor())
    before = _LAST.get().get(lesson.slug, {})
    if now.state == "done":
        _LAST.set({**_LAST.get(), lesson.slug: dict(now.cells)})
        return View(now, 0, dict(now.cells), frozenset())
    stale = frozenset(before) - frozenset(now.cells)
    return View(now, executor().ahead(execution), {**before, **now.cells}, stale)


def stop(lesson: Lesson) -> None:
    """The visitor does not want to wait."""
    execution = _NOW.get()
    if execution is not None:
        STOPPED.set(execution.digest)
    leave()


def again() -> None:
    """Execute once more what was stopped or failed."""
    STOPPED.set("")
    _NOW.set(None)


def _execution(lesson: Lesson) -> Execution | None:
    """The execution of the visitor's values; None where they stopped it. What failed is not begun again by itself."""
    held = _NOW.get()
    wanted = values(lesson)
    mine = held is not None and held.lesson.content == lesson.content and held.lesson.slug == lesson.slug
    if held is not None and mine and held.values == wanted:
        if STOPPED.get() == held.digest and held.now.state != "done":
            return None
        if held.now.state != "cancelled":
            return held
    try:
        found = executor().ask(lesson, wanted, visitor())
    except LabError as error:
        failed = Execution(lesson, wanted, "")
        failed.now = Now(state="failed", trouble=Trouble(None, str(error), lasting=False))
        return failed
    STOPPED.set("")
    _NOW.set(found)
    found.wait(WAIT_S)
    return found


# --- the process ------------------------------------------------------------------------------------------------------
def warm(after: float = LATER_S) -> None:
    """Execute every lesson with its defaults, behind everything else, so that the first view shows its outputs."""
    if os.environ.get(WARM, "").lower() != "off":
        threading.Thread(target=_warm, args=(after,), name="lessons-warm", daemon=True).start()


def _warm(after: float) -> None:
    time.sleep(after)
    for lesson in folder().lessons():
        try:
            executor().ask(lesson, {}).wait(600)
        except LabError:
            return
