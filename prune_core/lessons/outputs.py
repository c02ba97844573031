"""What cells put out, in the light form that pages draw and caches keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prune_core.figures.template import FONT
from prune_core.lessons.exercises import Answer
from prune_core.lessons.inside import ANSWER, TABLE

FIGURE = "application/vnd.plotly.v1+json"
MOST_TEXT = 20_000  # characters of what one cell prints; a page shows no more
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

Kind = Literal["figure", "table", "markdown", "latex", "html", "image", "text"]


@dataclass(frozen=True)
class Output:
    """One thing a cell shows. ``value``: a figure's data and layout, a table as ``inside`` writes it, or text."""

    kind: Kind
    value: Any

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.value) if isinstance(self.value, str) else len(json.dumps(self.value, default=str))


@dataclass(frozen=True)
class Trouble:
    """Why an execution ended early: the cell's index (None where it was none), and a sentence."""

    cell: int | None
    sentence: str
    lasting: bool = True  # whether the same would happen again


@dataclass(frozen=True)
class Shown:
    """All that one code cell gave."""

    outputs: tuple[Output, ...] = ()
    answers: tuple[tuple[str, Answer], ...] = ()

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(output.size for output in self.outputs)


def shown(outputs: Iterable[Mapping[str, Any]]) -> Shown:
    """The outputs of an executed cell, as nbformat has them, in the light form; errors are left out."""
    found: list[Output] = []
    answers: list[tuple[str, Answer]] = []
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream":
            text = _text(output.get("text", ""))
            if found and found[-1].kind == "text" and isinstance(found[-1].value, str):
                text = found.pop().value + text
            found.append(Output("text", text[:MOST_TEXT]))
        elif kind in ("execute_result", "display_data"):
            data = output.get("data", {})
            if ANSWER in data:
                said = data[ANSWER]
                answers.append((str(said["id"]), Answer(said["right"], str(said["why"]))))
            elif (light := _light(data)) is not None:
                found.append(light)
    return Shown(tuple(o for o in found if o.kind != "text" or o.value.strip()), tuple(answers))


def _light(data: Mapping[str, Any]) -> Output | None:
    """The richest form that a page can draw."""
    if FIGURE in data:
        figure = {"data": data[FIGURE].get("data", []), "layout": dict(data[FIGURE].get("layout", {}))}
        layout: dict[str, Any] = figure["layout"]
        meta = layout.get("meta")
        if _ours(layout.get("template")):
            # pages have it in both themes, and turn what says which one it was drawn in
            layout.pop("template", None)
            layout["meta"] = {"theme": "light", **(meta if isinstance(meta, Mapping) else {})}
        return Output("figure", figure)
    if TABLE in data:
        return Output("table", data[TABLE])
    for mime, kind in _KINDS.items():
        if mime in data:
            text = data[mime] if isinstance(data[mime], str) else "".join(data[mime])
            return Output(kind, _text(text)[:MOST_TEXT] if kind == "text" else text)
    return None


def _ours(look: Any) -> bool:
    """Whether a figure's template is the lab's."""
    try:
        return bool(look["layout"]["font"]["family"] == FONT)
    except (KeyError, TypeError):
        return False


_KINDS: dict[str, Kind] = {
    "text/markdown": "markdown",
    "image/png": "image",
    "text/html": "html",
    "text/latex": "latex",
    "text/plain": "text",
}


def _text(text: Any) -> str:
    return _COLOURS.sub("", text if isinstance(text, str) else "".join(text))
