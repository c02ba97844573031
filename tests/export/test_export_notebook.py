"""Notebooks of runs, comparisons and sweeps: they run by themselves, come to what was recorded, and notice if not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

import prune_core as pc
from prune_core import export
from prune_core.errors import ConfigError
from prune_core.tracking import Store, execute

EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=400), model=pc.MLP(width=16), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.Cubic(final=0.8, start=10, stop=30)), train=pc.Training(steps=40, seed=3),
)  # fmt: skip
SWEEP = pc.Sweep(
    experiment=EXPERIMENT,
    space=pc.Grid(vary={"prune.criterion": [pc.Magnitude(), pc.Random()], "train.seed": [0, 1]}),
)


@pytest.fixture
def store(home: Path) -> Store:
    return Store()


@pytest.fixture
def ran(store: Store) -> Callable[..., str]:
    """Runs an experiment and returns the run's id; ``told`` is what it is told before its first step."""

    def run(experiment: pc.Experiment = EXPERIMENT, name: str = "", told: dict[str, float] | None = None) -> str:
        run_id = store.create(experiment, name=name)
        for command, value in (told or {}).items():
            store.send(run_id, command, value)
        execute(store, run_id)
        return run_id

    return run


def executed(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """What all code cells leave behind, run in order in a place of their own."""
    nbformat.validate(notebook)
    names: dict[str, Any] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    return names


def test_a_run_is_done_again_and_is_the_same(store: Store, ran: Callable[..., str], capsys: Any) -> None:
    run_id = ran()
    names = executed(export.run_notebook(store, run_id))
    record = store.run(run_id)
    assert names["experiment"] == record.experiment
    assert names["result"].accuracy == record.accuracy
    assert "the same to the last bit" in capsys.readouterr().out


def test_what_was_changed_in_mid_run_is_changed_again(store: Store, ran: Callable[..., str]) -> None:
    run_id = ran(told={"set:clip_threshold": 0.5, "set:lr": 0.02})
    names = executed(export.run_notebook(store, run_id))
    assert {(m.field, m.value) for m in names["result"].interventions} == {("clip_threshold", 0.5), ("lr", 0.02)}
    assert names["result"].history["loss"].tolist() == pytest.approx(store.history(run_id)["loss"].tolist(), rel=1e-6)


def test_a_stopped_run_stops_where_it_stopped(store: Store, ran: Callable[..., str]) -> None:
    run_id = ran(told={"stop": 25})
    assert store.run(run_id).status == "stopped"
    names = executed(export.run_notebook(store, run_id))
    assert (names["result"].status, names["result"].step) == ("stopped", 25)


def test_other_numbers_than_recorded_are_an_error(store: Store, ran: Callable[..., str]) -> None:
    made = export.run_notebook(store, ran())
    check = made.cells[-1]
    accuracy = re.search(r"accuracy - ([\d.]+)", check.source)[1]
    check.source = check.source.replace(accuracy, str(float(accuracy) - 0.2))
    with pytest.raises(AssertionError):
        executed(made)
    made = export.run_notebook(store, ran())
    made.cells[2].source = made.cells[2].source.replace("seed=3", "seed=4")
    with pytest.raises(AssertionError, match="another meaning"):
        executed(made)


def test_every_field_is_stated_so_that_other_defaults_change_nothing(store: Store, ran: Callable[..., str]) -> None:
    source = export.run_notebook(store, ran()).cells[2].source
    for path in EXPERIMENT.flat():
        assert f"{path.rpartition('.')[2]}=" in source, path


def test_a_comparison_has_every_run_and_their_pictures(store: Store, ran: Callable[..., str]) -> None:
    ids = [ran(name="clipped and pruned"), ran(EXPERIMENT.replace(prune=None, clip=None))]
    names = executed(export.comparison_notebook(store, ids))
    assert list(names["results"]) == ["clipped and pruned", ids[1]]
    assert [r.accuracy for r in names["results"].values()] == [store.run(i).accuracy for i in ids]


def test_a_sweep_is_read_where_it_is_known_and_run_elsewhere(store: Store, home: Path) -> None:
    lab = pc.Lab(store=store, home=home)
    handle = lab.sweep(SWEEP, where="here")
    names = executed(export.sweep_notebook(SWEEP, "mine", handle.id, "kept_bytes"))
    assert names["sweep"].to_json() == SWEEP.to_json()
    assert names["results"]["run"].tolist() == handle.results()["run"].tolist(), "read, not run again"
    assert names["data"].cost == "kept_bytes"


@pytest.mark.parametrize("status", ["queued", "cancelled"])
def test_a_run_without_a_result_is_refused_with_a_sentence(store: Store, status: str) -> None:
    run_id = store.create(EXPERIMENT)
    if status == "cancelled":
        store.cancel(run_id, "")
    with pytest.raises(ConfigError, match=f"is {status} and has no result"):
        export.run_notebook(store, run_id)
    with pytest.raises(ConfigError, match="2 to 6 runs to compare, got 1"):
        export.comparison_notebook(store, [run_id])


def test_the_same_run_gives_the_same_file(store: Store, ran: Callable[..., str]) -> None:
    run_id = ran()
    first, second = (export.written(export.run_notebook(store, run_id)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "value",
    [EXPERIMENT, EXPERIMENT.replace(clip=None), SWEEP, SWEEP.replace(halving=pc.Halving()),
     EXPERIMENT.replace(clip=pc.Chain())],
    ids=["experiment", "without clipping", "sweep", "halving", "chain"],
)  # fmt: skip
def test_settings_as_python_are_the_settings(value: Any, full: bool) -> None:
    text = export.as_python(value, full=full)
    assert text.startswith(f"pc.{type(value).__name__}(")
    assert eval(text, {"pc": pc}).to_json() == value.to_json()


def test_somebodys_own_part_is_stated_as_json() -> None:
    class Own(pc.MLP):
        pass

    pc.register("test_own", label="Own", summary="Own.", formula="", reference="")(Own)
    try:
        mine = EXPERIMENT.replace(model=Own())
        text = export.as_python(mine)
        assert text.startswith("pc.Experiment.from_json(")
        assert eval(text, {"pc": pc}) == mine
    finally:
        pc.ModelSource.registry._entries.pop("test_own", None)


@pytest.mark.parametrize("kind", ["pruning_costs", "clipping_shrinks"])
def test_a_claim_is_tried_again_and_comes_to_its_verdict(kind: str, capsys: Any) -> None:
    cls = pc.Claim.registry[kind].cls
    claim = cls(
        model=pc.MLP(width=8), seeds=2, steps=24, **({"sparsities": (0.5, 0.9)} if kind == "pruning_costs" else {})
    )
    first = pc.trial(claim, progress=False)
    made = export.claim_notebook(claim, first.table, first.verdict)
    assert claim.rule in made.cells[0].source and first.verdict.sentence in made.cells[0].source
    names: dict[str, Any] = {"display": lambda figure: None}
    for cell in made.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    assert names["claim"] == claim
    accuracy = first.table[first.table["measure"] == "accuracy"]["value"]
    assert names["trial"].table.loc[accuracy.index, "value"].tolist() == accuracy.tolist()
    if claim.looks:
        assert "recorded:" in capsys.readouterr().out
    wrong = export.claim_notebook(claim, first.table.assign(value=first.table["value"] + 0.5), first.verdict)
    with pytest.raises(AssertionError):
        exec(wrong.cells[-1].source, names)
