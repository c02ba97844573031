"""Hearing what a run, or a race, is told: read from the store, handed to its control."""

from __future__ import annotations

import threading
from collections.abc import Callable

from prune_core.tracking.records import LAB, ControlRecord
from prune_core.tracking.store import Store
from prune_core.training import Control

LISTEN_S = 0.1  # a race has one who listens for all its lanes, and a click is to be felt


class Listener:
    """Hands to ``control`` what ``told`` (the id of a run or of a race) is told."""

    def __init__(self, store: Store, told: str, control: Control) -> None:
        self._store, self._told, self._control = store, told, control
        self._heard = 0

    def listen(self) -> None:
        """Hear what is new."""
        for told in self._store.controls(self._told, self._heard):
            self._heard = told.id
            obey(self._control, told)


class Listening:
    """A thread that listens until ``end``; what goes wrong meanwhile goes to ``trouble``."""

    def __init__(self, listener: Listener, trouble: Callable[[Exception], None]) -> None:
        self._listener, self._trouble = listener, trouble
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="listener", daemon=True)

    def __enter__(self) -> Listening:
        self._hear()  # what was said while the race waited counts from its first step on
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(LISTEN_S):
            self._hear()

    def _hear(self) -> None:
        try:
            self._listener.listen()
        except Exception as error:  # a store that is away for a moment must not make a race deaf for good
            self._trouble(error)


def obey(control: Control, told: ControlRecord) -> None:
    """Do what was said."""
    if told.command == "pause":
        control.pause()
    elif told.command == "resume":
        control.resume()
    elif told.command == "step":
        control.step(max(1, int(told.value or 1)))
    elif told.command == "pace":
        control.pace(told.value if told.value and told.value > 0 else None)
    elif told.command == "stop":
        if told.value is not None:
            control.stop_after(int(told.value))
        elif told.sender.startswith(LAB):
            control.stop(told.sender.removeprefix(LAB))
        else:
            control.stop()
    elif told.value is not None:
        control.set(**{told.command.removeprefix("set:"): told.value}, sender=told.sender)
