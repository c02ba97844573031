"""Lessons as files: what is read, what the folder finds while it is looked at, and what the linter says."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from lab_lesson_tools import PARAMETERS, QUESTION, TURN, clipping_lesson, lesson, predicting_lesson
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from prune_core.cli import main
from prune_core.errors import ConfigError, UnknownNameError
from prune_core.lessons import Answer, Exercise, Folder, Lesson, as_file, judge, lint_lesson, read_lesson
from prune_core.lessons.exercises import check_answer, parse_exercise

HEAD = ("text", "# Title\n\nOne sentence.")


def test_a_lesson_as_its_file_says_it(tmp_path: Path) -> None:
    read = read_lesson(clipping_lesson(tmp_path / "02_clipping.ipynb"))
    assert (read.slug, read.title, read.minutes, read.order) == ("02_clipping", "What clipping cuts", 10, 1)
    assert read.summary == "A gradient has large entries, and a threshold cuts them."
    assert [p.name for p in read.parameters] == ["threshold", "entries", "way", "shown"]
    assert read.test == {"entries": 50}
    assert [c.role for c in read.cells].count("check") == 2
    assert [e.id for e in read.exercises] == ["what", "share"]
    assert "```" not in read.exercises[0].question


CHECK = ("code", 'answer_turn = 1\nwhy_turn = ""', "check")
ASK = ("text", TURN, "exercise")


def test_a_prediction_covers_what_is_tagged_below_it_or_stands_before_its_check(tmp_path: Path) -> None:
    tagged = read_lesson(predicting_lesson(tmp_path / "a.ipynb"))
    assert {index: e.id for index, e in tagged.covered.items()} == dict.fromkeys((4, 5, 7), "turn")
    show, tell = ("code", "1"), ("code", "2", "reveal")
    between = read_lesson(lesson(tmp_path / "b.ipynb", HEAD, tell, ASK, show, ("text", "So."), CHECK, show, tell))
    assert list(between.covered) == [3, 4], "what stands between, and then nothing else"
    second = ("text", TURN.replace("id: turn", "id: more"), "exercise")
    two = read_lesson(lesson(tmp_path / "c.ipynb", HEAD, ASK, CHECK, show, tell, second, CHECK, tell, show))
    assert {index: e.id for index, e in two.covered.items()} == {4: "turn", 7: "more"}
    assert read_lesson(clipping_lesson(tmp_path / "d.ipynb")).covered == {}, "a question covers nothing"


def test_the_shipped_lessons_can_be_read() -> None:
    root = Path(__file__).resolve().parents[2] / "notebooks"
    found = Folder(root).all()
    assert found
    assert [x for x in found if not isinstance(x, Lesson)] == []


def test_a_dropped_file_appears_and_a_broken_one_says_why(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "lessons")
    assert folder.all() == []
    path = clipping_lesson(tmp_path / "lessons" / "b.ipynb")
    assert [x.slug for x in folder.lessons()] == ["b"]
    assert folder.lessons()[0] is folder.lessons()[0], "what has not changed is not read again"
    lesson(tmp_path / "lessons" / "a.ipynb", ("text", "# Another\n\nFirst."), order=0)
    assert [x.slug for x in folder.lessons()] == ["a", "b"]
    before = folder.get("b")
    path.write_text(path.read_text().replace("What clipping cuts", "Changed"))
    os.utime(path, ns=(1, 1))
    assert folder.get("b").title == "Changed"
    assert folder.get("b").content != before.content
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"b\.ipynb is not a notebook"):
        folder.get("b")
    assert [x.slug for x in folder.all()] == ["a", "b"]
    path.unlink()
    with pytest.raises(UnknownNameError):
        folder.get("b")


def test_only_files_of_the_folder_are_lessons(tmp_path: Path) -> None:
    outside = clipping_lesson(tmp_path / "outside.ipynb")
    folder = Folder(tmp_path / "lessons")
    folder.path.mkdir()
    (folder.path / "link.ipynb").symlink_to(outside)
    assert folder.all() == []
    for slug in ("../outside", "outside", str(outside)):
        with pytest.raises(UnknownNameError):
            folder.get(slug)


# --- exercises --------------------------------------------------------------------------------------------------------
def exercise(**more: object) -> Exercise:
    return Exercise(**{"id": "q", "kind": "number", "question": "How many?", **more})


@pytest.mark.parametrize(
    ("more", "right", "given", "verdict"),
    [
        ({}, 10, 10.4, True),
        ({}, 10, 10.6, False),
        ({}, 0, 0.0, True),
        ({}, [0.2, 0.4], 0.2, True),
        ({}, [0.4, 0.2], 0.41, False),
        ({"kind": "choice", "options": ["a", "b"]}, "a", "a", True),
        ({"kind": "choice", "options": ["a", "b"]}, "a", "b", False),
        ({"kind": "choice", "options": ["a", "b", "c"]}, ["a", "b"], "b", True),
        ({"kind": "prediction", "options": [1, 2]}, 2, "2", True),
    ],
)
def test_answers_are_compared(more: dict[str, object], right: object, given: str | float, verdict: bool) -> None:
    asked = exercise(**more)
    assert judge(asked, Answer(right, ""), given).right is verdict
    assert check_answer(asked, right) == ""


def test_a_verdict_says_what_is_right() -> None:
    assert judge(exercise(unit="%"), Answer([1.0, 2.5], ""), 9.0).sentence == "1 to 2.5 %"
    assert judge(exercise(kind="choice", options=["a", "b"]), Answer(["a", "b"], ""), "a").sentence == "a or b"


def test_an_answer_that_does_not_fit_is_found() -> None:
    assert "must be a number or a range" in check_answer(exercise(), "seven")
    assert "must be one of the options" in check_answer(exercise(kind="choice", options=["a", "b"]), "c")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("What?", "needs one block ```lab"),
        ("What?\n\n```lab\nid: [\n```", "not valid YAML"),
        ("What?\n\n```lab\n- a\n```", "must be `name: value` lines"),
        ("```lab\nid: a\nkind: number\n```", "needs a question"),
        ("What?\n\n```lab\nid: 1 2\nkind: number\n```", "must be a name"),
        ("What?\n\n```lab\nid: a\nkind: choice\n```", "at least two different options"),
        ("What?\n\n```lab\nid: a\nkind: essay\n```", "must be one of 'choice', 'number', 'prediction'"),
        ("What?\n\n```lab\nid: a\nkind: number\nlow: 2\nhigh: 1\n```", "low must be below high"),
        ("What?\n\n```lab\nid: a\nkind: number\ncolour: red\n```", "There is no field of Exercise named 'colour'"),
    ],
)
def test_a_mistake_in_an_exercise_is_a_sentence(source: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_exercise(source)


# --- the notebook to take away ----------------------------------------------------------------------------------------
def test_the_notebook_to_take_away_has_the_values_where_papermill_puts_them(tmp_path: Path) -> None:
    read = read_lesson(clipping_lesson(tmp_path / "a.ipynb"))
    values = {"threshold": 0.5, "entries": 100, "way": "norm", "shown": False}
    ours = nbformat.reads(as_file(read, values).decode(), as_version=4)
    nbformat.validate(ours)
    theirs = parameterize_notebook(load_notebook_node(str(read.path)), values, kernel_name="python3", language="python")
    assert [(c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in ours.cells] == [
        (c.cell_type, c.source.strip(), c.metadata.get("tags", [])) for c in theirs.cells
    ]
    assert as_file(read, values) == as_file(read, values)
    with pytest.raises(ConfigError, match="entries must be"):
        as_file(read, {"entries": 7})


# --- the linter -------------------------------------------------------------------------------------------------------
def sync(path: Path) -> Path:
    """Its text beside it, as jupytext writes it."""
    import jupytext

    jupytext.write(jupytext.read(path), path.with_suffix(".py"), fmt="py:percent")
    return path


def test_nothing_is_wrong_with_a_good_lesson(tmp_path: Path) -> None:
    assert lint_lesson(sync(clipping_lesson(tmp_path / "good.ipynb"))) == []
    assert lint_lesson(sync(predicting_lesson(tmp_path / "guess.ipynb"))) == []
    assert lint_lesson(sync(lesson(tmp_path / "between.ipynb", HEAD, ASK, ("code", "1"), CHECK))) == []


@pytest.mark.parametrize(
    ("cells", "cell", "sentence"),
    [
        ([("code", "1")], 1, "The first cell must be markdown"),
        ([("text", "No title")], 1, "must begin with `# Title`"),
        ([("text", "# Title")], 1, "must say in a sentence"),
        ([HEAD, ("code", "n = 1", "parameters")], 2, "every line must be an assignment with a type"),
        ([HEAD, ("code", "n: int = 1  # N: help", "parameters")], 2, "n has no bounds"),
        ([HEAD, ("code", "n: int = 1  # N [0 .. 2]", "parameters")], 2, "n has no help"),
        ([HEAD, ("code", PARAMETERS, "parameters"), ("code", PARAMETERS, "parameters")], 3, "a second cell tagged"),
        ([HEAD, ("code", PARAMETERS, "parameter")], 2, "did you mean 'parameters'"),
        ([HEAD, ("text", QUESTION, "exercise"), ("code", "1")], 2, "has no check"),
        ([HEAD, ("text", QUESTION, "exercise"), ("code", "answer_what = 1", "check")], 3, "must define why_what"),
        ([HEAD, ("code", "answer_what = 1", "check")], 2, "right after its exercise"),
        ([HEAD, ("text", "What?", "exercise")], 2, "needs one block"),
        ([HEAD, ASK, CHECK, ("code", "1")], 2, "tag the cells that show its outcome `reveal`"),
        ([HEAD, ("code", "1", "reveal"), ASK, ("code", "1"), CHECK], 2, "`reveal` covers nothing here"),
        ([HEAD, ASK, ("code", "1"), ("text", QUESTION, "exercise"), CHECK], 2, "has no check"),
        ([HEAD, ("code", "1", "revealed")], 2, "did you mean 'reveal'"),
    ],
)
def test_the_linter_says_what_is_wrong_and_where(tmp_path: Path, cells: list, cell: int, sentence: str) -> None:
    found = lint_lesson(sync(lesson(tmp_path / "bad.ipynb", *cells)))
    assert [f for f in found if f.cell == cell and sentence in f.sentence], found


def test_the_linter_finds_outputs_and_a_missing_or_other_pair(tmp_path: Path) -> None:
    path = clipping_lesson(tmp_path / "a.ipynb")
    assert "a.py, is missing" in str(lint_lesson(path)[0])
    sync(path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].execution_count = 1
    notebook.cells[3].source += "\n1"
    nbformat.write(notebook, path)
    assert [(f.cell, f.sentence[:24]) for f in lint_lesson(path)] == [
        (3, "Outputs must not be stor"), (0, "a.py says something else"),
    ]  # fmt: skip
    other = sync(lesson(tmp_path / "b.ipynb", HEAD, minutes=0, test={"steps": 1}))
    assert [f.sentence[:24] for f in lint_lesson(other)] == ["lab.minutes in the metad", "lab.test in the metadata"]


def test_the_command_says_it_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = sync(clipping_lesson(tmp_path / "good.ipynb")), lesson(tmp_path / "bad.ipynb", ("text", "x"))
    with pytest.raises(SystemExit) as left:
        main(["lint-lesson", str(good)])
    assert left.value.code in (0, None)
    with pytest.raises(SystemExit) as left:
        main(["lint-lesson", str(good), str(bad)])
    assert left.value.code == 1
    said = capsys.readouterr().out
    assert "good.ipynb: nothing is wrong" in said
    assert "bad.ipynb, cell 1: The first cell must begin with" in said
