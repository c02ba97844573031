"""Predict first: the visitor marks a guess before a result is shown, and sees both side by side afterwards.

What one has guessed one remembers; what one was only told one does not. A guess stays for the session and is sent
nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from prune_core.errors import ConfigError
from prune_core.figures.palette import Idea
from prune_core.figures.words import number, percent
from prune_ui.session import Key

Guess = float | str
_GUESSES: Key[dict[str, Guess]] = Key("predict/guesses", {})


@dataclass(frozen=True)
class Question:
    """What is asked. A choice among ``options``, or without them a share in [0, 1] on a slider.

    ``key`` names it in the session; ``idea`` gives the measured bar its colour.
    """

    key: str
    text: str
    options: tuple[str, ...] = ()
    idea: Idea = "baseline"
    start: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.start <= 1:
            raise ConfigError(f"start must be a share in [0, 1], got {self.start}.")


@dataclass(frozen=True)
class Answer:
    """What was measured: a share in [0, 1] or one of the options, and the sentence that says how."""

    truth: Guess
    words: str


def guessed(question: Question) -> Guess | None:
    """The visitor's guess; None before there is one."""
    return _GUESSES.get().get(question.key)


def forget(keys: Sequence[str] = ()) -> None:
    """Take guesses back; all of them without ``keys``."""
    _GUESSES.set({k: v for k, v in _GUESSES.get().items() if keys and k not in keys})


def ask(question: Question, *, primary: bool = False) -> Guess | None:
    """Draw the question until it is answered; returns the guess, None before.

    ``primary``: to guess is what the visitor should do next, and the button looks it.
    """
    if (guess := guessed(question)) is not None:
        return guess
    widget = f"predict/{question.key}"
    with st.container(key=f"predict_{question.key.replace('/', '_')}"):
        if question.options:
            value: Guess | None = st.radio(
                question.text, list(question.options), index=None, key=widget, horizontal=True
            )
        else:
            value = st.slider(
                question.text, 0, 100, round(100 * question.start), key=widget, format="%d %%", width=420
            ) / 100  # fmt: skip
        st.button(
            "That is my guess", key=f"{widget}/done", icon=":material/lock:", disabled=value is None,
            on_click=_keep, args=(question.key, value), type="primary" if primary else "secondary",
        )  # fmt: skip
    return None


def _keep(key: str, value: Guess) -> None:
    _GUESSES.set({**_GUESSES.get(), key: value})


def beside(question: Question, guess: Guess, answer: Answer) -> None:
    """Draw guess and measurement side by side, and the sentence."""
    st.html(html(question, guess, answer))


def html(question: Question, guess: Guess, answer: Answer) -> str:
    """The same as HTML: two bars to one scale with their numbers, or two words."""
    shares = None if isinstance(guess, str) or isinstance(answer.truth, str) else (guess, answer.truth)
    words = f"<p>{escape(verdict(guess, answer))} {escape(answer.words)}</p>"
    return pair(_said(guess), _said(answer.truth), question.idea, shares=shares, below=words)


def pair(
    guess: str,
    truth: str,
    idea: Idea = "baseline",
    *,
    shares: tuple[float, float] | None = None,
    found: str = "Measured",
    below: str = "",
) -> str:
    """A guess and what was found as two rows of HTML, with bars where both are ``shares`` of one scale, in [0, 1].

    ``found`` is what the second row is called; ``below`` is HTML of the caller's own.
    """
    own, measured = shares or (None, None)
    rows = _row("Your guess", guess, "guess", own) + _row(found, truth, idea, measured)
    return f'<div class="lab-guess">{rows}{below}</div>'


def _said(value: Guess) -> str:
    return value if isinstance(value, str) else percent(value)


def verdict(guess: Guess, answer: Answer) -> str:
    """How near the guess was, in a few words."""
    truth = answer.truth
    if isinstance(guess, str) or isinstance(truth, str):
        return "As you said." if guess == truth else "Not what you said."
    apart = abs(guess - truth)
    if apart <= 0.02:
        return "You had it."
    return f"You were {number(100 * apart, 2)} points {'above' if guess > truth else 'below'} it."


def _row(label: str, text: str, kind: str, share: float | None) -> str:
    bar = ""
    if share is not None:
        bar = f'<i aria-hidden="true"><i style="width:{100 * min(max(share, 0.0), 1.0):.2f}%"></i></i>'
    return f'<div class="lab-guess-row {kind}"><span>{escape(label)}</span>{bar}<b>{escape(text)}</b></div>'
