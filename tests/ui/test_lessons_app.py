"""The Lessons page without a browser and without kernels: widgets, links, progress, answers, errors."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lessons"))
from lab_lesson_tools import clipping_lesson, lesson, predicting_lesson

from prune_core.lessons import Answer, Executor, Output, Parameter, PoolSettings, Shown, Trouble, executing
from prune_ui import lessons_panel, lessons_state
from prune_ui.lessons_panel import slider_step, stops

PAGE = Path(__file__).resolve().parents[2] / "pages" / "lessons.py"


class Kernels:
    """Instead of a pool: what is asked for is kept, and each cell gives what the values say."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.trouble: Trouble | None = None
        self.gives: dict[int, Shown] = {}  # of another lesson than the clipping one
        self.held = False

    async def take(self, cwd: Path) -> Any:
        return SimpleNamespace(pid=1, kill=lambda: None)

    def give_back(self, kernel: Any) -> None:
        """Nothing to give back."""

    async def close(self) -> None:
        """Nothing to end."""

    async def run(self, lesson: Any, values: Any, kernel: Any, settings: Any, on_cell: Any) -> Trouble | None:
        self.asked.append(dict(values))
        for index, gave in self.gives.items():
            on_cell(index, gave)
        if not values or self.gives:
            return self.trouble
        on_cell(1, Shown())
        while self.held:
            await asyncio.sleep(0.01)
        if self.trouble is not None:
            return self.trouble
        figure = {"data": [{"type": "bar", "x": [1], "y": [values["threshold"]]}], "layout": {"height": 200}}
        on_cell(3, Shown((Output("figure", figure),)))
        table = {"columns": ["a"], "index": [0], "data": [[values["entries"]]], "rows": 1, "names": [None], "plain": 1}
        on_cell(4, Shown((Output("table", table),)))
        on_cell(5, Shown((Output("text", f"{values['way']} <b>$x$\n"), Output("markdown", "*good*"))))
        on_cell(7, Shown(answers=(("what", Answer("the update", "Nothing is *removed*.")),)))
        on_cell(9, Shown(answers=(("share", Answer([values["threshold"], 0.5], "")),)))
        return None


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    clipping_lesson(tmp_path / "lessons" / "02_clipping.ipynb")
    lesson(
        tmp_path / "lessons" / "01_plain.ipynb", ("text", "# Plain\n\nNo values."), ("code", "1"), minutes=3, order=0
    )
    made = Kernels()
    shared = Executor(PoolSettings(), pool=made)  # type: ignore[arg-type]
    monkeypatch.setenv("PRUNE_LAB_LESSONS", str(tmp_path / "lessons"))
    monkeypatch.setattr(executing, "run_lesson", made.run)
    monkeypatch.setattr(lessons_state, "executor", lambda: shared)
    monkeypatch.setattr(lessons_state, "WAIT_S", 20.0)  # a busy machine must not change what is drawn
    yield made
    made.held = False
    shared.close()


