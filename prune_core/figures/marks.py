"""Interventions on a chart: a dotted line at the first step that used the new value, with what was changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prune_core.figures.drawing import Plain
from prune_core.figures.palette import Palette
from prune_core.figures.words import number, percent

LABELLED = 4  # in words
ROWS = 2  # of labels above the plot
CHARACTER = 0.017  # a character's width as a share of a chart's, half a page wide
NEAR = 0.03  # changes of one setting closer than this share of the axis are one move of the hand
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


def mark_layout(marks: tuple[Mark, ...], colours: Palette, steps: int | None = None) -> Plain:
    """Shapes and labels for ``frame``: every change a line, the last few with words that do not cover each other.

    ``steps`` is how far the axis goes; by default as far as the last change.
    """
    shapes = [
        {
            "type": "line", "name": "intervention", "x0": m.step, "x1": m.step, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": colours.mark, "width": 1, "dash": "dot"}, "layer": "below",
        }
        for m in marks
    ]  # fmt: skip
    labels = [
        {
            "text": m.text, "x": m.step, "yref": "paper", "y": 1, "yanchor": "bottom",
            "xanchor": "left" if start >= m.step / far else "right", "xshift": 2 if start >= m.step / far else -2,
            "yshift": -14 * (1 + row), "showarrow": False, "font": {"size": 11, "color": colours.mark},
            "bgcolor": colours.background, "opacity": 0.9,
        }
        for m, row, start, far in _placed(marks, steps)
    ]  # fmt: skip
    return {"shapes": shapes, "annotations": labels}


def _placed(marks: tuple[Mark, ...], steps: int | None) -> list[tuple[Mark, int, float, float]]:
    """The newest changes with a row and a start (a share of the axis) for their words, where there is room."""
    far = float(steps or (marks[-1].step if marks else 1))
    placed: list[tuple[Mark, int, float, float]] = []
    taken: list[tuple[int, float, float]] = []
    for m in reversed(marks):
        if len(placed) == LABELLED:
            break
        at, wide = m.step / far, CHARACTER * len(m.text) + 0.01
        if any(o.field == m.field and abs(o.step - m.step) < NEAR * far for o, *_ in placed):
            continue
        start = at if at + wide <= 1 else at - wide
        row = next(
            (r for r in range(ROWS) if all(q != r or start >= e or start + wide <= s for q, s, e in taken)), None
        )
        if row is not None:
            placed.append((m, row, start, far))
            taken.append((row, start, start + wide))
    return placed[::-1]


def mark_words(marks: tuple[Mark, ...]) -> str:
    """The changes as a sentence for alt texts; empty without any."""
    if not marks:
        return ""
    return " Changed in mid-run: " + "; ".join(f"{m.text} from step {m.step}" for m in marks[-LABELLED:]) + "."
