"""The cell tagged ``parameters``: one assignment a line, whose comment says what a widget has to know.

    threshold: float = 0.01    # Clip threshold α [0.0001 .. 1, log] (units): entries beyond ±α are cut
    steps: int = 200           # Steps [50 .. 400, step 50] (steps): how often the weights are updated
    strategy: str = "value"    # Strategy {value, norm}: how the gradient is limited
    pruned: bool = False       # Prune as well: removes weights while it trains

A comment is a label, then bounds or choices, a unit in parentheses, and after a colon what it means; all but the label
may be left out. The cell is read here and not run, and papermill reads it as well.
"""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from typing import Any, Literal

from pydantic import model_validator

from prune_core.errors import ConfigError
from prune_core.settings import Settings, setting

Value = int | float | bool | str
Kind = Literal["int", "float", "bool", "str"]
KINDS: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
RESERVED = ("lesson",)  # the URL's own
_COMMENT = re.compile(
    r"^(?P<label>[^\[\]{}():]+?)\s*"
    r"(?:\[(?P<bounds>[^\[\]]*)\]|\{(?P<choices>[^{}]*)\})?\s*"
    r"(?:\((?P<unit>[^()]*)\))?\s*"
    r"(?::\s*(?P<help>.*))?$"
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SPAN = re.compile(rf"^\s*(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})\s*(?P<more>(?:,[^,]*)*)$")


class Parameter(Settings):
    """One value that a visitor may set: what a widget shows, and what is allowed."""

    name: str = setting(help="The variable in the notebook.")
    kind: Kind = setting(help="Its type.")
    default: Value = setting(help="What stands in the notebook.")
    label: str = setting(help="Its name for people.")
    low: float | None = setting(None, help="The lowest allowed value.")
    high: float | None = setting(None, help="The highest allowed value.")
    step: float | None = setting(None, help="From one stop of the slider to the next.")
    log: bool = setting(False, help="Whether the slider is logarithmic.")
    choices: tuple[str, ...] = setting((), help="All allowed texts.")
    unit: str = setting("", help="What it is counted in.")
    help: str = setting("", help="What it does, in a sentence.")

    @model_validator(mode="before")
    @classmethod
    def _exact(cls, values: Any) -> Any:
        # pydantic's union would take True for 1 where the type says float
        if isinstance(values, dict) and values.get("kind") == "float" and type(values.get("default")) is int:
            values = {**values, "default": float(values["default"])}
        return values

    @property
    def bounds(self) -> str:
        """What is allowed, in words; empty where anything is."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"from {self.low:g} to {self.high:g}" if self.low is not None else ""

    def check(self, value: Any) -> Value:
        """``value`` as the notebook gets it. Raises ConfigError naming the parameter, what is allowed, the value."""
        held = self._cast(value)
        if held is None or (self.choices and held not in self.choices) or not self._within(held):
            what = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}[self.kind]
            what = self.bounds if self.choices else f"{what} {self.bounds}".rstrip()
            unit = f" {self.unit}" if self.unit and not self.choices else ""
            raise ConfigError(f"{self.name} must be {what}{unit}, got {value!r}.")
        return held

    def read(self, text: str) -> Value:
        """The value that a link's ``text`` means. Raises ConfigError as ``check`` does."""
        if self.kind == "bool":
            return self.check({"true": True, "false": False}.get(text.lower(), text))
        if self.kind == "str":
            return self.check(text)
        try:
            number = float(text)
        except ValueError:
            return self.check(text)
        return self.check(int(number) if self.kind == "int" and number.is_integer() else number)

    def _cast(self, value: Any) -> Value | None:
        if self.kind == "bool" or isinstance(value, bool):
            return value if self.kind == "bool" and isinstance(value, bool) else None
        if self.kind == "str":
            return value if isinstance(value, str) else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None
        if self.kind == "float":
            return float(value)
        return int(value) if float(value).is_integer() else None

    def _within(self, value: Value) -> bool:
        if self.low is None or self.high is None or isinstance(value, str | bool):
            return True
        return self.low <= value <= self.high


def text_of(value: Value) -> str:
    """A value as a link says it."""
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:.12g}" if isinstance(value, float) else str(value)
    )


def parse_parameters(source: str) -> tuple[Parameter, ...]:
    """The parameters of a cell, in order. Raises ConfigError naming the line, the parameter, and what is wrong."""
    try:
        tree = ast.parse(source)
        comments = _comments(source)
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(
            f"Parameter cell{f', line {line}' if line else ''}: it is not valid Python: {getattr(error, 'msg', error)}."
        ) from None
    found: dict[str, Parameter] = {}
    for node in tree.body:
        parameter = _parameter(node, comments)
        if parameter.name in found:
            raise _wrong(node, parameter.name, "is there twice; give each name once")
        found[parameter.name] = parameter
    return tuple(found.values())