def opened(**link: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def clipping(**link: str) -> AppTest:
    return opened(lesson="02_clipping", **link)


def drawn(page: AppTest) -> list[Any]:
    """The y of the bars."""
    charts = [e for e in page.main if e.type == "bidi_component"]
    found = [json.loads(e.proto.bytes if hasattr(e.proto, "bytes") else e.proto.json) for e in charts]
    return [trace["y"] for figure in found for trace in figure["data"]]


def said(page: AppTest) -> str:
    return " | ".join(e.value for kind in ("success", "warning", "info", "error") for e in page.get(kind))


def styles(page: AppTest) -> list[str]:
    return [e.proto.body for block in page._tree.children.values() for e in block if e.type == "html"]


def styles_of(page: AppTest) -> list[str]:
    return [e.proto.body for e in page.get("html")]


def button(page: AppTest, label: str) -> Any:
    return next(b for b in page.button if b.label == label)


def test_all_lessons_are_cards_in_their_order_and_broken_ones_say_why(kernels: Kernels, tmp_path: Path) -> None:
    page = opened()
    assert [m.value for m in page.markdown if m.value.startswith("**")] == ["**Plain**", "**What clipping cuts**"]
    assert [c.value for c in page.caption][1:] == ["Lesson 1 · 3 min", "Lesson 2 · 10 min · 2 questions"]
    assert kernels.asked == [], "a list executes nothing"
    lesson(tmp_path / "lessons" / "03_new.ipynb", ("text", "# New\n\nDropped."), ("code", "n = 1", "parameters"))
    page.run()
    assert "every line must be an assignment with a type" in page.error[0].value
    assert "lint-lesson 03_new.ipynb" in page.error[0].value
    lesson(tmp_path / "lessons" / "03_new.ipynb", ("text", "# New\n\nDropped."), order=9)
    page.run()
    assert "**New**" in [m.value for m in page.markdown]
    assert not page.error


def test_a_card_opens_its_lesson_with_the_defaults(kernels: Kernels) -> None:
    page = opened()
    page.button(key="lessons/open/02_clipping").click().run()
    assert not page.exception
    assert page.title[0].value == "What clipping cuts"
    assert kernels.asked == [{"threshold": 0.1, "entries": 200, "way": "value", "shown": True}]
    assert page.query_params["lesson"] in ("02_clipping", ["02_clipping"])
    texts = [m.value for m in page.markdown]
    assert "A gradient has large entries, and a threshold cuts them.\n\nIt is $g_i$." in [t.strip() for t in texts]
    assert "*good*" in texts
    assert page.dataframe[0].value["a"].tolist() == [200]
    assert "value <b>$x$" in [c.value for c in page.code], "what is printed is not markdown"
    button(page, "All lessons").click().run()
    assert page.title[0].value == "Lessons"


def test_widgets_follow_the_cell_and_what_they_say_is_executed(kernels: Kernels) -> None:
    page = clipping()
    threshold, entries = page.select_slider[0], page.slider[0]
    assert threshold.label == "Clip threshold α (units)"
    assert (float(threshold.options[0]), float(threshold.options[-1]), threshold.value) == (0.001, 1.0, 0.1)
    assert (entries.min, entries.max, entries.step, entries.value) == (50, 400, 50, 200)
    assert "Entries beyond" in threshold.help
    assert page.toggle[0].label == "Show the code" or page.toggle[1].label == "Show the code"
    threshold.set_value(0.5).run()
    entries = page.slider[0]
    entries.set_value(100).run()
    assert kernels.asked[1:] == [
        {"threshold": 0.5, "entries": 200, "way": "value", "shown": True},
        {"threshold": 0.5, "entries": 100, "way": "value", "shown": True},
    ]
    assert page.dataframe[0].value["a"].tolist() == [100]
    button(page, "Reset").click().run()
    assert page.select_slider[0].value == 0.1
    assert len(kernels.asked) == 3, "the defaults were executed before"


def test_a_link_opens_lesson_and_values_and_says_what_means_nothing(kernels: Kernels) -> None:
    page = clipping(threshold="0.5", entries="7", way="norm", other="1")
    assert kernels.asked == [{"threshold": 0.5, "entries": 200, "way": "norm", "shown": True}]
    warnings = [w.value for w in page.warning]
    assert warnings == [
        "entries must be a whole number from 50 to 400, got 7.",
        "This lesson has no other; the link is of another one, or of an older one.",
    ]
    assert {k: v if isinstance(v, str) else v[0] for k, v in page.query_params.items()} == {
        "lesson": "02_clipping", "threshold": "0.5", "way": "norm",
    }  # fmt: skip
    lost = opened(lesson="02_cliping")
    assert "There is no lesson named" in lost.warning[0].value
    assert "02" in lost.warning[0].value
    assert lost.title[0].value == "Lessons"


def test_visitors_do_not_see_each_others_values(kernels: Kernels) -> None:
    one, other = clipping(), clipping()
    one.select_slider[0].set_value(0.5).run()
    other.run()
    assert one.select_slider[0].value == 0.5
    assert other.select_slider[0].value == 0.1
    assert drawn(other) == [[0.1]]
    assert drawn(one) == [[0.5]]
    assert len(kernels.asked) == 2, "and share what is the same"


def test_what_takes_long_shows_how_far_it_is_and_can_be_stopped(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = clipping()
    kernels.held = True
    monkeypatch.setattr(lessons_state, "WAIT_S", 0.05)
    page.select_slider[0].set_value(0.5).run()
    bars = [e.proto for e in page.main if e.type == "progress"]
    assert [b.text for b in bars] in (["Cell 2 of 7"], ["Starting"])
    assert drawn(page) == [[0.1]], "what stood there stays meanwhile"
    assert any("st-key-lesson_cell_3" in style and "opacity" in style for style in styles(page))
    button(page, "Stop").click().run()
    assert "Stopped. The outputs are of the values before." in [c.value for c in page.caption]
    asked = len(kernels.asked)
    page.run()
    assert len(kernels.asked) == asked, "what was stopped is not begun again by itself"
    kernels.held = False
    monkeypatch.setattr(lessons_state, "WAIT_S", 20.0)
    button(page, "Execute").click().run()
    assert drawn(page) == [[0.5]]


def test_an_error_stands_at_its_cell_and_may_be_tried_again(kernels: Kernels) -> None:
    kernels.trouble = Trouble(4, "KeyError: 'x_y'", lasting=False)
    page = clipping()
    assert [e.value for e in page.error] == ["KeyError: 'x\\_y'"]
    asked = len(kernels.asked)
    page.run()
    assert len(kernels.asked) == asked, "what failed is not begun again by itself"
    kernels.trouble = None
    button(page, "Try again").click().run()
    assert not page.error
    assert len(kernels.asked) == asked + 1


def test_answers_are_compared_with_what_was_measured(kernels: Kernels) -> None:
    page = clipping()
    check = [b for b in page.button if b.label == "Check"]
    assert said(page) == ""
    check[0].click().run()
    assert "Choose an answer first." in [c.value for c in page.caption]
    page.radio[0].set_value("the number of parameters")
    next(b for b in page.button if b.label == "Check").click().run()
    assert "Not that." in said(page)
    assert "Look at what is drawn." in said(page)
    assert "answer_what" not in " ".join(c.value for c in page.code), "the code of the answer is still a secret"
    button(page, "Show the answer").click().run()
    assert "The answer is **the update**. Nothing is *removed*." in said(page)
    assert "answer_what" in " ".join(c.value for c in page.code)
    page.radio[0].set_value("the update")
    next(b for b in page.button if b.label == "Check").click().run()
    assert "**Right:** the update." in said(page)
    page.number_input[0].set_value(0.2)
    [b for b in page.button if b.label == "Check"][1].click().run()
    assert "0.1 to 0.5" in said(page)
    assert ":material/quiz: 2 of 2 questions answered rightly." in [c.value for c in page.caption]
    page.select_slider[0].set_value(0.5).run()
    assert "Not that." in said(page), "other values, another answer"


# --- predictions ------------------------------------------------------------------------------------------------------
COVER = ":material/visibility_off: Guess first; the outcome is shown when you have."


@pytest.fixture
def guessing(kernels: Kernels, tmp_path: Path) -> Kernels:
    """A lesson with a prediction, and what each of its cells gives."""
    predicting_lesson(tmp_path / "lessons" / "03_guess.ipynb")
    figure = Output("figure", {"data": [{"type": "bar", "x": [1], "y": [20]}], "layout": {}})
    kernels.gives = {
        1: Shown((Output("text", "before"),)), 3: Shown(answers=(("turn", Answer([10.0, 30.0], "It is 20."),),)),
        4: Shown((figure,)), 6: Shown((Output("text", "between"),)), 7: Shown((Output("markdown", "*outcome*"),)),
    }  # fmt: skip
    return kernels


def covers(page: AppTest) -> int:
    return sum(c.value == COVER for c in page.caption)


def outcome(page: AppTest) -> list[bool]:
    """Whether each cell that tells it is on the page: figure, text, what came later, and the code of one."""
    texts = [m.value for m in page.markdown]
    codes = " ".join(c.value for c in page.code)
    return [drawn(page) == [[20]], "So it turns." in texts, "*outcome*" in texts, "figure = 20" in codes]


def test_an_outcome_stays_covered_until_one_has_guessed(guessing: Kernels) -> None:
    page = opened(lesson="03_guess")
    assert outcome(page) == [False] * 4 and covers(page) == 2, "one cover for the two that stand together"
    assert {"before\n", "between\n"} <= {f"{c.value}\n" for c in page.code}, "what tells nothing of it is there"
    assert "answer_turn" not in " ".join(c.value for c in page.code)
    button(page, "That is my prediction").click().run()
    assert covers(page) == 2, "nothing was said yet"
    page.number_input[0].set_value(12.0)
    button(page, "That is my prediction").click().run()
    assert outcome(page) == [True] * 4 and covers(page) == 0
    beside = next(style for style in styles_of(page) if "lab-guess" in style)
    assert "<b>12 degrees</b>" in beside and "<b>10 to 30 degrees</b>" in beside
    assert "width:13.33%" in beside and "width:22.22%" in beside, "12 and 20 of 90"
    assert "As you said. It is 20." in said(page)
    page.run()
    assert covers(page) == 0, "it stays so"
    assert covers(opened(lesson="03_guess")) == 2, "for this visitor"


def test_an_outcome_can_be_shown_without_a_guess(guessing: Kernels) -> None:
    page = opened(lesson="03_guess")
    [b for b in page.button if b.label == "Show without guessing"][1].click().run()
    assert outcome(page) == [True] * 4 and covers(page) == 0
    assert not any("lab-guess" in style for style in styles_of(page))
    page.number_input[0].set_value(80.0)
    button(page, "That is my prediction").click().run()
    assert "Not what you said. It is 20." in said(page)


def test_an_error_in_a_covered_cell_is_said(guessing: Kernels) -> None:
    guessing.trouble = Trouble(7, "KeyError: 1")
    page = opened(lesson="03_guess")
    assert [e.value for e in page.error] == ["KeyError: 1"] and covers(page) == 2


def test_code_is_behind_a_fold_unless_asked_for(kernels: Kernels) -> None:
    page = clipping()
    assert [e.label for e in page.expander].count("Code") == 4
    next(t for t in page.toggle if t.label == "Show the code").set_value(True).run()
    assert [e.label for e in page.expander].count("Code") == 1, "cells tagged hide-code keep their fold"


def test_the_panel_survives_another_file_under_its_name(kernels: Kernels, tmp_path: Path) -> None:
    page = clipping(entries="400")
    path = tmp_path / "lessons" / "02_clipping.ipynb"
    path.write_text(path.read_text().replace("[50 .. 400, step 50]", "[50 .. 300, step 50]"))
    page.run()
    assert not page.exception
    assert page.slider[0].value == 200, "what is not allowed any more is the lesson's own value again"
    path.unlink()
    page.run()
    assert not page.exception
    assert page.title[0].value == "Lessons"


@pytest.mark.parametrize(
    ("kind", "low", "high", "step"),
    [("float", 0, 1, 0.01), ("float", -3, 2, 0.05), ("int", 0, 10, 1), ("int", 50, 400, 5), ("int", 0, 1000, 10)],
)
def test_sliders_have_round_steps(kind: Any, low: float, high: float, step: float) -> None:
    p = Parameter(name="x", kind=kind, default=low, label="X", low=low, high=high)
    assert slider_step(p) == step


def test_logarithmic_sliders_reach_their_ends_and_the_default() -> None:
    p = Parameter(name="x", kind="float", default=0.03, label="X", low=0.0003, high=0.7, log=True)
    found = stops(p, 0.03)
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0.0003, 0.7)
    assert {0.001, 0.03, 0.5} <= set(found)
    whole = stops(Parameter(name="n", kind="int", default=3, label="N", low=1, high=100, log=True), 3)
    assert whole == [1, 2, 3, 4, 8, 16, 32, 64, 100]
    assert lessons_panel._format(Parameter(name="x", kind="float", default=0.0, label="X"), 0.05) == "%.2f"
