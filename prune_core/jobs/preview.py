"""How questions travel to the preview worker, and its answers back.

A slider asks many times a second and only its last question matters; a curve asks many questions once. Both go to one
worker process that keeps models in memory, sliders first.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any, overload

from distributed import CancelledError, Client, Future, KilledWorker

from prune_core.errors import EngineError, LabError
from prune_core.jobs.bench import preview
from prune_core.jobs.gradients import GradientReply, GradientRequest, gradient
from prune_core.jobs.question import PreviewReply, PreviewRequest, ScanningError

Question = PreviewRequest | GradientRequest

SLICE_S = 0.3  # of a scan, between which another visitor's slider is answered
SLIDER, CURVE = 10, -10  # Dask's priorities: higher goes first, and training stands at 0 on workers of its own


class SupersededError(EngineError):
    """A newer request of the same session took this one's place."""


class Previews:
    """The newest request of each session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, Future[Any]] = {}

    @overload
    def one(
        self, client: Client, store: str, request: PreviewRequest, session: str, timeout: float
    ) -> PreviewReply: ...
    @overload
    def one(
        self, client: Client, store: str, request: GradientRequest, session: str, timeout: float
    ) -> GradientReply: ...
    def one(self, client: Client, store: str, request: Question, session: str, timeout: float) -> Any:
        """Ask, wait, answer; a worker that died meanwhile is asked again once, one that scans until it is through."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._once(client, store, request, session, max(deadline - time.monotonic(), 0.0))
            except ScanningError:
                if time.monotonic() > deadline:
                    raise

    def _once(self, client: Client, store: str, request: Question, session: str, timeout: float) -> Any:
        for attempt in (1, 2):
            future = _submit(client, store, request, SLIDER, SLICE_S)
            if session:
                with self._lock:
                    older, self._newest[session] = self._newest.get(session), future
                if older is not None and not older.done():
                    older.cancel()
            try:
                return _open(future.result(timeout=timeout))
            except KilledWorker:
                if attempt == 2:
                    raise EngineError("The preview worker died twice over this; the model may be too large.") from None
            except TimeoutError:
                raise EngineError(
                    f"The preview took over {timeout:g} s: the worker is busy, or the model too large."
                ) from None
            except CancelledError:
                if session and self._newest.get(session) is not future:
                    raise SupersededError("A newer request took this one's place.") from None
                raise ConnectionError("the scheduler is gone") from None  # the Lab asks again over a new connection
            finally:
                self._forget(session, future)
        raise AssertionError("two attempts either answer or raise")

    def _forget(self, session: str, future: Future[Any]) -> None:
        with self._lock:
            if self._newest.get(session) is future:
                del self._newest[session]
        if not future.done():
            future.cancel()


class Curve:
    """Accuracy at a list of sparsities, measured one after the other in the worker. Iterate to wait for all."""

    def __init__(self, client: Client, store: str, request: PreviewRequest, sparsities: list[float]) -> None:
        bare = request.replace(picture=False, threshold=None)
        # made first, so that a sparsity out of bounds is refused before anything is measured
        requests = [bare.replace(sparsity=s) for s in sparsities]
        self.sparsities = sparsities
        # later points a little lower: they come in the order asked for
        self._futures = [_submit(client, store, r, CURVE - i) for i, r in enumerate(requests)]
        self._known: dict[int, PreviewReply] = {}  # opened once: each opening asks the client's loop, some 5 ms

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return all(f.done() for f in self._futures)

    def points(self) -> list[tuple[float, PreviewReply]]:
        """(sparsity asked for, reply) of all that is measured by now; does not wait. Raises what the worker raised."""
        for i, future in enumerate(self._futures):
            if i not in self._known and future.status in ("finished", "error"):
                self._known[i] = _open(future.result())
        return [(self.sparsities[i], self._known[i]) for i in sorted(self._known)]

    def __iter__(self) -> Iterator[tuple[float, PreviewReply]]:
        for sparsity, future in zip(self.sparsities, self._futures, strict=True):
            try:
                yield sparsity, _open(future.result())
            except CancelledError:
                return

    def cancel(self) -> None:
        """Measure no more."""
        for future in self._futures:
            if not future.done():
                future.cancel()


def _submit(client: Client, store: str, request: Question, priority: int, patience_s: float = math.inf) -> Future[Any]:
    return client.submit(
        gradient if isinstance(request, GradientRequest) else preview,
        store,
        request,
        patience_s,
        key=f"preview-{time.time_ns():x}-{threading.get_ident():x}",
        resources={"preview": 1},
        priority=priority,
        retries=0,
        pure=False,
    )


def _open(answer: Any) -> Any:
    if isinstance(answer, LabError):  # a sentence for people travels as a value: nothing failed
        raise answer
    assert isinstance(answer, PreviewReply | GradientReply)
    return answer
