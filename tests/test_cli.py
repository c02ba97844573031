"""The command line as a person meets it: what it prints, its exit code, and one sentence where something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import prune_core as pc
from prune_core.claims import WORDS, Claim
from prune_core.cli import main
from prune_core.cli.train import _change
from prune_core.clipping import ClipStrategy
from prune_core.models import ModelSource
from prune_core.tracking import Store, new_token

FIRST = Path(__file__).resolve().parent.parent / "examples" / "first.yaml"
SHORT = ("--set", "train.steps=20", "--set", "prune.schedule.start=5", "--set", "prune.schedule.stop=15")


@pytest.fixture
def lab(capsys):
    """``lab("models")`` runs a command: its exit code, what it printed, and what it complained of."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture
def recorded(home):
    """The id of a finished run of 20 steps in the store, whose learning rate was changed at step 7."""
    store, token = Store(), new_token()
    run_id = store.create(pc.Experiment.from_yaml(FIRST).with_(prune=None, **{"train.steps": 20}), name="twenty steps")
    assert store.claim(run_id, token)
    steps = [(step, 2.0, 1.0, 0.5, 0.25, 0.9, 0.1, 0.0) for step in range(1, 21)]
    evals = [pc.EvalEvent(20, 0.875, 0.5, 355, (0.875,) * 10)]
    store.append(run_id, token, steps=steps, evals=evals, marks=[pc.InterventionEvent(7, "lr", 0.05, "teacher")])
    store.finish(run_id, token, "finished", "all 20 steps made", {"speed": 900})
    return run_id


# --- train -----------------------------------------------------------------------------------------------------------
def test_run_prints_what_pc_run_returns(lab):
    code, out, err = lab("run", str(FIRST), *SHORT)
    exp = pc.Experiment.from_yaml(FIRST).with_(
        **{"train.steps": 20, "prune.schedule.start": 5, "prune.schedule.stop": 15}
    )
    result = pc.run(exp)
    assert (code, err) == (0, "")
    assert exp.digest in out
    assert f"{result.accuracy:.2%} of {exp.data.info.test:,} test examples" in out
    assert "clipping removes none" in out
    removed = sum(int((~m).sum()) for m in result.masks.values())
    assert f"{removed:,} of " in out


def test_run_without_pruning_says_so(lab):
    code, out, _ = lab("run", str(FIRST), "--set", "prune=null", "--set", "train.steps=3")
    assert code == 0
    assert "nothing" in out


def test_run_goes_on_from_a_checkpoint(lab, tmp_path):
    path = tmp_path / "state.pt"
    first = lab("run", str(FIRST), *SHORT, "--checkpoint", str(path))
    assert path.is_file()
    again = lab("run", str(FIRST), *SHORT, "--checkpoint", str(path))
    assert (first[0], again[0]) == (0, 0)
    other = lab("run", str(FIRST), *SHORT, "--set", "train.seed=5", "--checkpoint", str(path))
    assert other[0] == 2
    assert "belongs to experiment" in other[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.steps=200", ("train.steps", 200)),
        ("clip.threshold=1e-3", ("clip.threshold", 0.001)),  # YAML 1.1 takes 1e-3 for a text
        ("clip=null", ("clip", None)),
        ("clip={kind: norm, max_norm: 2}", ("clip", {"kind": "norm", "max_norm": 2})),
        ("prune.scope=layer", ("prune.scope", "layer")),
    ],
)
def test_set_reads_yaml(text, expected):
    assert _change(text) == expected


