"""The Methods page without a browser: everything that is registered is there, and a search finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.clipping import ClipStrategy
from prune_core.pruning import Criterion, Granularity, Regrowth, Schedule
from prune_ui.methods_pictures import picture
from prune_ui.methods_view import FAMILIES, matching

PAGE = str(Path(__file__).resolve().parents[2] / "pages" / "methods.py")
ENTRIES = [(family, entry) for family in FAMILIES for entry in family.base.registry]


def opened(**link: str) -> AppTest:
    page = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def titles(page: AppTest) -> list[str]:
    return [m.value.strip("*") for m in page.markdown if m.value.startswith("**")]


def test_everything_that_is_registered_stands_there_once() -> None:
    page = opened()
    assert sorted(titles(page)) == sorted(entry.label for _, entry in ENTRIES)
    assert {ClipStrategy, Criterion, Granularity, Schedule, Regrowth} == {family.base for family in FAMILIES}
    latex = [x.value.strip("$\n") for x in page.latex]
    assert len(latex) == sum(bool(entry.formula) for _, entry in ENTRIES)
    codes = [c.value for c in page.code]
    assert len(codes) == len(ENTRIES)


@pytest.mark.parametrize("code", [c.value for c in opened().code])
def test_the_code_makes_it(code: str) -> None:
    assert eval(code, {"pc": pc}) is not None


@pytest.mark.parametrize(("family", "entry"), ENTRIES, ids=lambda x: getattr(x, "name", ""))
def test_each_has_a_picture_in_words_too(family: object, entry: object) -> None:
    drawn = picture(entry.cls)  # type: ignore[attr-defined]
    assert drawn.words.endswith(".")
    assert drawn.svg.count("<rect") + drawn.svg.count("<polyline") >= 1


def test_a_method_that_cannot_be_drawn_says_why() -> None:
    class Picky(Criterion):
        """Wants what is not there."""

        def score(self, at: pc.Evidence) -> dict[str, object]:  # type: ignore[override]
            raise pc.ConfigError("Picky wants a convolution.")

    assert picture(Picky).svg == ""
    assert picture(Picky).words == "No picture: Picky wants a convolution."


def test_a_search_narrows_and_stands_in_the_url() -> None:
    page = opened()
    page.text_input[0].set_value("han 2015").run()
    assert not page.exception
    assert set(titles(page)) == {e.label for f in FAMILIES for e in matching(f, "han 2015")}
    assert "Magnitude" in titles(page)
    assert page.query_params["find"] in ("han 2015", ["han 2015"])
    page.text_input[0].set_value("no such thing").run()
    assert titles(page) == []
    assert "no such thing" in page.info[0].value


def test_a_link_opens_a_family_and_a_wrong_one_opens_all() -> None:
    assert titles(opened(family="regrowth")) == [e.label for e in Regrowth.registry]
    assert len(titles(opened(family="cookery"))) == len(ENTRIES)


def test_sources_are_links() -> None:
    captions = " ".join(c.value for c in opened(find="wanda").caption)
    assert "[arXiv:2306.11695](https://arxiv.org/abs/2306.11695)" in captions
