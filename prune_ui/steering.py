"""Sliders that act on what goes on, the same for a run and for a race: no slider jumps back, none is pulled away."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from prune_core.errors import LabError
from prune_core.events import InterventionField
from prune_core.settings import FieldSpec
from prune_ui.fields import field_help, log_options, number_label, slider_span
from prune_ui.session import Key

PATIENCE_S = 5.0  # until what was asked for has to be in use
Asked = dict[str, dict[InterventionField, tuple[float, float]]]  # by run or race: value, and when


@dataclass(frozen=True)
class Moves:
    """Tells a visitor's moves of a slider from a browser's reports of the page's own.

    Sooner or later a browser reports where the page has put a slider, and where it stood before: ``at`` and ``due``.
    Neither is anybody's wish. What was due is so once (then it is ``spent``): a visitor may want that very value.
    """

    at: float = math.nan
    due: tuple[float, ...] = ()
    spent: tuple[float, ...] = ()

    def put(self, value: float, before: float) -> Moves:
        """The page has put the slider at ``value``."""
        known = _among(before, (value, *self.due, *self.spent))
        return Moves(value, self.due if known else (*self.due, before), self.spent)

    def reported(self, value: float) -> tuple[bool, Moves]:
        """Whether a report is a visitor's move, and what holds after it."""
        if _among(value, (self.at,)):
            return False, self
        if _among(value, self.due):
            return False, Moves(self.at, tuple(v for v in self.due if not _among(v, (value,))), (*self.spent, value))
        return True, Moves(value)


MOVES: Key[dict[str, Moves]] = Key("steering/moves", {})  # by slider


def _among(value: float, values: tuple[float, ...]) -> bool:
    return any(math.isclose(value, one, rel_tol=1e-6, abs_tol=1e-12) for one in values)


def act(action: Callable[[], object], said: Key[str]) -> bool:
    """Do it; a LabError becomes the sentence ``said``. Returns whether it went well."""
    try:
        action()
    except LabError as error:
        said.set(str(error))
        return False
    return True


def ask(asked: Key[Asked], of: str, field: InterventionField, value: float) -> None:
    """Note that ``value`` was asked for just now."""
    asked.set({of: {**asked.get().get(of, {}), field: (value, time.monotonic())}})


def wanted(
    asked: Key[Asked], of: str, values: Mapping[InterventionField, float], *, paused: bool
) -> dict[InterventionField, float]:
    """``values``, those in force, with what was asked for and is not yet used; while paused nothing is too late."""
    open_ = {
        field: (value, at)
        for field, (value, at) in asked.get().get(of, {}).items()
        if field in values
        and not math.isclose(values[field], value, rel_tol=1e-6)
        and (paused or time.monotonic() - at < PATIENCE_S)
    }
    asked.set({of: open_})
    return {**values, **{field: value for field, (value, _) in open_.items()}}


def slider(
    key: str, label: str, spec: FieldSpec, value: float, changed: Callable[[float], object], *, disabled: bool
) -> None:
    """Draw a slider of a setting at ``value``; ``changed`` gets what it is moved to."""
    span = slider_span(spec)
    if span is None:
        return
    options = log_options(span, value) if spec.log else []
    if spec.log:
        shown = min(options, key=lambda o: abs(math.log(o / value)))
    else:
        shown = min(max(round(value, 4), span[0]), span[1])
    before = st.session_state.get(key, shown)
    # only where it differs: what is set anew every half second would pull the slider out of a dragging hand
    if key not in st.session_state or not math.isclose(before, shown, rel_tol=1e-9):
        st.session_state[key] = shown
        MOVES.set({**MOVES.get(), key: MOVES.get().get(key, Moves()).put(shown, before)})

    def moved() -> None:
        value = float(st.session_state[key])
        meant, moves = MOVES.get().get(key, Moves()).reported(value)
        MOVES.set({**MOVES.get(), key: moves})
        if meant:
            changed(value)

    look: dict[str, Any] = {"key": key, "on_change": moved, "help": field_help(spec), "disabled": disabled}
    # shown is the default, too: a browser that missed the run in which it was set would report the slider's lower end
    if spec.log:
        st.select_slider(label, options, shown, format_func=number_label, **look)
    else:
        st.slider(label, *span, shown, step=0.01, format="percent" if span[1] <= 1 else "%g", **look)


def spec_of(part: Any, name: str) -> FieldSpec:
    """The field of a part by its dotted name."""
    *members, name = name.split(".")
    for member in members:
        part = getattr(part, member)
    return next(spec for spec in part.fields() if spec.name == name)
