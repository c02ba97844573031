"""An MLflow server in a process of its own, on loopback: the ordinary publisher, from another machine than trained."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import torch
from lab_services import HOST, free_port, leashed, ready

import prune_core as pc
from prune_core.tracking import Store, Sweeps, execute, files, publisher, publishing
from prune_core.training import restore_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with everything in a folder of its own; it makes its tables for some seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    address, log = f"http://{HOST}:{(port := free_port())}", folder / "log"
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    with leashed(command, log, "KILL", cwd=folder, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}):
        ready(lambda: get(f"{address}/health") == b"OK", log)
        yield address


def get(address: str, **body: Any) -> bytes:
    """The answer to a request; with ``body`` one that sends JSON."""
    data = json.dumps(body).encode() if body else None
    with urlopen(Request(address, data, {"Content-Type": "application/json"}), timeout=20) as answer:
        content: bytes = answer.read()
        return content


def test_a_run_is_published_to_a_server_by_a_machine_that_did_not_train_it(
    mlflow: str, bucket: str, store: Store, experiment: pc.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.create(experiment, name="a run")
    assert execute(store, run_id) == "finished"
    monkeypatch.setenv("PRUNE_LAB_HOME", str(tmp_path / "there"))
    monkeypatch.setenv("PRUNE_LAB_STORE", store.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    monkeypatch.setattr(publisher, "LINGER_S", 0.05)
    publisher.main()
    record = store.run(run_id)
    assert (record.publishing, len(record.published)) == ("", 32)
    assert not (tmp_path / "there" / "mlflow").exists()  # nothing of it stays here
    api = f"{mlflow}/api/2.0/mlflow"
    run = json.loads(get(f"{api}/runs/get?run_id={record.published}"))["run"]
    assert (run["info"]["status"], run["info"]["run_name"]) == ("FINISHED", "a run")
    metrics = {one["key"]: one["value"] for one in run["data"]["metrics"]}
    assert metrics["final_accuracy"] == record.accuracy
    params = {one["key"]: one["value"] for one in run["data"]["params"]}
    assert params == {key: str(value) for key, value in experiment.flat().items()}
    asked = f"run_id={record.published}&metric_key=train_loss&max_results=1000"
    losses = json.loads(get(f"{api}/metrics/get-history?{asked}"))["metrics"]
    assert [one["value"] for one in losses] == store.history(run_id)["loss"].tolist()
    listed = json.loads(get(f"{api}/artifacts/list?run_id={record.published}"))["files"]
    assert {one["path"] for one in listed} >= {"experiment.yaml", "history.csv", "model_state", "summary.json"}
    path = quote(f"{run['info']['experiment_id']}/{record.published}/artifacts/model_state/weights.pt")
    weights = torch.load(io.BytesIO(get(f"{mlflow}/api/2.0/mlflow-artifacts/artifacts/{path}")), weights_only=True)
    ours = restore_model(experiment, files.checkpoint(run_id))[0].state_dict()
    assert all(torch.equal(weights[name], value) for name, value in ours.items())
    models = json.loads(get(f"{api}/logged-models/search", experiment_ids=[run["info"]["experiment_id"]]))["models"]
    assert [(one["info"]["source_run_id"], one["info"]["status"]) for one in models] == [
        (record.published, "LOGGED_MODEL_READY")
    ]


def test_a_sweep_is_published_to_a_server_by_a_machine_that_did_not_train_it(
    mlflow: str, bucket: str, store: Store, experiment: pc.Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"clip.threshold": [0.01, 0.1], "prune.schedule.final": [0.5]}
    lab = pc.Lab(store=store.url)
    sweep_id = lab.sweep(experiment, space, name="two thresholds", where="here").id
    lab.close()
    monkeypatch.setenv("PRUNE_LAB_HOME", str(tmp_path / "there"))
    monkeypatch.setenv("PRUNE_LAB_STORE", store.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    monkeypatch.setattr(publisher, "LINGER_S", 0.05)
    sweeps = Sweeps(store)
    sweeps.set_publishing(sweep_id, "waiting")
    publisher.main()
    record = sweeps.record(sweep_id)
    assert (record.publishing, len(record.published)) == ("", 32)
    assert not (tmp_path / "there" / "mlflow").exists()
    api = f"{mlflow}/api/2.0/mlflow"
    parent = json.loads(get(f"{api}/runs/get?run_id={record.published}"))["run"]
    assert (parent["info"]["status"], parent["info"]["run_name"]) == ("FINISHED", "two thresholds")
    metrics = {one["key"]: one["value"] for one in parent["data"]["metrics"]}
    assert metrics["runs_done"] == metrics["runs_total"] == 2
    listed = json.loads(get(f"{api}/artifacts/list?run_id={record.published}"))["files"]
    assert "results.csv" in {one["path"] for one in listed}
    asked = {"experiment_ids": [parent["info"]["experiment_id"]]}
    asked["filter"] = f"tags.`mlflow.parentRunId` = '{record.published}'"
    children = json.loads(get(f"{api}/runs/search", **asked))["runs"]
    assert {one["info"]["run_id"] for one in children} == {store.run(i).published for i in sweeps.runs_of(sweep_id)}
    params = [{one["key"]: one["value"] for one in child["data"]["params"]} for child in children]
    assert {one["clip.threshold"] for one in params} == {"0.01", "0.1"}
    accuracies = {one["value"] for c in children for one in c["data"]["metrics"] if one["key"] == "final_accuracy"}
    assert accuracies == {store.run(i).accuracy for i in sweeps.runs_of(sweep_id)}


def test_of_publishers_on_several_machines_one_publishes_a_run(
    store: Store, experiment: pc.Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [store.create(experiment) for _ in range(8)]
    for run_id in ids:
        assert store.claim(run_id, "token")
        store.finish(run_id, "token", "finished", "", {})
    made: list[str] = []

    def made_by(store: Store, record: Any, address: str) -> str:
        made.append(record.id)
        return f"mlflow-{record.id}"

    monkeypatch.setattr(publishing, "_publish", made_by)
    with ThreadPoolExecutor(4) as machines:
        counts = list(machines.map(publishing.publish_waiting, [Store(store.url) for _ in range(4)]))
    assert sorted(made) == ids
    assert sum(counts) == 8
    assert {store.run(run_id).published for run_id in ids} == {f"mlflow-{run_id}" for run_id in ids}
    # one that is being published is left alone, until whoever does it must be dead
    assert store.claim_publishing(ids[0]) is False
    store.set_publishing(ids[0], "waiting")
    assert store.claim_publishing(ids[0])
    assert store.run(ids[0]).to_be_published
    assert store.to_publish() == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 301)
    assert store.to_publish() == [ids[0]]
    assert store.claim_publishing(ids[0])