# --- mistakes: one sentence, exit code 2, no traceback ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], ["no file nowhere.yaml"]),
        (["run", str(FIRST), "--set", "clip.treshold=1"], ["clip.treshold", "did you mean 'clip.threshold'"]),
        (["run", str(FIRST), "--set", "clip.threshold=0"], ["threshold", "greater than 0", "got 0"]),
        (["run", str(FIRST), "--set", "clip.threshold=nan"], ["threshold", "finite number", "nan"]),
        (["run", str(FIRST), "--set", "clip.threshold=much"], ["threshold", "a number", "'much'"]),
        (["run", str(FIRST), "--set", "prune.schedule.final=1"], ["final", "less than 1", "got 1"]),
        (["run", str(FIRST), "--set", "train.steps=250"], ["schedule must end by step 250", "got 300"]),
        (["run", str(FIRST), "--set", "model={kind: seednett}"], ["did you mean 'seednet'"]),
        (["run", str(FIRST), "--set", "data={kind: moons}"], ["SmallCNN needs images"]),
        (["run", str(FIRST), "--set", "train.steps"], ["KEY=VALUE", "'train.steps'"]),
        (["run", str(FIRST), "--set", "clip={kind: "], ["is not a value in YAML"]),
        (["run", str(FIRST), "--name", "mine"], ["--name needs --in-lab"]),
        (["run", str(FIRST), "--in-lab", "--checkpoint", "x.pt"], ["--checkpoint does not go with --in-lab"]),
        (["describe", "nrom"], ["did you mean 'norm'"]),
        (["runs", "--status", "finishd"], ["did you mean 'finished'"]),
        (["show", "abc"], ["no single run 'abc'"]),
    ],
)
def test_a_mistake_is_one_sentence(lab, home, arguments, words):
    code, out, err = lab(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert "Traceback" not in err
    assert [w for w in words if w not in err] == []
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary", b"[1, 2", b"just words", b"data: {kind: [1]}", b""])
def test_a_file_that_is_no_experiment_is_one_sentence(lab, tmp_path, content):
    path = tmp_path / "experiment.yaml"
    path.write_bytes(content)
    code, out, err = lab("run", str(path))
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert "bug" not in err


def test_an_unexpected_error_is_a_sentence_too(lab, monkeypatch):
    monkeypatch.setattr("prune_core.cli.lists.data_root", lambda: 1 / 0)
    code, _, err = lab("data")
    assert code == 1
    assert "PRUNE_LAB_TRACEBACK=1" in err


# --- look back -------------------------------------------------------------------------------------------------------
def test_runs_of_an_empty_store_says_how_to_start_one(lab, home):
    code, out, _ = lab("runs")
    assert code == 0
    assert "No runs yet" in out


def test_runs_and_show(lab, recorded):
    code, out, _ = lab("runs")
    assert code == 0
    assert [w for w in (recorded, "twenty steps", "finished", "20/20", "small_cnn", "digits") if w not in out] == []
    assert recorded not in lab("runs", "--status", "failed")[1]
    code, out, _ = lab("show", recorded[:-2])
    assert code == 0
    expected = (recorded, "finished: all 20 steps made", "87.50%", "teacher", "0.05", "clip.threshold", "0.01")
    assert [w for w in expected if w not in out] == []


def test_show_yaml_can_be_run_again(lab, recorded):
    code, out, _ = lab("show", recorded, "--yaml")
    assert code == 0
    assert pc.Experiment.from_yaml(out) == Store().run(recorded).experiment


# --- what there is ---------------------------------------------------------------------------------------------------
def test_models_lists_every_registered_model(lab):
    code, out, _ = lab("models")
    assert code == 0
    assert [entry.name for entry in ModelSource.registry if entry.name not in out] == []


def test_methods_lists_label_summary_and_reference(lab):
    code, out, _ = lab("methods")
    flat = " ".join(out.replace("│", " ").split())
    assert code == 0
    for entry in ClipStrategy.registry:
        assert entry.name in flat
        assert entry.label.split()[0] in flat
    for word in ("magnitude", "random", "one_shot", "cubic"):
        assert word in flat


def test_data_lists_shapes_and_the_folder(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNE_LAB_DATA", str(tmp_path))
    code, out, _ = lab("data")
    assert code == 0
    assert "1×8×8" in out
    assert str(tmp_path) in out.replace("\n", "")


def test_describe_takes_bounds_from_the_field(lab):
    code, out, _ = lab("describe", "value")
    assert code == 0
    assert "threshold" in out
    assert "greater than 0" in out
    assert "must be given" not in lab("describe", "training")[1]


def test_claims_are_listed_and_tried(lab):
    code, out, _ = lab("claim")
    assert code == 0
    assert [name for name in Claim.registry.names() if name not in out] == []
    code, out, _ = lab("claim", "pruning_costs", "--seeds", "2", "--steps", "20")
    flat = " ".join(out.replace("│", " ").split())
    assert code == 0 and "Rule, fixed before looking" in flat and "accuracy" in flat
    assert any(f"{word.capitalize()}" in flat for word in WORDS)
    code, _, said = lab("claim", "pruning_cost")
    assert code == 2 and "pruning_costs" in said
