"""Several questions to the preview worker, answered one after the other behind its sliders."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import CancelledError, Client, Future, KilledWorker

from prune_core.errors import EngineError, LabError
from prune_core.jobs.prober import answer
from prune_core.jobs.probes import Probe, ProbeReply
from prune_core.jobs.question import PreviewReply, PreviewRequest, ScanningError

Question = PreviewRequest | Probe
Reply = PreviewReply | ProbeReply
PRIORITY = -20  # Dask's: behind sliders and the first points of the page's own curve


class Answers:
    """Replies as they come. Iterate to wait for all; ask ``replies`` for what is there by now.

    Cancelled questions have no reply. A LabError that a question deserves is raised by whoever looks.
    """

    def __init__(self, client: Client, store: str, questions: Sequence[Question], priority: int = PRIORITY) -> None:
        self.questions = tuple(questions)
        # later ones a little lower: they come in the order asked for
        self._futures = [_submit(client, store, q, priority - i) for i, q in enumerate(self.questions)]
        self._known: dict[int, Reply] = {}  # opened once: each opening asks the client's loop, some 5 ms

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return len(self._known) == len(self._futures) or all(f.done() for f in self._futures)

    def replies(self) -> dict[int, Any]:
        """By the question's place: what is answered by now; does not wait. Raises what a question deserved."""
        for i, future in enumerate(self._futures):
            if i not in self._known and future.status in ("finished", "error"):
                self._known[i] = _open(future)
        return dict(sorted(self._known.items()))

    def __iter__(self) -> Iterator[Any]:
        for i, future in enumerate(self._futures):
            if i not in self._known:
                try:
                    self._known[i] = _open(future)
                except CancelledError:
                    return
            yield self._known[i]

    def wait(self, timeout: float) -> bool:
        """Wait for all, up to ``timeout`` seconds; returns whether nothing more will come."""
        until = time.monotonic() + timeout
        while not self.done and time.monotonic() < until:
            time.sleep(0.01)
        return self.done

    def cancel(self) -> None:
        """Ask no more; the question in work is finished."""
        for future in self._futures:
            if not future.done():
                future.cancel()


def _submit(client: Client, store: str, question: Question, priority: int) -> Future[Any]:
    return client.submit(
        answer,
        store,
        question,
        key=f"probe-{time.time_ns():x}-{threading.get_ident():x}",
        resources={"preview": 1},
        priority=priority,
        retries=0,
        pure=False,
    )


def _open(future: Future[Any]) -> Reply:
    try:
        reply = future.result()
    except KilledWorker:
        raise EngineError("The preview worker died over this; the model may be too large.") from None
    if isinstance(reply, ScanningError):
        raise AssertionError("without patience a scan goes on to its end")
    if isinstance(reply, LabError):  # a sentence for people travels as a value: nothing failed
        raise reply
    assert isinstance(reply, Reply)
    return reply
