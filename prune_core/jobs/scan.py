"""A sensitivity scan over the lab's workers: a cell at a time to each that has no run, results as they come."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from distributed import Client, Future, KilledWorker

from prune_core.errors import EngineError, LabError
from prune_core.jobs import local
from prune_core.jobs.cells import Opening, ScanRequest, cell, opening
from prune_core.training import Cell, Evaluation
from prune_core.training.sensitivity import Sensitivity

PRIORITY = -50  # Dask's: below runs on a train worker, below sliders and curves on the preview worker
LOOK_S = 0.25  # how often the workers are looked at
DEATHS = 2  # of workers over one cell, after which it is given up


@dataclass
class _Ask:
    """One cell to be measured, or the opening, which has no layer."""

    layer: str = ""
    sparsity: float = 0.0
    deaths: int = 0
    future: Future[Any] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"layer {self.layer} at {self.sparsity:g}" if self.layer else "loading the model"


class SensitivityScan:
    """A scan that goes on in the background. Iterate to get each cell as it is measured.

    Cells go to train workers that have no run, or, where all have one, to the preview worker, behind its sliders and
    curves. A run that starts meanwhile takes its worker back. A worker that dies loses only its cell, which is asked
    for once more. ``known`` are cells of an earlier scan of the same request, which are not measured again.
    """

    def __init__(
        self,
        call: Callable[[Callable[[Client], Any]], Any],
        store: str,
        request: ScanRequest,
        known: Iterable[Cell] = (),
    ) -> None:
        self.request = request
        self.total: int | None = None
        self.layers: tuple[str, ...] = ()
        self.dense: Evaluation | None = None
        self.error: LabError | None = None
        self._call, self._store = call, store
        self._known = {(c.layer, c.sparsity): c for c in known}
        self._cells: dict[tuple[str, float], Cell] = {}
        self._changed = threading.Condition()
        self._cancelled = threading.Event()
        self._ended: queue.SimpleQueue[tuple[str, _Ask] | None] = queue.SimpleQueue()
        self._todo: deque[_Ask] = deque([_Ask()])
        self._out: dict[str, _Ask] = {}  # by worker address
        self._stamp: Any = None
        self._workers: list[dict[str, Any]] = []
        self._looked = -LOOK_S
        self._began: float | None = None
        self._fresh = 0  # cells measured by this scan, not known before
        self.done = False
        call(lambda client: local.ask(client, "status"))  # an engine that cannot be reached is said at once
        threading.Thread(target=self._drive, name="sensitivity-scan", daemon=True).start()

    # --- looking ------------------------------------------------------------------------------------------------------
    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that is measured by now, layer by layer; does not wait."""
        order = {name: i for i, name in enumerate(self.layers)}
        with self._changed:
            return tuple(sorted(self._cells.values(), key=lambda c: (order[c.layer], c.sparsity)))

    @property
    def cancelled(self) -> bool:
        """Whether somebody ended it."""
        return self._cancelled.is_set()

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before there is one."""
        with self._changed:
            if self._began is None or self.total is None or not self._fresh or self.done:
                return None
            pace = (time.monotonic() - self._began) / self._fresh
            return pace * (self.total - len(self._cells))

    def __iter__(self) -> Iterator[Cell]:
        """Each cell as it is measured, until all are or somebody cancels. Raises what went wrong, after the last."""
        given: set[tuple[str, float]] = set()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.done or len(self._cells) > len(given))
                new = [key for key in self._cells if key not in given]
                if not new and self.done:
                    break
            for key in new:
                given.add(key)
                yield self._cells[key]
        if self.error is not None:
            raise self.error

    def result(self) -> Sensitivity:
        """Wait, and return what was measured: all, or what there is of a cancelled scan. Raises what went wrong."""
        for _ in self:
            pass
        if self.dense is None:
            raise EngineError("The scan was ended before anything was measured.")
        return Sensitivity(self.dense, self.cells)

    def cancel(self) -> None:
        """Measure no more: at once for whoever waits; a worker in the middle of a cell finishes that one."""
        self._cancelled.set()
        self._finish()
        self._ended.put(None)

    # --- the loop, in a thread of its own -----------------------------------------------------------------------------
    def _drive(self) -> None:
        try:
            while (self._todo or self._out) and not self.done:
                self._look()
                self._give_out()
                try:
                    ended = self._ended.get(timeout=LOOK_S)
                except queue.Empty:
                    continue
                if ended is not None and self._out.get(ended[0]) is ended[1]:
                    del self._out[ended[0]]
                    self._take(ended[1])
        except LabError as error:
            self.error = error
        except Exception as error:  # whoever waits must not wait for ever
            self.error = EngineError(f"The scan was ended by {type(error).__name__}: {str(error)[:200]}")
        finally:
            self._finish()
            for ask in self._out.values():
                _drop(ask)

    def _finish(self) -> None:
        with self._changed:
            self.done = True
            self._changed.notify_all()

    def _look(self) -> None:
        """See which workers there are, and take back cells whose worker is gone or has a run to train."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        workers = self._call(lambda client: local.ask(client, "status"))["workers"]
        self._workers = [worker for worker in workers if not worker["problem"]]
        self._looked = time.monotonic()
        by_address = {worker["address"]: worker for worker in self._workers}
        for address, ask in list(self._out.items()):
            worker = by_address.get(address)
            if worker is None or worker["run"]:
                del self._out[address]
                _drop(ask)
                self._again(ask, died=worker is None)

    def _give_out(self) -> None:
        train = [w for w in self._workers if w["role"] == "train" and not w["run"]]
        for worker in train or [w for w in self._workers if w["role"] == "preview"]:
            if self._todo and worker["address"] not in self._out and (self._stamp is not None or not self._out):
                ask = self._todo.popleft()
                self._out[worker["address"]] = ask
                ask.future = self._call(partial(self._submit, ask, worker))
                ask.future.add_done_callback(partial(self._note, worker["address"], ask))

    def _note(self, address: str, ask: _Ask, _: Future[Any]) -> None:
        """Called from Dask's own thread when an answer is there, or will not come."""
        self._ended.put((address, ask))

    def _submit(self, ask: _Ask, worker: dict[str, Any], client: Client) -> Future[Any]:
        what = (cell, self._store, self.request, self._stamp, ask.layer, ask.sparsity)
        return client.submit(
            *(what if ask.layer else (opening, self._store, self.request)),
            key=f"scan-{time.time_ns():x}-{id(ask):x}",
            workers=[worker["address"]],
            allow_other_workers=False,
            resources={"preview": 1} if worker["role"] == "preview" else None,
            priority=PRIORITY,
            retries=0,
            pure=False,
        )

    def _take(self, ask: _Ask) -> None:
        future = ask.future
        assert future is not None, "it was given out"
        if future.status == "error":
            error = future.exception()
            if not isinstance(error, KilledWorker):
                raise EngineError(f"The scan was ended by {type(error).__name__}: {str(error)[:200]}")
            self._workers, self._looked = (
                [],
                -LOOK_S,
            )  # the dead one is among them: look before anything is given out again
            self._again(ask, died=True)
            return
        if future.status != "finished":
            raise EngineError("The engine was ended, and the scan with it; what is measured is kept.")
        answer = future.result()
        if isinstance(answer, LabError):  # a sentence for people travels as a value: nothing failed
            raise answer
        with self._changed:
            if isinstance(answer, Opening):
                self._open(answer)
            elif not self.done:
                self._cells[ask.layer, ask.sparsity] = answer
                self._fresh += 1
            self._changed.notify_all()

    def _open(self, found: Opening) -> None:
        self.layers, self.dense, self._stamp = found.layers, found.dense, found.stamp
        every = [(name, share) for name in found.layers for share in self.request.sparsities]
        self._cells = {key: self._known[key] for key in every if key in self._known}
        self.total, self._began = len(every), time.monotonic()
        self._todo.extend(_Ask(*key) for key in every if key not in self._cells)

    def _again(self, ask: _Ask, *, died: bool) -> None:
        ask.deaths += died
        if ask.deaths >= DEATHS:
            raise EngineError(f"A worker process died twice over {ask}; the model may be too large for this machine.")
        self._todo.appendleft(ask)


def _drop(ask: _Ask) -> None:
    if ask.future is not None and not ask.future.done():
        ask.future.cancel()
