"""Presenter mode, without a browser: what is shown of what, and the keys that turn it."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from prune_core.errors import LabError
from prune_ui import present_slides as slides

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(home: Path) -> AppTest:
    return AppTest.from_file(str(ROOT / "pages" / "present.py"), default_timeout=60)


def caption(page: AppTest) -> str:
    return page.caption[-1].value


def test_the_samples_are_told_from_the_question_to_what_to_take_home(page: AppTest) -> None:
    page.run()
    assert caption(page).startswith("1 of ")
    assert page.button(key="present/back").disabled
    seen = []
    for _ in range(20):
        assert not page.exception
        seen.append(caption(page).partition(" · ")[2])
        if page.button(key="present/next").disabled:
            break
        page.button(key="present/next").click().run()
    assert seen[0] == "The question" and seen[-1] == "To take home"
    assert {
        "Four lanes",
        "In one sentence",
        "It learns",
        "What clipping does",
        "What pruning does",
        "The trade-off",
    } <= set(seen)
    page.button(key="present/back").click().run()
    assert caption(page).partition(" · ")[2] == seen[-2]


def test_a_link_opens_its_slide(page: AppTest) -> None:
    page.query_params["run"] = "sample-clipped-and-pruned"
    page.query_params["slide"] = "3"
    page.run()
    assert caption(page).startswith("3 of ")
    assert page.query_params["slide"] == "3"


@pytest.mark.parametrize("wanted", ["0", "-1", "x", "999"])
def test_a_slide_that_is_not_there_is_the_nearest(page: AppTest, wanted: str) -> None:
    page.query_params["run"] = "sample-dense"
    page.query_params["slide"] = wanted
    page.run()
    assert not page.exception
    at, _, of = caption(page).partition(" · ")[0].partition(" of ")
    assert at == (of if wanted == "999" else "1")


def test_a_run_that_is_not_there_is_a_sentence_and_the_samples(page: AppTest) -> None:
    page.query_params["run"] = "nowhere"
    page.run()
    assert "nowhere" in page.warning[0].value and not page.exception


def test_what_clipping_and_pruning_did_are_the_runs_own_numbers(home: Path) -> None:
    told = " ".join(s.html for s in slides.slides_of({"run": "sample-clipped-and-pruned"}))
    run = slides.feed().get("sample-clipped-and-pruned")
    assert f"{100 * run.means['clipped']:.1f}" in told
    layers = run.snapshot.layers
    total, kept = sum(x.numel for x in layers), sum(x.kept for x in layers)
    assert f"{total - kept:,}".replace(",", "\u202f") in told
    assert 'removed <b class="clipping">0</b> weights' in told


def test_a_race_is_told_in_its_own_sentence(home: Path) -> None:
    from prune_ui import race_state, race_words

    found = race_words.finding(race_state.view_of("sample-race"))
    made = slides.slides_of({"race": "sample-race"})
    assert [s.name for s in made][1:-1] == ["Four lanes", "Who learns", "The loss", "In one sentence"]
    assert re.sub("<[^>]+>", "", made[-2].html) == found.sentence
    lanes = made[1].html
    for run in race_state.view_of("sample-race").lanes.values():
        assert f"{run.record.summary['nonzero']:,}".replace(",", "\u202f") in lanes


def test_a_comparison_and_a_sweep_have_slides(home: Path) -> None:
    names = [s.name for s in slides.slides_of({"runs": "sample-dense,sample-clipped-and-pruned"})]
    assert names[1:-1] == ["Accuracy", "Weights removed", "What is left"]
    assert [s.name for s in slides.slides_of({"sweep": "sample"})][1] == "The trade-off"
    with pytest.raises(LabError):
        slides.slides_of({"sweep": "sweep-nowhere"})


def test_for_the_back_row_everything_written_grows_and_nothing_else_changes(home: Path) -> None:
    made = [s.figure() for s in slides.slides_of({}) if s.figure is not None]
    for figure in made:
        before = copy.deepcopy(figure["layout"])
        big = slides.enlarged(figure)
        assert figure["layout"] == before, "the figure is shared with other pages"
        assert big["layout"]["xaxis"]["tickfont"]["size"] > 18
        assert [t.get("x") is None for t in big["data"]] == [t.get("x") is None for t in figure["data"]]
        assert big["layout"]["title"]["text"] == figure["layout"]["title"]["text"]
