"""Publishing ended runs to MLflow: settings, metrics, files and the model, to any tracking address.

MLflow is large and slow to import, so neither the app nor a worker ever does: a process of its own publishes what
waits and ends. MLflow's telemetry is off. ``PRUNE_LAB_PUBLISH=off`` leaves runs waiting until it is set no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from prune_core.errors import LabError, StoreError, StoreUnavailableError
from prune_core.events import STEP_FIELDS
from prune_core.tracking import files
from prune_core.tracking.home import home
from prune_core.tracking.keeping import changeable, publishing_now
from prune_core.tracking.records import RunRecord
from prune_core.tracking.store import Store
from prune_core.tracking.sweeps import Sweeps
from prune_core.tracking.thinning import extremes
from prune_core.training import restore_model

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "Clip & Prune Lab"
MOST_POINTS = 1000  # of one metric; the extremes are among them
PARENT = "mlflow.parentRunId"  # how MLflow's pages know which runs stand under which
BATCH = 1000  # metrics that MLflow takes at once
OFF = ("off", "no", "0", "false")
STATUS = {
    "finished": "FINISHED",
    "stopped": "KILLED",
    "cancelled": "KILLED",
    "diverged": "FINISHED",
    "failed": "FAILED",
}

log = logging.getLogger("prune_core.tracking")


def publish(store: Store, run_id: str, tracking_uri: str | None = None) -> str:
    """Publish an ended run and return MLflow's id of it. Published before, it is replaced: the older one is deleted.

    ``tracking_uri`` is by default ``MLFLOW_TRACKING_URI``, or a local store in the lab's home. Raises StoreError, a
    sentence that is also noted in the run, where it cannot be done; the run itself is never harmed.
    """
    record = _publishable(store, run_id)
    store.set_publishing(
        run_id, publishing_now()
    )  # also: a store that cannot note the end of it is found before the start
    try:
        published = _publish(store, record, tracking_uri or tracking_address())
    except Exception as error:  # MLflow raises whatever its backend does
        sentence = sentence_of(error)
        store.set_publishing(run_id, sentence)
        raise StoreError(f"Run {run_id} could not be published: {sentence}") from error
    store.set_publishing(run_id, "", published=published)
    return published


def publish_again(store: Store, run_id: str) -> None:
    """Have a run published in the background, once more or for the first time; returns at once."""
    _publishable(store, run_id)
    store.set_publishing(run_id, "waiting")
    start_publisher(store)


def publishes() -> bool:
    """Whether what waits is published in the background, or waits on: ``PRUNE_LAB_PUBLISH=off``."""
    return os.environ.get("PRUNE_LAB_PUBLISH", "").strip().lower() not in OFF


def start_publisher(store: Store) -> None:
    """Have everything that waits published by a process of its own; one that is at it already takes it on."""
    if not publishes():
        return
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH", "")) if p)
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PRUNE_LAB_HOME": str(home()),
        "PRUNE_LAB_STORE": store.url,  # not among the arguments: those are for all to see, and it may hold a password
    }
    with contextlib.suppress(OSError):  # never the run's trouble
        home().mkdir(parents=True, exist_ok=True)
        try:
            publisher_lock(store.url).acquire(timeout=0).lock.release()
        except Timeout:
            return  # it looks once more after it has let go of the lock
        with (home() / "publish.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "prune_core.tracking.publisher"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, process.pid, 19)  # from here: its imports alone take seconds
        threading.Thread(target=process.wait, daemon=True).start()  # or a zombie is left of each


def publisher_lock(store_url: str) -> FileLock:
    """What the one process holds that publishes for this home and store."""
    name = hashlib.sha256(store_url.encode()).hexdigest()[:8]
    return FileLock(home() / f"publish-{name}.lock")


def tracking_address() -> str:
    """Where runs are published: ``MLFLOW_TRACKING_URI``, by default an SQLite file in the lab's home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow' / 'mlflow.db'}"


def _publishable(store: Store, run_id: str) -> RunRecord:
    changeable(run_id)
    record = store.run(run_id)
    if not record.has_ended:
        raise StoreError(f"Run {run_id} is {record.status}: only a run that has ended can be published.")
    return record


def sentence_of(error: Exception) -> str:
    """Whatever MLflow raised, in one line."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "mlflow":
        return "MLflow is not installed: pip install mlflow."
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, LabError) else f"{type(error).__name__}: {text}"


def _publish(store: Store, record: RunRecord, address: str) -> str:
    client, experiment_id = client_at(address)
    tags = _tags(record) | sweep_tags(Sweeps(store).published_with(record.id), record.parent)
    began, name = milliseconds(record.started), record.name or record.id
    run = client.create_run(experiment_id, start_time=began, tags=tags, run_name=name)
    run_id = str(run.info.run_id)
    try:
        _describe(client, run_id, store, record)
        _files(client, run_id, store, record)
        if (checkpoint := files.checkpoint(record.id)).is_file():
            _model(client, run_id, experiment_id, record, checkpoint)
        client.set_terminated(run_id, STATUS[record.status], milliseconds(record.ended))
    except BaseException:
        remove(client, run_id)  # nothing half-published is ever taken for whole
        raise
    if record.published:
        remove(client, record.published)
    return run_id


def client_at(address: str) -> tuple[MlflowClient, str]:
    """MLflow at ``address``, and its id of the experiment that all of the lab's runs are in, made where it is not."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported
    from mlflow import MlflowClient

    local = home() / "mlflow"
    place = None
    if str(local) in address:
        local.mkdir(parents=True, exist_ok=True)
        place = (local / "artifacts").as_uri()
    client = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(EXPERIMENT)
    return client, str(found.experiment_id if found is not None else client.create_experiment(EXPERIMENT, place))