def check_values(parameters: tuple[Parameter, ...], values: dict[str, Any]) -> dict[str, Value]:
    """All parameters' values, the default where none is given. Raises ConfigError for a wrong or an unknown one."""
    names = [p.name for p in parameters]
    for name in values:
        if name not in names:
            raise ConfigError(f"There is no parameter {name!r} in this lesson; it has {', '.join(names) or 'none'}.")
    return {p.name: p.check(values.get(p.name, p.default)) for p in parameters}


def _comments(source: str) -> dict[int, str]:
    """The comment of each line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(node: ast.stmt, comments: dict[int, str]) -> Parameter:
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        raise _wrong(node, "", "every line must be an assignment with a type, such as `steps: int = 200  # Steps`")
    name = node.target.id
    kind: Any = node.annotation.id if isinstance(node.annotation, ast.Name) else ast.unparse(node.annotation)
    if kind not in KINDS:
        raise _wrong(node, name, f"the type must be int, float, bool or str, got {kind}")
    if name in RESERVED or name.startswith("_"):
        raise _wrong(node, name, "this name is taken: a link needs it; choose another")
    try:
        default: Any = ast.literal_eval(node.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _wrong(node, name, f"the default must be a plain value, got `{ast.unparse(node.value)}`") from None
    if type(default) is not KINDS[kind] and not (kind == "float" and type(default) is int):
        raise _wrong(node, name, f"the default must be {'an' if kind == 'int' else 'a'} {kind}, got {default!r}")
    comment = comments.get(node.end_lineno or node.lineno, "")
    if not comment:
        raise _wrong(node, name, "a comment must say what it is, such as `# Steps [50 .. 400]`")
    match = _COMMENT.match(comment)
    if match is None:
        raise _wrong(
            node, name,
            f"the comment must be `Label [low .. high] (unit): help` or `Label {{a, b}}: help`, got {comment!r}",
        )  # fmt: skip
    given: dict[str, Any] = {
        "default": default,
        "label": match["label"],
        "unit": (match["unit"] or "").strip(),
        "help": (match["help"] or "").strip(),
    }
    if match["choices"] is not None:
        given |= _choices(node, name, kind, match["choices"])
    elif kind == "str":
        # what a visitor types freely would reach code that was written without a thought of it
        raise _wrong(node, name, "a text needs its choices, such as `{value, norm}`")
    if match["bounds"] is not None:
        given |= _bounds(node, name, kind, match["bounds"])
    try:
        parameter = Parameter(name=name, kind=kind, **given)
        parameter.check(default)
    except ConfigError as error:
        raise _wrong(node, name, f"the default is not allowed: {error}".rstrip(".")) from None
    return parameter


def _choices(node: ast.stmt, name: str, kind: str, text: str) -> dict[str, Any]:
    choices = tuple(part.strip().strip("\"'") for part in text.split(","))
    if kind != "str":
        raise _wrong(node, name, f"only a str can have choices in braces, this is {kind}")
    if len(choices) < 2 or not all(choices) or len(set(choices)) < len(choices):
        raise _wrong(node, name, f"choices must be at least two different texts, got {{{text}}}")
    return {"choices": choices}


def _bounds(node: ast.stmt, name: str, kind: str, text: str) -> dict[str, Any]:
    match = _SPAN.match(text)
    if kind not in ("int", "float"):
        raise _wrong(node, name, f"only int and float can have bounds in brackets, this is {kind}")
    if match is None:
        raise _wrong(node, name, f"bounds must be [low .. high], perhaps with `, step s` or `, log`, got [{text}]")
    low, high = float(match["low"]), float(match["high"])
    found: dict[str, Any] = {"low": low, "high": high}
    for part in filter(None, (p.strip() for p in match["more"].split(","))):
        step = re.fullmatch(rf"step\s+({_NUMBER})", part)
        if part == "log":
            found["log"] = True
        elif step is not None:
            found["step"] = float(step[1])
        else:
            raise _wrong(node, name, f"after the bounds may stand `step s` or `log`, got {part!r}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise _wrong(node, name, f"the lower bound must be below the upper one, got [{low:g} .. {high:g}]")
    if found.get("log") and (low <= 0 or "step" in found):
        raise _wrong(node, name, f"log needs a lower bound above 0 and no step, got [{text}]")
    if "step" in found and not 0 < found["step"] <= high - low:
        raise _wrong(node, name, f"the step must be above 0 and at most {high - low:g}, got {found['step']:g}")
    if kind == "int" and not all(v.is_integer() for v in (low, high, found.get("step", 1.0))):
        raise _wrong(node, name, f"an int needs whole numbers as bounds and step, got [{text}]")
    return found


def _wrong(node: ast.stmt, name: str, sentence: str) -> ConfigError:
    return ConfigError(f"Parameter cell, line {node.lineno}{f', {name}' if name else ''}: {sentence}.")
