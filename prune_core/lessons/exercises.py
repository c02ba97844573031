"""Exercises: a question in a markdown cell, and a ``check`` cell whose code works out what is right.

The fenced block ``lab`` in the question is YAML: ``id``, ``kind`` (choice, number or prediction), ``options``,
``unit``, ``low``, ``high``, ``hint``. The check cell defines ``answer_<id>`` and ``why_<id>``. A visitor's answer is
compared here, with what the notebook found: it is a value, and never code.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from pydantic import field_validator, model_validator

from prune_core.errors import ConfigError
from prune_core.settings import Settings, setting

CLOSE = 0.05  # a number is right within this share of the answer, where the check gives no range of its own
_BLOCK = re.compile(r"^```\s*lab[ \t]*\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


class Exercise(Settings):
    """One question. ``question`` is markdown without the block."""

    id: str = setting(help="Its name in the check cell.")
    kind: Literal["choice", "number", "prediction"] = setting(help="How it is answered.")
    question: str = setting(help="What is asked, in markdown.")
    options: tuple[str, ...] = setting((), help="What there is to choose from.")
    unit: str = setting("", help="What the number is counted in.")
    low: float | None = setting(None, help="The lowest number that can be given.")
    high: float | None = setting(None, help="The highest number that can be given.")
    hint: str = setting("", help="A sentence for those who are stuck.")

    @field_validator("options", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        # YAML reads `- 10` as a number and `- no` as False: what people choose from is text
        return tuple(str(v) for v in value) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _whole(self) -> Exercise:
        if not re.fullmatch(r"[A-Za-z_]\w*", self.id):
            raise ConfigError(
                f"Exercise id must be a name such as q1, as `answer_<id>` is a variable; got {self.id!r}."
            )
        if self.kind == "choice" and len(set(self.options)) < 2:
            raise ConfigError(f"Exercise {self.id}: a choice needs at least two different options.")
        if self.kind == "number" and self.options:
            raise ConfigError(f"Exercise {self.id}: options belong to a choice or a prediction, not to a number.")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ConfigError(f"Exercise {self.id}: low must be below high, got {self.low:g} and {self.high:g}.")
        return self


@dataclass(frozen=True)
class Answer:
    """What a check cell found: ``right`` is a text, a list of texts, a number, or a range of two numbers."""

    right: Any
    why: str


@dataclass(frozen=True)
class Verdict:
    """How a visitor's answer compares. ``sentence`` says what is right."""

    right: bool
    sentence: str


def parse_exercise(source: str) -> Exercise:
    """The exercise of a cell. Raises ConfigError saying what is missing or wrong."""
    blocks = list(_BLOCK.finditer(source))
    if len(blocks) != 1:
        raise ConfigError(f"An exercise cell needs one block ```lab with its settings, got {len(blocks)}.")
    try:
        body = yaml.safe_load(blocks[0]["body"])
    except yaml.YAMLError as error:
        raise ConfigError(f"The block ```lab of an exercise is not valid YAML: {error}") from None
    if not isinstance(body, dict):
        raise ConfigError("The block ```lab of an exercise must be `name: value` lines.")
    body = {str(k): v for k, v in body.items()}
    if "question" in body:
        raise ConfigError("The question stands outside the block ```lab, in the cell itself.")
    question = (source[: blocks[0].start()] + source[blocks[0].end() :]).strip()
    if not question:
        raise ConfigError("An exercise cell needs a question beside its block ```lab.")
    body["id"] = str(body.get("id", ""))
    return Exercise(question=question, **body)


def judge(exercise: Exercise, answer: Answer, given: str | float) -> Verdict:
    """Compare what a visitor said with what the notebook found."""
    right = answer.right
    if isinstance(given, str):
        wanted = [str(r) for r in right] if isinstance(right, list) else [str(right)]
        return Verdict(given in wanted, " or ".join(wanted))
    if isinstance(right, list) and len(right) == 2:
        low, high = sorted(float(r) for r in right)
        return Verdict(low <= given <= high, f"{_number(low)} to {_number(high)}{_unit(exercise)}")
    value = float(right)
    near = math.isclose(given, value, rel_tol=CLOSE, abs_tol=1e-12)
    return Verdict(near, f"{_number(value)}{_unit(exercise)}")


def check_answer(exercise: Exercise, right: Any) -> str:
    """What is wrong with a check cell's answer, in a sentence; empty where it fits the question."""
    if exercise.options:
        wanted = right if isinstance(right, list) else [right]
        strange = [w for w in wanted if str(w) not in exercise.options]
        return f"answer_{exercise.id} must be one of the options, got {strange[0]!r}." if strange else ""
    numbers = right if isinstance(right, list) and len(right) == 2 else [right]
    fine = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
    return "" if fine else f"answer_{exercise.id} must be a number or a range (low, high), got {right!r}."


def _number(value: float) -> str:
    return f"{value:.4g}"


def _unit(exercise: Exercise) -> str:
    return f" {exercise.unit}" if exercise.unit else ""
