"""Publishing a sweep to MLflow: a parent run that says what was asked and what came out, its members as child runs.

The parent holds the settings, the axes, the counts, the cost and the table of results. Members are published as any
run is; one that is there already stays as it is and is only linked. A run of two sweeps is there once: it stands under
the sweep that it was made for, and names all of them in tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prune_core.errors import StoreError
from prune_core.sweeping import label, plain
from prune_core.tracking import publishing
from prune_core.tracking.keeping import publishing_now
from prune_core.tracking.publishing import milliseconds, numeric, remove, sentence_of, sweep_tags, tracking_address
from prune_core.tracking.store import Store
from prune_core.tracking.sweep_records import SweepRecord, results
from prune_core.tracking.sweeps import Sweeps

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
LONGEST = 500  # characters of a parameter, as MLflow takes it
BATCH = 100  # parameters that MLflow takes at once


def publish_sweep(store: Store, sweep_id: str, tracking_uri: str | None = None) -> str:
    """Publish an ended sweep with all its ended runs, and return MLflow's id of the parent run.

    Published before, its parent is replaced: the older one is deleted. ``tracking_uri`` as for ``publish``. Raises
    StoreError, a sentence that is also noted in the sweep; what was published until then is not published again.
    """
    sweeps = Sweeps(store)
    record = _publishable(sweeps, sweep_id)
    sweeps.set_publishing(sweep_id, publishing_now())
    try:
        published = _publish(store, sweeps, record, tracking_uri or tracking_address())
    except Exception as error:  # MLflow raises whatever its backend does
        sentence = sentence_of(error)
        sweeps.set_publishing(sweep_id, sentence)
        raise StoreError(f"Sweep {sweep_id} could not be published: {sentence}") from error
    sweeps.set_publishing(sweep_id, "", published=published)
    return published


def publish_sweep_again(store: Store, sweep_id: str) -> None:
    """Have a sweep published in the background, once more or for the first time; returns at once."""
    sweeps = Sweeps(store)
    _publishable(sweeps, sweep_id)
    sweeps.set_publishing(sweep_id, "waiting")
    publishing.start_publisher(store)


def publish_waiting_sweeps(store: Store) -> int:
    """Publish the sweeps that wait, oldest first; returns how many were. What fails says so in its sweep."""
    sweeps = Sweeps(store)
    return publishing.one_by_one(
        sweeps.to_publish(), sweeps.claim_publishing, lambda sweep_id: publish_sweep(store, sweep_id)
    )


def _publishable(sweeps: Sweeps, sweep_id: str) -> SweepRecord:
    record = sweeps.record(sweep_id)
    if not record.has_ended:
        raise StoreError(f"Sweep {sweep_id} is {record.status}: only a sweep that has ended can be published.")
    return record


def _publish(store: Store, sweeps: Sweeps, record: SweepRecord, address: str) -> str:
    client, experiment_id = publishing.client_at(address)
    name, began = record.name or record.id, milliseconds(record.created)
    parent = client.create_run(experiment_id, start_time=began, tags=_tags(record), run_name=name)
    parent_id = str(parent.info.run_id)
    try:
        _describe(client, parent_id, store, record)
        runs = sweeps.runs_of(record.id)
        for run_id in runs:
            if not _there(client, store.run(run_id).published):
                publishing.publish(store, run_id, address)
                sweeps.set_publishing(record.id, publishing_now())  # nobody takes this process for dead
        for run_id in runs:
            _link(client, store, sweeps, run_id, record.id, parent_id)
        client.set_terminated(parent_id, STATUS[record.status], milliseconds(record.ended or record.created))
    except BaseException:
        remove(client, parent_id)
        raise
    if record.published:
        remove(client, record.published)
    return parent_id


def _there(client: MlflowClient, mlflow_id: str) -> bool:
    """Whether that run is in this MLflow: it may have been deleted there, or published to another."""
    from mlflow.exceptions import MlflowException

    if not mlflow_id:
        return False
    try:
        return bool(client.get_run(mlflow_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _link(client: MlflowClient, store: Store, sweeps: Sweeps, run_id: str, sweep_id: str, parent_id: str) -> None:
    """Say in the child which sweeps it belongs to, this one among them."""
    from mlflow.entities import RunTag

    record = store.run(run_id)
    tags = sweep_tags({**sweeps.published_with(run_id), sweep_id: parent_id}, record.parent)
    client.log_batch(record.published, tags=[RunTag(key, value) for key, value in tags.items()])


def _tags(record: SweepRecord) -> dict[str, str]:
    return {
        "lab.sweep": record.id,
        "lab.status": record.status,
        "lab.reason": record.reason[:400],
        "mlflow.note.content": f"A sweep of the lab: {record.total:,} runs over {', '.join(record.sweep.space.paths)}.",
    }


def _describe(client: MlflowClient, parent_id: str, store: Store, record: SweepRecord) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(key, text[:LONGEST]) for key, text in _settings(record)]
    for first in range(0, len(params), BATCH):
        client.log_batch(parent_id, params=params[first : first + BATCH])
    table, at = results(store.database, record), milliseconds(record.ended or record.created) or 0
    found: dict[str, Any] = {f"runs_{n}": getattr(record, n) for n in ("total", "done", "failed", "reused")}
    found |= {f"cost_{name}": value for name, value in Sweeps(store).cost(record.id).items()}
    found |= {f"best_{name}": table[name].max() for name in ("accuracy",) if table[name].notna().any()}
    metrics = [Metric(name, float(value), at, 0) for name, value in found.items() if numeric(value)]
    client.log_batch(parent_id, metrics=metrics)
    client.log_text(parent_id, record.sweep.to_yaml(), "sweep.yaml")
    client.log_text(parent_id, table.to_csv(index=False), "results.csv")


def _settings(record: SweepRecord) -> Iterator[tuple[str, str]]:
    """What all members have in common, by the names that they have in the members; then the axes, and how they go
    together.
    """
    sweep = record.sweep
    varied = set(sweep.space.paths)
    for key, value in sweep.experiment.flat().items():
        if not any(key == path or key.startswith(f"{path}.") for path in varied):
            yield key, str(value)
    space = plain(sweep.space)
    vary = space.get("vary", {})
    for path in sweep.space.paths:
        yield f"axis.{path}", str(label(vary[path])) if path in vary else f"{record.total:,} values"
    yield "sweep.space", str(space["kind"])
    for name, value in space.items():
        if name not in ("kind", "vary", "points"):
            yield f"sweep.{name}", str(label(value))
    yield "sweep.early_stopping", "no" if sweep.halving is None else json.dumps(plain(sweep.halving))
    yield "sweep.share", str(sweep.share)
