"""The glossary: every word a page shows is explained, and the pop-ups are found by their buttons."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from prune_core.errors import UnknownNameError
from prune_ui import glossary

ROOT = Path(__file__).resolve().parents[2]


def test_every_word_says_something_and_points_only_at_words() -> None:
    found = glossary.words()
    assert list(found) == sorted(found, key=str.lower)
    for entry in found.values():
        assert entry.says.endswith((".", ")")), entry.name
        assert set(entry.see) <= set(found), entry.name
        assert entry.name not in entry.see, entry.name
    assert len({entry.anchor for entry in found.values()}) == len(found), "each pop-up has an id of its own"


def test_the_words_of_a_page_are_in_the_glossary_and_no_page_is_forgotten() -> None:
    pages = {path.stem for path in (ROOT / "pages").glob("*.py")}
    assert set(glossary.WORDS) <= pages | {"race", "clipping", "claims"}
    assert pages - set(glossary.WORDS) <= {"present", "glossary"}
    for names in glossary.WORDS.values():
        assert set(names) <= set(glossary.words())


def test_each_button_opens_its_own_note() -> None:
    html = glossary.row(("cosine", "N:M sparsity"))
    targets = re.findall(r'popovertarget="([^"]+)"', html)
    assert targets == ["lab-word-cosine", "lab-word-n-m-sparsity"]
    assert re.findall(r'popover id="([^"]+)"', html) == targets
    assert glossary.word("cosine").says in html


def test_an_unknown_word_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sparsity'"):
        glossary.word("sparcity")


def test_the_page_finds_words_by_what_they_say() -> None:
    page = AppTest.from_file(str(ROOT / "pages" / "glossary.py")).run()
    assert len([m for m in page.markdown if m.value.startswith("**")]) == len(glossary.words())
    page.text_input[0].set_value("pascanu").run()
    assert [m.value for m in page.markdown if m.value.startswith("**")] == [
        "**exploding gradients**",
        "**norm clipping**",
    ]
    page.text_input[0].set_value("no such word").run()
    assert page.info and not page.exception
