"""Publishing to a real local MLflow: what arrives there, again and again, and what a failure leaves: a sentence."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import prune_core as pc
from prune_core.tracking import (
    Store,
    Sweeps,
    checkpoint_path,
    execute,
    home,
    publish,
    publish_again,
    publish_sweep,
    publish_sweep_again,
    results,
)
from prune_core.tracking import publishing as module
from prune_core.tracking import publishing_sweeps as module_sweeps
from prune_core.tracking.publishing import (
    EXPERIMENT,
    publish_waiting,
    tracking_address,
)
from prune_core.tracking.publishing_sweeps import publish_waiting_sweeps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
EXPERIMENT_RUN = pc.Experiment(
    data=pc.Moons(samples=400),
    model=pc.MLP(),
    clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.Cubic(final=0.8, start=10, stop=40)),
    train=pc.Training(steps=60, batch_size=32, lr=0.1, seed=3, eval_every=20, snapshot_every=20),
)


@dataclass
class Place:
    """A home with one ended run, and where MLflow keeps it."""

    store: Store
    run_id: str
    client: Any
    address: str

    def runs(self) -> list[Any]:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        return [] if found is None else list(self.client.search_runs([found.experiment_id]))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Made once: MLflow makes its tables for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNE_LAB_HOME", str(tmp_path_factory.mktemp("publishing")))
        patch.delenv("PRUNE_LAB_STORE", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = Store()
        run_id = store.create(EXPERIMENT_RUN, name="a run")
        store.send(run_id, "set:lr", 0.05, sender="ann")
        assert execute(store, run_id) == "finished"
        from mlflow import MlflowClient

        address = tracking_address()
        assert address.startswith(f"sqlite:///{home()}")
        (home() / "mlflow").mkdir()
        yield Place(store, run_id, MlflowClient(tracking_uri=address), address)
        store.close()


def test_what_arrives_in_mlflow(place: Place, tmp_path: Path) -> None:
    store, record, client = place.store, place.store.run(place.run_id), place.client
    assert record.publishing == "waiting"
    cwd = set(Path.cwd().iterdir())
    published = publish(store, place.run_id)
    assert set(Path.cwd().iterdir()) == cwd  # nothing beside the home
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert (store.run(place.run_id).publishing, store.run(place.run_id).published) == ("", published)
    run = client.get_run(published)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a run")
    assert run.info.start_time == int((record.started or 0) * 1000)
    assert run.info.end_time == int((record.ended or 0) * 1000)
    tags = run.data.tags
    assert (tags["lab.run"], tags["lab.digest"], tags["lab.status"]) == (record.id, record.digest, "finished")
    assert run.data.params == {key: str(value) for key, value in EXPERIMENT_RUN.flat().items()}
    assert run.data.metrics["final_accuracy"] == record.accuracy
    losses = client.get_metric_history(published, "train_loss")
    history = store.history(place.run_id)
    assert [m.step for m in losses] == history["step"].tolist()
    assert [m.value for m in losses] == history["loss"].tolist()
    looks = client.get_metric_history(published, "test_accuracy")
    assert [(m.step, m.value) for m in looks] == list(
        store.evals(place.run_id)[["step", "accuracy"]].itertuples(index=False, name=None)
    )
    folder = Path(client.download_artifacts(published, "", str(tmp_path)))
    assert pc.Experiment.from_yaml((folder / "experiment.yaml").read_text()) == EXPERIMENT_RUN
    assert len(pd.read_csv(folder / "history.csv")) == 60
    assert json.loads((folder / "interventions.json").read_text()) == [
        {"step": 1, "field": "lr", "value": 0.05, "sender": "ann"}
    ]
    assert json.loads((folder / "summary.json").read_text()) == record.summary
    weights = torch.load(folder / "model_state" / "weights.pt", weights_only=True)
    model, _ = pc.restore_model(EXPERIMENT_RUN, checkpoint_path(place.run_id))
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def test_the_model_can_be_loaded_without_the_lab(place: Place) -> None:
    import mlflow

    published = publish(place.store, place.run_id)
    run = place.client.get_run(published)
    (output,) = run.outputs.model_outputs
    logged = place.client.get_logged_model(output.model_id)
    assert logged.source_run_id == published
    net = mlflow.pytorch.load_model(logged.artifact_location)
    assert not type(net).__module__.startswith("prune_core")
    model, _ = pc.restore_model(EXPERIMENT_RUN, checkpoint_path(place.run_id))
    x = torch.randn(7, 2)  # a batch of another size than the example's
    assert torch.allclose(net(x), model.eval()(x), atol=1e-6)
    about = yaml.safe_load(Path(logged.artifact_location.removeprefix("file://"), "MLmodel").read_text())
    assert about["model_id"] == output.model_id


def test_published_again_it_replaces_the_one_before(place: Place) -> None:
    first = publish(place.store, place.run_id)
    second = publish(place.store, place.run_id)
    assert first != second
    assert [run.info.run_id for run in place.runs()] == [second]
    assert place.client.get_run(first).info.lifecycle_stage == "deleted"
    assert len(place.client.search_logged_models([place.client.get_run(second).info.experiment_id])) == 1
    assert place.store.run(place.run_id).published == second


def test_what_waits_is_published_oldest_first_and_a_failed_one_stops_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.store
    ids = [store.create(EXPERIMENT_RUN) for _ in range(3)]
    for run_id, status in zip(ids, ("failed", "stopped", "diverged"), strict=True):
        assert store.claim(run_id, "token")
        store.finish(run_id, "token", status, "for a test", {})
        store.set_publishing(run_id, "waiting")
    seen, whole = [], module._publish

    def failing(store: Store, record: Any, address: str) -> str:
        seen.append(record.id)
        if record.id == ids[0]:
            raise ConnectionError("nobody\nthere")
        return whole(store, record, address)

    monkeypatch.setattr(module, "_publish", failing)
    store.set_publishing(place.run_id, "")
    assert store.to_publish() == ids
    assert publish_waiting(store) == 2
    assert seen == ids
    assert store.run(ids[0]).publishing == "ConnectionError: nobody there"
    assert store.run(ids[0]).published == ""
    assert [place.client.get_run(store.run(i).published).info.status for i in ids[1:]] == ["KILLED", "FINISHED"]
    assert store.to_publish() == []


def test_half_published_is_not_published(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {run.info.run_id for run in place.runs()}

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_files", full)
    with pytest.raises(pc.StoreError, match="No space left on device"):
        publish(place.store, place.run_id)
    assert {run.info.run_id for run in place.runs()} == before
    assert "No space left on device" in place.store.run(place.run_id).publishing


def test_a_model_that_cannot_be_traced_leaves_its_weights(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.pytorch

    def untraceable(*given: Any, **more: Any) -> None:
        raise RuntimeError("data-dependent branch")

    monkeypatch.setattr(mlflow.pytorch, "save_model", untraceable)
    run = place.client.get_run(publish(place.store, place.run_id))
    assert "data-dependent branch" in run.data.tags["lab.model"]
    assert [f.path for f in place.client.list_artifacts(run.info.run_id, "model_state")] == ["model_state/weights.pt"]
    assert not run.outputs.model_outputs


def test_a_persons_own_mlflow_stays_as_it_was(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    mine = f"sqlite:///{tmp_path}/mine.db"
    mlflow.set_tracking_uri(mine)
    try:
        publish(place.store, place.run_id, place.address)
        assert mlflow.get_tracking_uri() == mine
        assert not (tmp_path / "mine.db").exists()
        assert mlflow.active_run() is None
    finally:
        mlflow.set_tracking_uri("")


# --- sweeps -----------------------------------------------------------------------------------------------------------
def swept(place: Place, seeds: list[int]) -> str:
    """A sweep over seeds, run to its end in this process; what is there already is taken."""
    lab = pc.Lab(store=place.store, home=home())
    quick = EXPERIMENT_RUN.with_(**{"train.steps": 45, "train.snapshot_every": 0, "train.eval_every": 0})
    return lab.sweep(quick, {"train.seed": seeds}, name=f"seeds {seeds}", where="here").id


def test_a_sweep_is_a_parent_run_and_a_member_of_two_stays_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    client, sweeps = place.client, Sweeps(place.store)
    first, second = swept(place, [10, 11]), swept(place, [11, 12])
    parents = {second: publish_sweep(place.store, second)}
    parents[first] = publish_sweep(place.store, first)
    assert (sweeps.record(first).published, sweeps.record(first).publishing) == (parents[first], "")
    parent = client.get_run(parents[first])
    assert (parent.info.status, parent.data.tags["lab.sweep"]) == ("FINISHED", first)
    params, metrics = parent.data.params, parent.data.metrics
    assert (params["axis.train.seed"], params["sweep.space"], params["train.steps"]) == ("10, 11", "grid", "45")
    assert "train.seed" not in params, "what varies is not said as if it were common"
    assert (metrics["runs_total"], metrics["runs_done"], metrics["runs_failed"]) == (2, 2, 0)
    assert metrics["cost_steps_made"] == 90 and metrics["cost_seconds"] > 0
    table = results(place.store.database, sweeps.record(first))
    assert metrics["best_accuracy"] == table["accuracy"].max()
    files = {f.path for f in client.list_artifacts(parents[first])}
    assert files == {"results.csv", "sweep.yaml"}

    def children(sweep_id: str) -> set[str]:
        found = [run for run in place.runs() if run.data.tags.get("mlflow.parentRunId") == parents[sweep_id]]
        return {run.data.tags["lab.run"] for run in found}

    shared = set(sweeps.runs_of(first)) & set(sweeps.runs_of(second))
    assert len(shared) == 1 and sweeps.record(second).reused == 1
    assert children(first) == set(sweeps.runs_of(first)), "it was made for the first, whichever was published first"
    assert children(second) == set(sweeps.runs_of(second)) - shared
    (both,) = [run for run in place.runs() if run.data.tags.get("lab.run") in shared]
    assert {k: v for k, v in both.data.tags.items() if k.startswith("lab.sweep")} == {
        "lab.sweeps": f"{first},{second}", **{f"lab.sweep.{one}": parents[one] for one in (first, second)}
    }  # fmt: skip

    # once more: the parent is replaced, its members are not published again, and a member published again stays linked
    before = {run_id: place.store.run(run_id).published for run_id in sweeps.runs_of(first)}
    old = parents[first]
    with monkeypatch.context() as patch:
        patch.setattr(module, "publish", lambda *_: pytest.fail("it is there already"))
        parents[first] = publish_sweep(place.store, first)
    assert old != parents[first] and old not in {run.info.run_id for run in place.runs()}
    assert {run_id: place.store.run(run_id).published for run_id in before} == before
    again = publish(place.store, next(iter(shared)))
    assert client.get_run(again).data.tags["mlflow.parentRunId"] == parents[first]
    assert children(first) == set(before)


def test_a_sweep_that_waits_is_published_and_what_fails_is_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = Sweeps(place.store)
    sweep_id = sweeps.create(pc.Sweep(experiment=EXPERIMENT_RUN, space={"train.seed": [70, 71]}))
    with pytest.raises(pc.StoreError, match="is running: only a sweep that has ended"):
        publish_sweep_again(place.store, sweep_id)
    sweeps.stop(sweep_id)
    monkeypatch.setenv("PRUNE_LAB_PUBLISH", "off")
    publish_sweep_again(place.store, sweep_id)
    assert sweeps.to_publish() == [sweep_id] and sweeps.record(sweep_id).to_be_published
    before = {run.info.run_id for run in place.runs()}

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module_sweeps, "_describe", full)
        assert publish_waiting_sweeps(place.store) == 0
    assert "No space left on device" in sweeps.record(sweep_id).publishing
    assert {run.info.run_id for run in place.runs()} == before and sweeps.to_publish() == []
    publish_sweep_again(place.store, sweep_id)
    assert publish_waiting_sweeps(place.store) == 1
    parent = place.client.get_run(sweeps.record(sweep_id).published)
    assert (parent.info.status, parent.data.metrics["runs_done"]) == ("KILLED", 0)


# --- without MLflow's slow start -------------------------------------------------------------------------------------
@pytest.fixture
def ended(store: Store) -> str:
    run_id = store.create(EXPERIMENT_RUN)
    assert store.claim(run_id, "token")
    store.finish(run_id, "token", "finished", "", {})
    return run_id


def test_an_address_where_nobody_answers_is_a_sentence(
    store: Store, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(pc.StoreError, match=f"Run {ended} could not be published: .*{port}"):
        publish(store, ended)
    sentence = store.run(ended).publishing
    assert str(port) in sentence
    assert "\n" not in sentence
    assert len(sentence) <= 400
    assert (store.run(ended).status, store.run(ended).published) == ("finished", "")
    with pytest.raises(pc.StoreError, match="could not be published"):
        publish(store, ended, "nosuch://place")
    assert "nosuch" in store.run(ended).publishing


def test_without_mlflow_it_says_what_to_install(store: Store, ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(pc.StoreError, match="MLflow is not installed: pip install mlflow"):
        publish(store, ended)
    assert store.run(ended).publishing == "MLflow is not installed: pip install mlflow."


def test_a_run_that_goes_on_and_a_sample_are_not_published(store: Store) -> None:
    run_id = store.create(EXPERIMENT_RUN)
    for ask in (publish, publish_again):
        with pytest.raises(pc.StoreError, match="is queued: only a run that has ended"):
            ask(store, run_id)
        with pytest.raises(pc.StoreError, match="is a sample run"):
            ask(store, store.samples()[0].id)
        with pytest.raises(pc.RunNotFoundError):
            ask(store, "nothing")
    assert store.run(run_id).publishing == ""


def test_a_store_that_cannot_note_it_is_found_before_anything_is_published(
    store: Store, ended: str, trouble: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "_publish", lambda *given: asked.append(given))
    store.set_publishing(ended, "waiting")
    trouble.read_only()
    with pytest.raises(pc.StoreUnavailableError):
        publish_waiting(store)
    assert asked == []


def test_peaks_are_among_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"step": np.arange(1, 50_001), "loss": np.ones(50_000)})
    frame.loc[31_337, "loss"] = 9.0
    frame.loc[31_338, "loss"] = np.nan
    points = list(module._points(frame, ("loss",), "train_", 0, lambda *given: given))
    assert len(points) <= module.MOST_POINTS
    assert ("train_loss", 9.0, 0, 31_338) in points
    assert all(np.isfinite(value) for _, value, _, _ in points)
