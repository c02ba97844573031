"""Interventions on a chart: a dotted line at the first step that used the new value, with what was changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prune_core.figures.drawing import Plain
from prune_core.figures.palette import Palette
from prune_core.figures.words import number, percent

LABELLED = 4  # more would cover each other
NAMES = {"clip_threshold": "threshold", "lr": "learning rate", "sparsity": "sparsity"}


class Intervention(Protocol):
    """What InterventionEvent has."""

    step: int
    field: str
    value: float


@dataclass(frozen=True)
class Mark:
    """One change in mid-run."""

    step: int
    field: str
    value: float

    @property
    def text(self) -> str:
        """What was changed, in words."""
        shown = percent(self.value, 0) if self.field == "sparsity" else number(self.value)
        return f"{NAMES.get(self.field, self.field)} {shown}"


def marks_of(given: Any) -> tuple[Mark, ...]:
    """From events, from mappings or from a DataFrame with step, field and value; None is none."""
    if given is None:
        return ()
    if hasattr(given, "to_dict"):
        given = given.to_dict("records")
    return tuple(_mark(item) for item in _each(given))


def _each(given: Iterable[Any]) -> Iterable[Any]:
    return given


def _mark(item: Any) -> Mark:
    if isinstance(item, Mapping):
        return Mark(int(item["step"]), str(item["field"]), float(item["value"]))
    return Mark(int(item.step), str(item.field), float(item.value))


def mark_layout(marks: tuple[Mark, ...], colours: Palette) -> Plain:
    """Shapes and labels for ``frame``: every change a line, the last few with words."""
    shapes = [
        {
            "type": "line", "name": "intervention", "x0": m.step, "x1": m.step, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": colours.mark, "width": 1, "dash": "dot"}, "layer": "below",
        }
        for m in marks
    ]  # fmt: skip
    labels = [
        {
            "text": m.text, "x": m.step, "yref": "paper", "y": 1, "yanchor": "bottom", "xanchor": "left", "xshift": -3,
            "yshift": -14 * (1 + i % 2), "showarrow": False, "font": {"size": 11, "color": colours.mark},
            "bgcolor": colours.background, "opacity": 0.9,
        }
        for i, m in enumerate(marks[-LABELLED:])
    ]  # fmt: skip
    return {"shapes": shapes, "annotations": labels}


def mark_words(marks: tuple[Mark, ...]) -> str:
    """The changes as a sentence for alt texts; empty without any."""
    if not marks:
        return ""
    return " Changed in mid-run: " + "; ".join(f"{m.text} from step {m.step}" for m in marks[-LABELLED:]) + "."
