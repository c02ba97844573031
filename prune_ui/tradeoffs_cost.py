"""What a sweep will cost, found in the background while its form is filled in; kept for all who ask the same."""

from __future__ import annotations

import threading
from collections import OrderedDict

from prune_core.errors import EngineError, LabError
from prune_core.jobs import Estimate
from prune_core.sweeping import Sweep
from prune_ui import session

MOST = 64  # answers kept; those asked for longest ago go first


class Estimates:
    """Answers by question: an Estimate, what is wrong, or None while it is being found out."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Estimate | LabError] = OrderedDict()
        self._asked: set[str] = set()
        self._newest = ""
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one at a time: each times training, and two at once would time each other

    def ask(self, sweep: Sweep) -> Estimate | LabError | None:
        """What ``sweep`` will cost, if it is known by now."""
        key = sweep.to_json()
        with self._lock:
            self._newest = key
            if (found := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return found
            if key not in self._asked:
                self._asked.add(key)
                threading.Thread(target=self._find, args=(key, sweep), name="sweep-estimate", daemon=True).start()
        return None

    def forget(self) -> None:
        """Ask anew: a sweep has begun, and the next one finds its runs."""
        with self._lock:
            self._known.clear()

    def _find(self, key: str, sweep: Sweep) -> None:
        with self._turn:
            if key == self._newest:  # else something else has been typed meanwhile; who still wants it asks again
                found: Estimate | LabError
                try:
                    found = session.lab().estimate(sweep)
                except LabError as error:
                    found = error
                except (OSError, RuntimeError) as error:
                    found = EngineError(f"The cost could not be estimated: {error}")
                with self._lock:
                    self._known[key] = found
                    while len(self._known) > MOST:
                        self._known.popitem(last=False)
        with self._lock:
            self._asked.discard(key)


estimates = Estimates()
