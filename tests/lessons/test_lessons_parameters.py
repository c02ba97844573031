"""The cell tagged ``parameters``: what is read from it, and the sentence for each way to get it wrong."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from prune_core.errors import ConfigError
from prune_core.lessons import Parameter, parse_parameters
from prune_core.lessons.parameters import KINDS, check_values, text_of

EXAMPLE = """\
# what can be tried
threshold: float = 0.01    # Clip threshold α [0.0001 .. 1, log] (units): entries beyond ±α are cut

steps: int = 200           # Steps [50 .. 400, step 50] (steps): how often: each
strategy: str = "value"    # Strategy {value, norm}: how the gradient is limited
pruned: bool = False       # Prune as well: removes weights while it trains
"""


def test_the_convention_as_it_is_documented() -> None:
    threshold, steps, strategy, pruned = parse_parameters(EXAMPLE)
    assert threshold == Parameter(
        name="threshold", kind="float", default=0.01, label="Clip threshold α", low=0.0001, high=1, log=True,
        unit="units", help="entries beyond ±α are cut",
    )  # fmt: skip
    assert (steps.low, steps.high, steps.step, steps.unit) == (50, 400, 50, "steps")
    assert steps.help == "how often: each", "only the first colon separates"
    assert (strategy.choices, strategy.default, strategy.unit) == (("value", "norm"), "value", "")
    assert pruned == Parameter(
        name="pruned", kind="bool", default=False, label="Prune as well", help="removes weights while it trains"
    )


def test_papermill_reads_the_same_names_types_and_defaults() -> None:
    theirs = PythonTranslator.inspect({"source": EXAMPLE})
    ours = parse_parameters(EXAMPLE)
    assert [(p.name, p.inferred_type_name) for p in theirs] == [(p.name, p.kind) for p in ours]
    assert [eval(p.default) for p in theirs] == [p.default for p in ours]


WRONG = {
    "steps = 200  # Steps": "line 1: every line must be an assignment with a type",
    "import os": "line 1: every line must be",
    "steps: int = 200": "line 1, steps: a comment must say what it is",
    "\nsteps: int = 2.5  # Steps": "line 2, steps: the default must be an int, got 2.5",
    "steps: int = True  # Steps": "steps: the default must be an int, got True",
    "steps: int = 3 + len('x')  # Steps": "steps: the default must be a plain value",
    "steps: list = []  # Steps": "steps: the type must be int, float, bool or str, got list",
    "steps: int = 900  # Steps [50 .. 400] (steps)": "steps must be a whole number from 50 to 400 steps, got 900",
    "steps: int = 100  # Steps [400 .. 50]": "the lower bound must be below the upper one",
    "steps: int = 100  # Steps [50 .. 400.5]": "an int needs whole numbers",
    "steps: int = 100  # Steps [50 to 400]": r"bounds must be \[low .. high\]",
    "steps: int = 100  # Steps [50 .. 400, step 0]": "the step must be above 0",
    "steps: int = 100  # Steps [50 .. 400, by 10]": "after the bounds may stand",
    "rate: float = 0.1  # Rate [0 .. 1, log]": "log needs a lower bound above 0",
    "rate: float = 0.1  # Rate [.01 .. 1, log, step .1]": "log needs a lower bound above 0 and no step",
    "rate: float = 1e999  # Rate": "the default is not allowed",
    "way: str = 'value'  # Way": "a text needs its choices",
    "way: str = 'other'  # Way {value, norm}": "way must be one of value, norm, got 'other'",
    "way: str = 'value'  # Way {value}": "at least two different texts",
    "way: bool = True  # Way {a, b}": "only a str can have choices",
    "way: bool = True  # Way [0 .. 1]": "only int and float can have bounds",
    "lesson: int = 1  # Lesson [0 .. 2]": "this name is taken",
    "n: int = 1  # N [0 .. 2]\nn: int = 1  # N [0 .. 2]": "line 2, n: is there twice",
    "n: int = 1  # [0 .. 2]": "the comment must be",
    "n: int = (": "it is not valid Python",
    "n: int": "every line must be",
}


@pytest.mark.parametrize("source", WRONG)
def test_a_mistake_is_a_sentence_with_the_line_and_the_name(source: str) -> None:
    with pytest.raises(ConfigError, match=WRONG[source]) as caught:
        parse_parameters(source)
    assert str(caught.value).startswith("Parameter cell")


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_whatever_is_in_the_cell_is_read_or_refused_and_never_run(source: str) -> None:
    try:
        parse_parameters(source)
    except ConfigError as error:
        assert str(error)


words = st.text(string.ascii_letters + "αβ %/.", min_size=1, max_size=20).map(str.strip).filter(bool)
numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: float(f"{x:.6g}"))


@st.composite
def lines(draw: Any) -> tuple[str, dict[str, Any]]:
    """A line of a parameter cell and what it must be read as."""
    label, unit, help = draw(words), draw(st.just("") | words), draw(st.just("") | words)
    kind = draw(st.sampled_from(["int", "float", "bool", "str"]))
    wanted: dict[str, Any] = {"kind": kind, "label": label, "unit": unit, "help": help}
    middle = ""
    if kind in ("int", "float"):
        cast = KINDS[kind]
        low, default, high = sorted(draw(st.lists(numbers.map(cast), min_size=3, max_size=3, unique=True)))
        wanted |= {"low": low, "high": high, "default": default}
        middle = f"[{low!r} .. {high!r}]"
    elif kind == "str":
        choices = draw(st.lists(st.text(string.ascii_lowercase, min_size=1), min_size=2, max_size=4, unique=True))
        wanted |= {"choices": tuple(choices), "default": choices[-1]}
        middle = f"{{{', '.join(choices)}}}"
    else:
        wanted["default"] = draw(st.booleans())
    comment = " ".join(filter(None, [label, middle, f"({unit})" if unit else ""])) + (f": {help}" if help else "")
    return f"name: {kind} = {wanted['default']!r}  # {comment}", wanted


@settings(max_examples=60)
@given(lines())
def test_every_well_formed_line_is_read_as_it_was_meant(line: tuple[str, dict[str, Any]]) -> None:
    source, wanted = line
    (parameter,) = parse_parameters(source)
    assert {name: getattr(parameter, name) for name in wanted} == wanted
    default = parameter.default
    assert parameter.check(default) == default
    read = parameter.read(text_of(default))
    assert read == pytest.approx(default) if parameter.kind == "float" else read == default


def test_what_is_set_is_checked_again() -> None:
    parameters = parse_parameters(EXAMPLE)
    assert check_values(parameters, {"steps": 100.0}) == {
        "threshold": 0.01, "steps": 100, "strategy": "value", "pruned": False,
    }  # fmt: skip
    for wrong, sentence in {
        ("steps", 401): "steps must be a whole number from 50 to 400 steps, got 401",
        ("steps", 100.5): "a whole number",
        ("steps", "100; import os"): "a whole number",
        ("threshold", float("nan")): "a number from 0.0001 to 1 units, got nan",
        ("threshold", True): "a number",
        ("strategy", "__import__('os')"): "one of value, norm",
        ("pruned", 1): "true or false",
        ("other", 1): "There is no parameter 'other'",
    }.items():
        with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
            check_values(parameters, dict([wrong]))
