"""Sample runs: a run in a file comes back as it was, is looked at like any other, and nobody changes it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import prune_core as pc
from prune_core.events import STEP_FIELDS
from prune_core.pruning import prunable
from prune_core.tracking import Store, checkpoint_path, execute, export_sample, publish_again
from prune_core.tracking.sample import FOLDER, Samples
from prune_core.training import restore_model

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.zip"))


@pytest.fixture
def ended(store: Store, experiment: pc.Experiment) -> str:
    """A run with interventions, executed by a worker whose name nobody needs to know."""
    run_id = store.create(experiment, name="private name", owner="ann")
    store.send(run_id, "set:lr", 0.05, sender="ann")
    assert execute(store, run_id, "worker 7") == "finished"
    return run_id


def test_a_run_comes_back_as_it_was(store: Store, ended: str, tmp_path: Path) -> None:
    path = export_sample(store, ended, tmp_path / "Two Words.zip", name="A good name")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["Two Words.zip"]  # nothing half lies beside it
    before = store.runs(include_deleted=True)
    sample = store.import_sample(path)
    assert sample == "sample-two-words"
    assert store.runs(include_deleted=True).equals(before)  # nothing is written to the store
    assert store.history(sample).equals(store.history(ended))
    assert store.evals(sample).equals(store.evals(ended))
    assert store.masks(sample).equals(store.masks(ended))
    assert store.marks(sample).drop(columns="sender").equals(store.marks(ended).drop(columns="sender"))
    assert store.snapshot_steps(sample) == store.snapshot_steps(ended)
    for step in store.snapshot_steps(ended):
        one, other = store.snapshot(sample, step), store.snapshot(ended, step)
        assert one is not None
        assert other is not None
        assert one.to_bytes() == other.to_bytes()
    whole, delta = store.run(ended), store.live(sample)
    record = store.run(sample)
    assert delta.record == record
    assert len(delta.rows) == 60
    assert record.experiment == whole.experiment
    assert (record.name, record.status, record.read_only) == ("A good name", "finished", True)
    assert (record.accuracy, record.loss, record.summary) == (whole.accuracy, whole.loss, whole.summary)
    assert (record.owner, record.worker, record.pid) == ("", "", None)
    model, masks = restore_model(record.experiment, checkpoint_path(sample))
    expected, expected_masks = restore_model(whole.experiment, checkpoint_path(ended))
    assert all(torch.equal(v, expected.state_dict()[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(mask, expected_masks[k]) for k, mask in masks.items())


def test_who_ran_it_where_stays_at_home(store: Store, ended: str, tmp_path: Path) -> None:
    path = export_sample(store, ended, tmp_path / "s.zip", name="A good name")
    with zipfile.ZipFile(path) as file:
        text = file.read("run.json").decode()
    content = json.loads(text)
    assert {"owner", "worker", "machine", "pid", "token"}.isdisjoint(content["run"])
    assert content["marks"][0]["sender"] == ""
    for word in ("ann", "worker 7", str(checkpoint_path(ended).parents[2])):
        assert f'"{word}"' not in text
        assert not word.startswith("/") or word not in text


def test_nobody_changes_a_sample(store: Store, ended: str) -> None:
    sample = store.samples()[0].id
    before = store.run(sample)
    attempts: list[Callable[[], object]] = [
        lambda: store.delete([sample]),
        lambda: store.delete([ended, sample]),
        lambda: store.cancel(sample, ""),
        lambda: store.requeue(sample),
        lambda: store.send(sample, "pause"),
        lambda: publish_again(store, sample),
    ]
    for attempt in attempts:
        with pytest.raises(pc.StoreError, match=f"{sample} is a sample run: it can be looked at and copied"):
            attempt()
    assert not store.claim(sample, "token")
    with pytest.raises(pc.OwnershipLostError):
        store.append(sample, "token", steps=[[1.0] * 8])
    assert store.run(sample) == before
    assert store.run(ended).deleted is None  # nor was the other one hidden


def test_a_run_may_start_from_a_sample(store: Store) -> None:
    sample = next(r for r in store.samples() if r.experiment.prune is not None)
    path = checkpoint_path(sample.id)
    _, masks = restore_model(sample.experiment, path)
    removed = sum(int((~mask).sum()) for mask in masks.values()) / sum(mask.numel() for mask in masks.values())
    assert removed == pytest.approx(sample.sparsity)
    further = sample.experiment.with_(
        start=pc.FromCheckpoint(path=str(path)), **{"train.steps": 2, "train.eval_every": 2, "prune": None}
    )
    assert store.run(store.create(further, parent=sample.id)).parent == sample.id


def test_what_is_no_sample_is_a_sentence_and_hides_no_other(store: Store, ended: str, tmp_path: Path) -> None:
    good = export_sample(store, ended, tmp_path / "samples" / "good.zip")
    (tmp_path / "samples" / "bad.zip").write_bytes(good.read_bytes()[:5000])
    (tmp_path / "samples" / "empty.zip").write_bytes(b"")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "samples" / "later.zip", "w") as target:
        target.writestr("run.json", json.dumps({**json.loads(source.read("run.json")), "format": 2}))
    for name, words in (("bad", "is not a sample run"), ("empty", "is not a sample run"), ("later", "has format 2")):
        with pytest.raises(pc.StoreError, match=words):
            store.import_sample(tmp_path / "samples" / f"{name}.zip")
    with pytest.raises(pc.StoreError, match="is not a sample run"):
        store.import_sample(tmp_path / "missing.zip")
    assert Samples(tmp_path / "samples").ids() == ["sample-good"]
    assert Samples(tmp_path / "nowhere").ids() == []


def test_a_run_that_goes_on_is_no_sample(store: Store, claimed: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(pc.StoreError, match="is running: only a run that has ended"):
        export_sample(store, claimed[0], tmp_path / "s.zip")
    assert list(tmp_path.glob("*.zip")) == []


def test_a_home_that_is_read_only_shows_samples_all_the_same(store: Store, home: Path) -> None:
    (home / "runs").write_text("a file where the folder should be")
    assert {r.id for r in store.samples()} >= {f"sample-{name}" for name in SHIPPED}


# --- those that ship -------------------------------------------------------------------------------------------------
def test_samples_ship_and_a_newcomer_sees_a_clipped_and_pruned_one_first(store: Store) -> None:
    assert SHIPPED
    samples = store.samples()
    assert [s.id for s in samples] == [f"sample-{name}" for name in SHIPPED]
    assert samples[0].experiment.clip is not None
    assert samples[0].experiment.prune is not None
    assert sum(path.stat().st_size for path in FOLDER.glob("*.zip")) < 300_000


@pytest.mark.parametrize("name", SHIPPED)
def test_a_sample_is_what_its_experiment_gives(store: Store, name: str, tmp_path: Path) -> None:
    record = next(r for r in store.samples() if r.id == f"sample-{name}")
    experiment = record.experiment
    assert record.digest == experiment.digest  # its settings mean today what they meant then
    assert (record.status, record.step, record.steps) == ("finished", experiment.train.steps, experiment.train.steps)
    assert record.name
    assert record.read_only
    history = store.history(record.id)
    assert history.columns.tolist() == ["step", *STEP_FIELDS]
    assert history["step"].tolist() == list(range(1, record.steps + 1))
    assert history.notna().all().all()
    if experiment.prune is not None:
        assert history["sparsity"].iloc[-1] == pytest.approx(experiment.prune.schedule.final, abs=1e-3)
        assert not store.masks(record.id).empty
    evals = store.evals(record.id)
    assert evals["accuracy"].iloc[-1] == record.accuracy
    assert record.accuracy is not None
    assert record.accuracy > 0.9
    short = experiment.with_(**{"train.steps": 2, "train.eval_every": 2, "prune": None})
    result = pc.run(short, progress=False)
    shot = store.snapshot(record.id)
    assert shot is not None
    assert {layer.name for layer in shot.layers} >= set(prunable(result.model))
    if experiment.clip == short.clip and experiment.prune is None:  # the first steps are those of today
        ours = history.head(2)[["loss", "grad_norm_before"]].to_numpy()
        assert ours == pytest.approx(result.history[["loss", "grad_norm_before"]].to_numpy(), rel=1e-3)
    model, _ = restore_model(experiment, checkpoint_path(record.id))
    data = experiment.data.load(experiment.train.seed)
    found = pc.evaluate(model, data)
    assert found.accuracy == pytest.approx(record.accuracy, abs=0.005)  # another machine may add up differently
    copy = tmp_path / "copy.zip"
    shutil.copy(FOLDER / f"{name}.zip", copy)
    assert store.history(store.import_sample(copy)).equals(history)
