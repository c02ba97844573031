"""Every notebook that ships, and every kind that the lab writes, runs from top to bottom in a kernel of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prune_core as pc
from prune_core import export
from prune_core.claims import ClippingShrinks
from prune_core.lessons import Execution, Executor, Lesson, Now, read_lesson
from prune_core.tracking import Store, execute

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PATIENCE_S = 240
Runs = dict[str, Execution]


@pytest.fixture(scope="module")
def asked(executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Every lesson with its small values, elsewhere than in the project; two are executed at a time."""
    folder = tmp_path_factory.mktemp("lessons")
    found = {}
    for stem in LESSONS:
        lesson = read_lesson(Path(shutil.copy(FOLDER / f"{stem}.ipynb", folder)))
        found[stem] = executor.ask(lesson, lesson.test, stem)
    yield found


def ended(execution: Execution) -> tuple[Lesson, Now]:
    assert execution.wait(PATIENCE_S), execution.now
    assert execution.now.state == "done", execution.now.trouble
    return execution.lesson, execution.now


def outputs(now: Now, kind: str) -> list[Any]:
    return [o.value for shown in now.cells.values() for o in shown.outputs if o.kind == kind]


@pytest.mark.slow
@pytest.mark.parametrize("stem", LESSONS)
def test_a_lesson_runs_from_top_to_bottom(stem: str, asked: Runs) -> None:
    lesson, now = ended(asked[stem])
    assert {*now.cells} == {cell.index for cell in lesson.cells if cell.is_code}
    said = [i for i, shown in now.cells.items() if any(o.kind == "text" for o in shown.outputs)]
    assert all("print(" in lesson.cells[i].source for i in said), "nothing is said but what the lesson says: no warning"
    assert outputs(now, "figure"), "a lesson draws at least one figure"
    assert not any("nan" in text for text in outputs(now, "markdown")), "a number that is not there is not shown"
    covered = [o.kind for i in lesson.covered for o in now.cells[i].outputs]
    assert {"figure", "table"} & {*covered}, "a prediction covers what shows its outcome"


@pytest.mark.slow
@pytest.mark.parametrize("stem", LESSONS)
def test_every_question_has_an_answer_that_fits_it(stem: str, asked: Runs) -> None:
    lesson, now = ended(asked[stem])
    for exercise in lesson.exercises:
        answer = now.answers[exercise.id]
        assert len(answer.why) > 20
        right = answer.right if isinstance(answer.right, list) else [answer.right]
        if exercise.options:
            assert right and {*right} <= {*exercise.options}
        else:
            assert all(exercise.low <= value <= exercise.high for value in right) and right == sorted(right)


# what each lesson is there to show, whatever the settings: worked by hand, or a property of the method
KNOWN: dict[str, dict[str, Any]] = {
    # convolutions of 1·16·9 + 16 and 16·32·9 + 32, linear layers of 128·64 + 64 and 64·10 + 10: weights and biases
    "01_first_run": {"kept": "As many as without clipping", "file": "Pruning", "total": 13706, "cosine": [0.999, 1.0]},
    "02_gradient_step": {"lost": 0, "farthest": 0.1, "unit": "64 α"},
    "03_direction": {
        "second": 0.8,
        "keeps": "Clipping by the norm of all parameters together",
        "limit": "The same distance for every weight whose gradient is not zero, in the direction of its sign",
    },
    "04_exploding_gradients": {"step": 0.3},
    "05_magnitude": {"weights": 2510, "twice": 75},  # 5 % of 64·300 + 300·100 + 100·10
    "06_which_weights": {
        "first": "w₂ by magnitude, w₁ by Taylor",
        "claim": "One network and this test split cannot show it; try several seeds and test the difference",
    },
    "07_milliseconds": {"left": 1638, "amdahl": 1 / 0.46},  # a tenth of 128²
}


@pytest.mark.slow
@pytest.mark.parametrize("stem", LESSONS)
def test_a_lesson_finds_what_is_known(stem: str, asked: Runs) -> None:
    _, now = ended(asked[stem])
    for name, right in KNOWN[stem].items():
        assert now.answers[name].right == (right if isinstance(right, str) else pytest.approx(right))


# --- notebooks that the lab writes ------------------------------------------------------------------------------------
EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=400), model=pc.MLP(width=16), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.Cubic(final=0.8, start=10, stop=30)), train=pc.Training(steps=40, seed=3),
)  # fmt: skip


def written(kind: str, store: Store) -> str:
    """A notebook of that kind, of runs that were made here."""
    if kind == "a claim":
        claim = ClippingShrinks(model=pc.MLP(width=8), seeds=2, steps=24)
        tried = pc.trial(claim, progress=False)
        return export.written(export.claim_notebook(claim, tried.table, tried.verdict))
    ids = [store.create(one) for one in (EXPERIMENT, EXPERIMENT.replace(prune=None))]
    for run_id in ids:
        execute(store, run_id)
    if kind == "a run":
        return export.written(export.run_notebook(store, ids[0]))
    return export.written(export.comparison_notebook(store, ids))


@pytest.mark.parametrize("kind", ["a run", "a comparison", "a claim"])
def test_what_the_lab_writes_runs_by_itself_and_comes_to_the_same(
    kind: str, home: Path, executor: Executor, tmp_path: Path
) -> None:
    path = tmp_path / "taken.ipynb"
    path.write_text(written(kind, Store()), encoding="utf-8")
    _, now = ended(executor.ask(read_lesson(path), {}, kind))
    assert outputs(now, "figure"), "and draws"
