"""Questions for the preview worker, its answers, and how they travel.

A slider asks many times a second and only its last question matters; a curve asks many questions once. Both go to one
worker process that keeps models in memory, sliders first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import CancelledError, Client, Future, KilledWorker
from pydantic import model_validator

from prune_core.data import DataSource
from prune_core.errors import ConfigError, EngineError, LabError
from prune_core.models import ModelSource
from prune_core.pruning import Criterion, Magnitude, Scope
from prune_core.settings import Settings, setting
from prune_core.training import Evaluation

SLIDER, CURVE = 10, -10  # Dask's priorities: higher goes first, and training stands at 0 on workers of its own


class PreviewRequest(Settings):
    """What pruning ``run``, or ``model`` as it is built, would leave: give one of the two.

    Give ``sparsity`` or ``threshold``, or neither for the model as it is. With scope "layer" the threshold is that of
    ``layer``, whose sparsity then holds for every layer.
    """

    run: str = setting("", help="Id of a run; its last checkpoint is pruned.")
    model: ModelSource | None = setting(None, help="A model with fresh or published weights.")
    data: DataSource | None = setting(None, help="Data to measure a model on; a run brings its own.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides fresh weights and random criteria.")
    criterion: Criterion = setting(Magnitude(), help="How much a weight matters; the lowest are removed first.")
    scope: Scope = setting("global", help="Compare all weights with each other, or within each layer.")
    sparsity: float | None = setting(None, ge=0, lt=1, help="Share of the prunable weights to remove.")
    threshold: float | None = setting(None, help="Score up to which weights are removed.")
    layer: str = setting("", help="Layer to make the histogram and the mask picture of; empty: the largest.")
    picture: bool = setting(True, help="Whether to make histogram and mask picture at all.")
    accuracy: bool = setting(True, help="Whether to measure accuracy, where there is data.")
    budget_s: float = setting(0.2, gt=0, le=60, unit="s", help="Time for measuring; a sample where all is slow.")

    @model_validator(mode="after")
    def _agree(self) -> PreviewRequest:
        if bool(self.run) == (self.model is not None):
            raise ConfigError("PreviewRequest needs either run or model, and not both.")
        if self.sparsity is not None and self.threshold is not None:
            raise ConfigError("PreviewRequest takes sparsity or threshold, not both: each follows from the other.")
        return self


@dataclass(frozen=True)
class LayerView:
    """One layer after pruning; ``threshold`` is the largest score removed from it, None where nothing was."""

    name: str
    shape: tuple[int, ...]
    numel: int
    kept: int
    threshold: float | None

    @property
    def sparsity(self) -> float:
        """Share removed."""
        return 1 - self.kept / self.numel


@dataclass(frozen=True)
class LayerPicture:
    """Histogram and mask of one layer.

    ``weights`` counts kept and ``removed`` removed weights (int32, 80 equal bins over ``edges``). ``mask`` is uint8
    (rows, columns), at most 64 x 64: the share kept of each patch of the weight as outputs x inputs, 255 = all.
    """

    name: str
    edges: tuple[float, float]
    weights: np.ndarray
    removed: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class PreviewReply:
    """What pruning leaves. ``sparsity`` is realised, and more than asked for where the run had removed more already.

    ``threshold`` is the largest score removed (of ``picture``'s layer with scope "layer"), None where nothing is.
    ``accuracy`` is of the pruned and ``dense`` of the unpruned model on the same test examples, with 95 % intervals;
    None where there is no data or none was asked for. ``step`` is the run's, None for a model. ``seconds`` is the
    worker's time.
    """

    sparsity: float
    threshold: float | None
    layers: tuple[LayerView, ...]
    picture: LayerPicture | None
    accuracy: Evaluation | None
    dense: Evaluation | None
    step: int | None
    seconds: float


class SupersededError(EngineError):
    """A newer request of the same session took this one's place."""


class Previews:
    """The newest request of each session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, Future[Any]] = {}

    def one(self, client: Client, store: str, request: PreviewRequest, session: str, timeout: float) -> PreviewReply:
        """Ask, wait, answer; a worker that died meanwhile is asked again once."""
        for attempt in (1, 2):
            future = _submit(client, store, request, SLIDER)
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

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return all(f.done() for f in self._futures)

    def points(self) -> list[tuple[float, PreviewReply]]:
        """(sparsity asked for, reply) of all that is measured by now; does not wait. Raises what the worker raised."""
        pairs = zip(self.sparsities, self._futures, strict=True)
        return [(s, _open(f.result())) for s, f in pairs if f.status in ("finished", "error")]

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


def _submit(client: Client, store: str, request: PreviewRequest, priority: int) -> Future[Any]:
    from prune_core.jobs.bench import preview

    return client.submit(
        preview,
        store,
        request,
        key=f"preview-{time.time_ns():x}-{threading.get_ident():x}",
        resources={"preview": 1},
        priority=priority,
        retries=0,
        pure=False,
    )


def _open(answer: Any) -> PreviewReply:
    if isinstance(answer, LabError):  # a sentence for people travels as a value: nothing failed
        raise answer
    assert isinstance(answer, PreviewReply)
    return answer