def sweep_tags(published: Mapping[str, str], own: str | None) -> dict[str, str]:
    """How a run says which published sweeps it is a member of; ``published`` is MLflow's id of each, by the lab's.

    MLflow shows a run under one parent only: the sweep ``own`` that it was made for, or else the oldest.
    """
    found = sorted(published, key=lambda sweep_id: (sweep_id != own, sweep_id))
    tags = {f"lab.sweep.{sweep_id}": published[sweep_id] for sweep_id in found}
    return {PARENT: published[found[0]], "lab.sweeps": ",".join(found), **tags} if found else {}


def remove(client: MlflowClient, run_id: str) -> None:
    """Delete a run there with its models, so far as it is there."""
    with contextlib.suppress(Exception):  # deleted there by somebody, or published elsewhere before
        outputs = client.get_run(run_id).outputs
        for model in outputs.model_outputs if outputs is not None else ():
            client.delete_logged_model(model.model_id)
        client.delete_run(run_id)


def _describe(client: MlflowClient, run_id: str, store: Store, record: RunRecord) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(key, str(value)[:500]) for key, value in record.experiment.flat().items()]
    client.log_batch(run_id, params=params)
    at = milliseconds(record.ended) or 0
    metrics = [Metric(f"final_{k}", float(v), at, record.step) for k, v in record.summary.items() if numeric(v)]
    metrics += _points(store.history(record.id), STEP_FIELDS, "train_", at, Metric)
    metrics += _points(store.evals(record.id), ("accuracy", "loss"), "test_", at, Metric)
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + BATCH])


def _points(frame: pd.DataFrame, names: tuple[str, ...], prefix: str, at: int, metric: Any) -> Iterator[Any]:
    for name in names:
        rows = frame[["step", name]].to_numpy(dtype=float)
        for step, value in extremes(rows[np.isfinite(rows[:, 1])], MOST_POINTS).tolist():
            yield metric(prefix + name, value, at, int(step))


def _files(client: MlflowClient, run_id: str, store: Store, record: RunRecord) -> None:
    client.log_text(run_id, record.experiment.to_yaml(), "experiment.yaml")
    client.log_text(run_id, store.history(record.id).to_csv(index=False), "history.csv")
    client.log_text(run_id, json.dumps(store.marks(record.id).to_dict("records"), indent=2), "interventions.json")
    client.log_text(run_id, json.dumps(record.summary, indent=2), "summary.json")


def _model(client: MlflowClient, run_id: str, experiment_id: str, record: RunRecord, checkpoint: Path) -> None:
    """The model twice: its weights by name, and as a traced graph, for which one needs torch and nothing of the lab.

    All through ``client``: MLflow's own short way sets the tracking address of the whole process, and in a notebook
    that is the person's.
    """
    import mlflow.pytorch
    import torch
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    model, _ = restore_model(record.experiment, checkpoint)
    with tempfile.TemporaryDirectory() as name:
        weights, folder = Path(name) / "weights.pt", Path(name) / "model"
        torch.save(model.state_dict(), weights)
        client.log_artifact(run_id, str(weights), "model_state")
        logged = client.create_logged_model(experiment_id, name="model", source_run_id=run_id)
        try:
            mlflow.pytorch.save_model(
                model.eval(),
                str(folder),
                mlflow_model=Model(run_id=run_id, model_id=logged.model_id, model_uuid=logged.model_id),
                input_example=np.zeros((2, *record.experiment.data.info.shape), np.float32),
                pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
                serialization_format="pt2",
            )
        except Exception as error:  # not every model of people's own can be traced: its weights are there
            client.delete_logged_model(logged.model_id)
            client.set_tag(run_id, "lab.model", f"only its weights: it cannot be traced ({sentence_of(error)})")
            return
        client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=record.step)])
    client.finalize_logged_model(logged.model_id, "READY")


def _tags(record: RunRecord) -> dict[str, str]:
    return {
        "lab.run": record.id,
        "lab.digest": record.digest,
        "lab.status": record.status,
        "lab.reason": record.reason[:400],
        "lab.parent": record.parent or "",
    }


def numeric(value: object) -> bool:
    """Whether MLflow takes it as a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def milliseconds(seconds: float | None) -> int | None:
    """MLflow's times."""
    return None if seconds is None else int(seconds * 1000)


def publish_waiting(store: Store) -> int:
    """Publish every run that waits, oldest first; returns how many were. What fails says so in its run."""
    return one_by_one(store.to_publish(), store.claim_publishing, lambda run_id: publish(store, run_id))


def one_by_one(waiting: Iterable[str], claim: Callable[[str], bool], publish: Callable[[str], object]) -> int:
    """Publish what this process may claim; returns how many were. What cannot be is logged, and the rest goes on."""
    done = 0
    for name in filter(claim, waiting):  # claimed when its turn comes
        try:
            publish(name)
            done += 1
        except StoreUnavailableError:
            raise  # what cannot be noted as done would be published again and again
        except LabError as error:
            log.warning("%s", error)
    return done
