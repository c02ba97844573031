"""The lab as people hold it: launch runs, watch them, steer them, look at pruned models."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from distributed import Client

from prune_core.data import DataSource
from prune_core.errors import ConfigError, EngineError
from prune_core.experiment import Experiment
from prune_core.jobs import cluster, local
from prune_core.jobs.answers import Answers, Question
from prune_core.jobs.cells import ScanRequest
from prune_core.jobs.gradients import GradientReply, GradientRequest
from prune_core.jobs.handle import RunHandle
from prune_core.jobs.place import EngineFile, Place
from prune_core.jobs.preview import Curve, Previews
from prune_core.jobs.question import PreviewReply, PreviewRequest
from prune_core.jobs.race import RaceHandle
from prune_core.jobs.scan import SensitivityScan
from prune_core.jobs.sweeping import check_known
from prune_core.jobs.trials import Trying
from prune_core.models import ModelSource
from prune_core.tracking import Races, Store, store_url
from prune_core.tracking import home as default_home
from prune_core.training import Cell, lanes_of

T = TypeVar("T")
WORKERS = ["name", "role", "state", "run", "pid", "address", "gpu", "problem"]


class Lab(Trying):
    """Runs in worker processes, recorded in the live store.

    Without ``scheduler`` a local engine does the work: the first launch starts it where none runs, with ``workers``
    runs at a time (default: one a core), and it outlives this process. ``scheduler``, by default PRUNE_LAB_SCHEDULER,
    is the address of a running Dask cluster (``tls://…`` takes its certificates from Dask's configuration) whose
    machines all reach ``store``.
    One Lab may be used from many threads at once.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        store: Store | str | None = None,
        home: Path | str | None = None,
        workers: int | None = None,
    ) -> None:
        self.home = Path(home) if home is not None else default_home()
        if store is None:
            store = (
                store_url() if home is None else os.environ.get("PRUNE_LAB_STORE") or f"sqlite:///{self.home}/lab.db"
            )
        self.store = store if isinstance(store, Store) else Store(store)
        self.scheduler = scheduler or os.environ.get("PRUNE_LAB_SCHEDULER") or None
        self._workers = _count(workers)
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._engine: EngineFile | None = None
        self._place = Place(self.home)
        self._previews = Previews()

    # --- runs ---------------------------------------------------------------------------------------------------------
    def launch(self, experiment: Experiment, name: str = "", owner: str = "", priority: int = 0) -> RunHandle:
        """Queue a run and return at once. Among equal ``priority`` those go first whose owner has least at work.

        Raises ConfigError for an experiment with parts that workers cannot know, EngineError where no engine can be
        started or reached; then nothing is queued.
        """
        if self.scheduler is None:
            check_known(experiment)
        self.attach()
        run_id = self.store.create(experiment, name=name, owner=owner, priority=priority)
        self._wake()
        return self.handle(run_id)

    def race(self, experiment: Experiment, name: str = "", owner: str = "", priority: int = 0) -> RaceHandle:
        """Queue the four lanes of ``experiment`` (see ``lanes_of``) as one job of one worker, and return at once.

        Raises ConfigError for an experiment that does not clip and prune, and as ``launch``.
        """
        lanes_of(experiment)
        if self.scheduler is None:
            check_known(experiment)
        self.attach()
        race_id = Races(self.store).create(experiment, name=name, owner=owner, priority=priority)
        self._wake()
        return self.race_handle(race_id)

    def race_handle(self, race_id: str) -> RaceHandle:
        """The race of that id. Raises RunNotFoundError."""
        races = Races(self.store)
        races.lanes(race_id)
        return RaceHandle(race_id, races, self._wake)

    def handle(self, run_id: str) -> RunHandle:
        """The run of that id. Raises RunNotFoundError."""
        self.store.run(run_id)
        return RunHandle(run_id, self.store, self._wake, self.home)

    def watch(self, run: str | RunHandle, theme: str = "light") -> Any:
        """The run's live charts in a Jupyter notebook, with pause, step, stop and its thresholds as sliders.

        Raises ConfigError where Jupyter's widgets are not installed, RunNotFoundError where there is no such run.
        """
        # figures stand above the engine, which must not need them
        jupyter = importlib.import_module("prune_core.jupyter")
        return jupyter.watch(run if isinstance(run, RunHandle) else self.handle(run), theme)

    def runs(self, statuses: Iterable[str] | None = None, owner: str | None = None, limit: int = 500) -> pd.DataFrame:
        """The newest runs, one a row."""
        return self.store.runs(statuses=statuses, owner=owner, limit=limit)

    def queue(self) -> pd.DataFrame:
        """The runs that wait, in the order in which they will start; ``position`` counts from 1."""
        return self.store.queue()

    def workers(self) -> pd.DataFrame:
        """The worker processes: name, role ("train", "preview"), state ("idle", "busy", "refused"), run, pid, address.

        ``gpu`` says whether it declares one, ``problem`` why it is refused and gets no work.
        """
        rows = self._call(lambda client: local.ask(client, "status"))["workers"]
        return pd.DataFrame(rows, columns=WORKERS).sort_values("name", ignore_index=True)

    # --- previews -----------------------------------------------------------------------------------------------------
    def preview(self, request: PreviewRequest, *, session: str = "", timeout: float = 30.0) -> PreviewReply:
        """What pruning a model would leave, measured in the preview worker, which keeps the model in memory.

        Within one ``session`` only the newest request matters: an older one that still waits raises SupersededError.
        Raises ConfigError or another LabError as the request deserves, EngineError after ``timeout`` seconds.
        """

        def one(client: Client) -> PreviewReply:
            if self.scheduler is not None:
                cluster.check_previews(client)
            return self._previews.one(client, self.store.url, request, session, timeout)

        return self._call(one)

    def gradient(self, request: GradientRequest, *, session: str = "", timeout: float = 120.0) -> GradientReply:
        """A model's gradient at one moment of its training, and what every clipping strategy would do to it.

        Computed in the preview worker, as ``preview`` is, and with the same errors. A moment before the end of a run is
        reached by training again, which takes as long as it took then.
        """

        def one(client: Client) -> GradientReply:
            if self.scheduler is not None:
                cluster.check_previews(client)
            return self._previews.one(client, self.store.url, request, session, timeout)

        return self._call(one)

    def curve(self, request: PreviewRequest, sparsities: Iterable[float]) -> Curve:
        """Start measuring ``request`` at each sparsity in turn; sliders go first. Ask the Curve for what is there."""
        points = list(sparsities)
        return self._call(lambda client: Curve(client, self.store.url, request, points))

    def ask(self, questions: Iterable[Question]) -> Answers:
        """Start answering ``questions`` (PreviewRequest, AgreementProbe, AnswersProbe, ...) in turn; sliders go first.

        Ask the Answers for what is there, or iterate; ``cancel`` ends it.
        """
        every = list(questions)
        return self._call(lambda client: Answers(client, self.store.url, every))

    def sensitivity(
        self,
        of: str | RunHandle | ModelSource | ScanRequest,
        *,
        data: DataSource | None = None,
        known: Iterable[Cell] = (),
        **settings: Any,
    ) -> SensitivityScan:
        """Start measuring each layer pruned alone, spread over the workers that have no run; returns at once.

        ``of`` is a run, its id, or a model with ``data``; ``settings`` are ScanRequest's: criterion, granularity,
        sparsities, recalibrate, examples, seed. Iterate over the scan, or ask it for ``cells`` and ``seconds_left``;
        ``cancel`` ends it. ``known`` cells are not measured again. Raises ConfigError for settings out of bounds.
        """
        if isinstance(of, ScanRequest):
            request = of.replace(**settings) if settings else of
        elif isinstance(of, ModelSource):
            request = ScanRequest(model=of, data=data, **settings)
        else:
            run_id = of.id if isinstance(of, RunHandle) else of
            self.store.run(run_id)  # says so if there is no such run
            request = ScanRequest(run=run_id, **settings)
        return SensitivityScan(self._call, self.store.url, request, known)

    # --- the engine ---------------------------------------------------------------------------------------------------
    def attach(self) -> Lab:
        """Connect, starting the local engine where none runs: milliseconds warm, seconds cold. Raises EngineError."""
        self._connected()
        return self

    def close(self) -> None:
        """Let go of the engine, which stays with all that runs."""
        with self._lock:
            client, self._client, self._engine = self._client, None, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=2)

    def shutdown(self) -> None:
        """End the local engine. What runs is marked failed and can be retried; what waits starts with the next one."""
        if self.scheduler is not None:
            raise EngineError(f"{self.scheduler} is a cluster of somebody else's making: end it where it was started.")
        engine = self._place.read()
        self.close()
        if engine is not None:
            local.end(engine)

    def __enter__(self) -> Lab:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> Client:
        client = self._client
        if client is not None and client.status == "running" and (self._engine is None or self._engine.alive):
            return client
        with self._lock:
            if client is self._client:  # else another thread was faster
                self.close()
                self._client = self._connect()
            assert self._client is not None
            return self._client

    def _connect(self) -> Client:
        if self.scheduler is not None:
            return cluster.connect(self.scheduler, self.store.url)
        self._engine = local.find_or_start(self._place, self.store.url, self._workers)
        return local.connect(self._engine)

    def _call(self, question: Callable[[Client], T]) -> T:
        """Ask; once more over a fresh connection when the engine was ended or restarted meanwhile."""
        for last in (False, True):
            try:
                return question(self._connected())
            except (OSError, TimeoutError) as error:  # Dask's CommClosedError is an OSError
                self.close()
                if last:
                    raise EngineError(f"The engine does not answer: {error}; its log is {self._place.log}.") from None
        raise AssertionError("the second time either answers or raises")

    def _wake(self) -> None:
        """Have the queue looked at now; then an engine has to be there."""
        self._call(lambda client: local.ask(client, "wake"))


def _count(workers: int | None) -> int:
    named = os.environ.get("PRUNE_LAB_WORKERS", "")
    if workers is None and named:
        if not named.isdigit() or int(named) < 1:
            raise ConfigError(f"PRUNE_LAB_WORKERS must be a whole number at least 1, got {named!r}.")
        return int(named)
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}.")
    return workers
