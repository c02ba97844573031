"""Predict first: nothing is shown before the guess, and guess and measurement stand to one scale."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from prune_core.errors import ConfigError
from prune_ui import predict
from prune_ui.predict import Answer, Question


def script() -> None:
    from prune_ui import predict
    from prune_ui.predict import Answer, Question

    question = Question("test/share", "How many?", idea="clipping")
    guess = predict.ask(question)
    if guess is not None:
        predict.beside(question, guess, Answer(0.25, "Measured over 3 runs."))
    word = Question("test/word", "Which?", ("none", "half"))
    said = predict.ask(word)
    if said is not None:
        predict.beside(word, said, Answer("none", "Counted."))


def test_a_share_is_guessed_once_and_then_stands_beside_the_measurement() -> None:
    page = AppTest.from_function(script).run()
    assert not page.exception and "Measured" not in str(page.main)
    page.slider[0].set_value(80).run()
    assert "Measured" not in str(page.main), "moving the slider is not yet a guess"
    page.button(key="predict/test/share/done").click().run()
    assert not page.slider, "it cannot be guessed again"
    assert len(page.button) == 1


def test_a_choice_has_no_answer_chosen_beforehand() -> None:
    page = AppTest.from_function(script).run()
    assert page.radio[0].value is None
    assert page.button(key="predict/test/word/done").disabled
    page.radio[0].set_value("half").run()
    page.button(key="predict/test/word/done").click().run()
    assert not page.radio


def test_both_bars_are_as_long_as_their_numbers() -> None:
    html = predict.html(Question("k", "?", idea="pruning"), 0.8, Answer(0.25, "Over <3> seeds."))
    assert re.findall(r"width:([\d.]+)%", html) == ["80.00", "25.00"]
    assert "80.0\u00a0%" in html and "25.0\u00a0%" in html
    assert 'lab-guess-row pruning"><span>Measured' in html
    assert "Over &lt;3&gt; seeds." in html


@pytest.mark.parametrize(
    ("guess", "truth", "words"),
    [
        (0.5, 0.5, "You had it."),
        (0.5, 0.3, "You were 20 points above it."),
        (0.1, 0.925, "You were 82 points below it."),
        ("none", "none", "As you said."),
        ("half", "none", "Not what you said."),
    ],
)
def test_how_near_it_was(guess: predict.Guess, truth: predict.Guess, words: str) -> None:
    assert predict.verdict(guess, Answer(truth, "")) == words


def test_a_start_out_of_bounds_is_named() -> None:
    with pytest.raises(ConfigError, match=r"start .* \[0, 1\], got 1.5"):
        Question("k", "?", start=1.5)
