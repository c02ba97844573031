"""Publishing ended runs to MLflow: settings, metrics, files and the model, to any tracking address.

MLflow is large and slow to import, so neither the app nor a worker ever does: a process of its own publishes what
waits and ends. MLflow's telemetry is off.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from prune_core.errors import LabError, StoreError
from prune_core.events import STEP_FIELDS
from prune_core.tracking.home import checkpoint_path, home
from prune_core.tracking.records import RunRecord
from prune_core.tracking.store import Store
from prune_core.training import restore_model

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "Clip & Prune Lab"
MOST_POINTS = 1000  # of one metric; the extremes are among them
BATCH = 1000  # metrics that MLflow takes at once
OFF = ("off", "no", "0", "false")
STATUS = {
    "finished": "FINISHED",
    "stopped": "KILLED",
    "cancelled": "KILLED",
    "diverged": "FINISHED",
    "failed": "FAILED",
}


def publish(store: Store, run_id: str, tracking_uri: str | None = None) -> str:
    """Publish an ended run and return MLflow's id of it. Published before, it is replaced: the older one is deleted.

    ``tracking_uri`` is by default ``MLFLOW_TRACKING_URI``, or a local store in the lab's home. Raises StoreError, a
    sentence that is also noted in the run, where it cannot be done; the run itself is never harmed.
    """
    record = store.run(run_id)
    if not record.has_ended:
        raise StoreError(f"Run {run_id} is {record.status}: only a run that has ended can be published.")
    try:
        published = _publish(store, record, tracking_uri or tracking_address())
    except Exception as error:  # MLflow raises whatever its backend does
        sentence = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if isinstance(error, ModuleNotFoundError):
            sentence = "MLflow is not installed: pip install mlflow."
        store.set_publishing(run_id, sentence)
        raise StoreError(f"Run {run_id} could not be published: {sentence}") from error
    store.set_publishing(run_id, "", published=published)
    return published


def publish_again(store: Store, run_id: str) -> None:
    """Have a run published in the background, once more or for the first time; returns at once."""
    record = store.run(run_id)
    if not record.has_ended:
        raise StoreError(f"Run {run_id} is {record.status}: only a run that has ended can be published.")
    store.set_publishing(run_id, "waiting")
    start_publisher(store)


def start_publisher(store: Store) -> None:
    """Have everything that waits published by a process of its own, unless ``PRUNE_LAB_PUBLISH`` is ``off``."""
    if os.environ.get("PRUNE_LAB_PUBLISH", "").lower() in OFF:
        return
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH", "")) if p)
    environment = {**os.environ, "PYTHONPATH": paths, "MLFLOW_DISABLE_TELEMETRY": "true", "PRUNE_LAB_HOME": str(home())}
    with contextlib.suppress(OSError), (home() / "publish.log").open("a") as log:  # never the run's trouble
        subprocess.Popen(
            [sys.executable, "-m", "prune_core.tracking.publisher", store.url],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def tracking_address() -> str:
    """Where runs are published: ``MLFLOW_TRACKING_URI``, by default an SQLite file in the lab's home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow' / 'mlflow.db'}"


def _publish(store: Store, record: RunRecord, address: str) -> str:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
    from mlflow import MlflowClient

    local = home() / "mlflow"
    if str(local) in address:
        local.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(EXPERIMENT)
    place = (local / "artifacts").as_uri() if str(local) in address else None
    experiment_id = found.experiment_id if found is not None else client.create_experiment(EXPERIMENT, place)
    name = record.name or record.id
    run = client.create_run(experiment_id, start_time=_ms(record.started), tags=_tags(record), run_name=name)
    run_id = str(run.info.run_id)
    try:
        _describe(client, run_id, store, record)
        _files(client, run_id, store, record, address)
    except BaseException:
        client.delete_run(run_id)  # nothing half-published is ever taken for whole
        raise
    client.set_terminated(run_id, STATUS[record.status], _ms(record.ended))
    if record.published:
        with contextlib.suppress(Exception):  # deleted there, or published elsewhere before
            client.delete_run(record.published)
    return run_id


def _describe(client: MlflowClient, run_id: str, store: Store, record: RunRecord) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(key, str(value)[:500]) for key, value in record.experiment.flat().items()]
    client.log_batch(run_id, params=params)
    at = _ms(record.ended) or 0
    metrics = [Metric(f"final_{k}", float(v), at, record.step) for k, v in record.summary.items() if _numeric(v)]
    for frame, names, prefix in (
        (store.history(record.id, limit=MOST_POINTS * len(STEP_FIELDS)), STEP_FIELDS, "train_"),
        (store.evals(record.id), ("accuracy", "loss"), "test_"),
    ):
        metrics += _points(frame, names, prefix, at, Metric)
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + BATCH])


def _points(frame: pd.DataFrame, names: tuple[str, ...], prefix: str, at: int, metric: Any) -> list[Any]:
    steps = frame["step"].tolist()
    every = max(1, len(steps) // MOST_POINTS)
    return [
        metric(prefix + name, value, at, int(step))
        for name in names
        for step, value in list(zip(steps, frame[name].tolist(), strict=True))[::every]
        if np.isfinite(value)
    ]


def _files(client: MlflowClient, run_id: str, store: Store, record: RunRecord, address: str) -> None:
    experiment = record.experiment
    client.log_text(run_id, experiment.to_yaml(), "experiment.yaml")
    client.log_text(run_id, store.history(record.id).to_csv(index=False), "history.csv")
    client.log_dict(run_id, store.marks(record.id).to_dict("records"), "interventions.json")
    client.log_text(run_id, json.dumps(record.summary, indent=2), "summary.json")
    path = checkpoint_path(record.id)
    if not path.is_file():
        return
    import mlflow
    import torch

    model, _ = restore_model(experiment, path)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pt"
        torch.save(model.state_dict(), weights)
        client.log_artifact(run_id, str(weights), "model_state")
    mlflow.set_tracking_uri(address)
    needs = [f"torch=={torch.__version__.partition('+')[0]}"]
    example = np.zeros((2, *experiment.data.info.shape), np.float32)
    with mlflow.start_run(run_id=run_id):  # as a traced graph: whoever loads it needs torch, and nothing of the lab
        mlflow.pytorch.log_model(model.eval(), name="model", input_example=example, pip_requirements=needs)


def _tags(record: RunRecord) -> dict[str, str]:
    return {
        "lab.run": record.id,
        "lab.digest": record.digest,
        "lab.status": record.status,
        "lab.reason": record.reason[:400],
        "lab.parent": record.parent or "",
    }


def _numeric(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def publish_waiting(store: Store) -> int:
    """Publish everything that waits, oldest first; returns how many were. What fails says so in its run."""
    done = 0
    for run_id in store.to_publish():
        with contextlib.suppress(LabError):
            publish(store, run_id)
            done += 1
    return done
