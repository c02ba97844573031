"""The panel beside a lesson: widgets for its parameters, and how far the execution is; above it what can be taken."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from prune_core.lessons import Lesson, Parameter, Value, as_file
from prune_ui import lessons_state as state
from prune_ui.fields import log_options, number_label, plain, tidy

FEW = 4  # choices that stand side by side
STOPS = 100  # of a slider whose file names no step
NICE = (1.0, 2.0, 5.0, 10.0)


def widgets(lesson: Lesson) -> None:
    """A widget for each parameter; what is chosen is kept and the lesson is drawn anew."""
    chosen = state.values(lesson)
    for parameter in lesson.parameters:
        _widget(lesson, parameter, chosen[parameter.name])
    st.button(
        "Reset", key="lessons/reset", on_click=state.reset, args=(lesson,), icon=":material/undo:", type="tertiary",
        disabled=not state.changes(lesson), help="Back to the lesson's own values.",
    )  # fmt: skip


def progress(lesson: Lesson, view: state.View) -> None:
    """How far the execution is, in a place that is always as high: nothing jumps when it begins and ends."""
    now = view.now
    with st.container(key="lesson_progress", horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        if view.waiting:
            st.progress(now.done / max(now.total, 1), text=_how_far(view))
            st.button(
                "Stop", key="lessons/stop", on_click=state.stop, args=(lesson,), icon=":material/stop:",
                type="tertiary", help="Do not wait for these values.",
            )  # fmt: skip
        elif view.stopped:
            st.caption("Stopped. The outputs are of the values before.")
            st.button("Execute", key="lessons/again", on_click=state.again, icon=":material/play_arrow:")
        elif now.state == "failed":
            st.caption(":red[:material/error: An error stopped it; see the cell.]")
            if now.trouble is not None and not now.trouble.lasting:
                st.button("Try again", key="lessons/again", on_click=state.again, icon=":material/refresh:")
        else:
            st.caption(f":material/check: All cells executed in {max(now.seconds, 0.1):.1f} s.")


def tools(lesson: Lesson) -> None:
    """Back to the list, the code, and the notebook to take away."""
    with st.container(key="lesson_tools", horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            "All lessons", key="lessons/back", on_click=state.open_lesson, args=("",), icon=":material/arrow_back:",
            type="tertiary",
        )  # fmt: skip
        st.space("stretch")
        state.CODE.set(state.CODE.get())  # a widget's value is forgotten when the visitor looks at another page
        st.toggle("Show the code", key=state.CODE.name, help="Otherwise it stands behind a fold at each cell.")
        st.download_button(
            "Open in Jupyter", lambda: as_file(lesson, state.values(lesson)), f"{lesson.slug}.ipynb",
            "application/x-ipynb+json", key="lessons/notebook", icon=":material/book:", on_click="ignore",
            help="This lesson as a notebook with your values in it; it gives the same numbers.",
        )  # fmt: skip


def _how_far(view: state.View) -> str:
    now = view.now
    if now.state == "queued":
        return f"{view.ahead} before you" if view.ahead else "Next in line"
    return f"Cell {min(now.done + 1, now.total)} of {now.total}" if now.done else "Starting"


def _widget(lesson: Lesson, p: Parameter, value: Value) -> None:
    key = f"lessons/{lesson.slug}/{p.name}"
    label = plain(f"{p.label} ({p.unit})" if p.unit and p.unit not in p.label.lower().split() else p.label)
    more: dict[str, Any] = {"key": key, "help": _help(p), "on_change": _moved, "args": (lesson, p, key)}
    if p.kind == "bool":
        _show(key, value)
        st.toggle(label, bool(value), **more)
    elif p.choices:
        _show(key, value)
        if len(p.choices) <= FEW:
            st.segmented_control(label, p.choices, required=True, default=value, **more)
        else:
            st.selectbox(label, p.choices, p.choices.index(str(value)), **more)
    elif p.low is None or p.high is None:
        _show(key, value)
        number: Any = value
        st.number_input(label, value=number, step=1 if p.kind == "int" else None, **more)
    elif p.log:
        options = stops(p, float(value))
        nearest = min(options, key=lambda o: abs(math.log(o / float(value))))
        _show(key, nearest)
        st.select_slider(label, options, nearest, format_func=number_label, **more)
    else:
        step = p.step or slider_step(p)
        kind = int if p.kind == "int" else float
        _show(key, value)
        st.slider(label, kind(p.low), kind(p.high), kind(value), step=kind(step), format=_format(p, step), **more)


def stops(p: Parameter, value: float) -> list[float]:
    """Where a logarithmic slider stops: through the decades, its ends and the value among them."""
    assert p.low is not None and p.high is not None
    found = log_options((p.low, p.high), value, whole=p.kind == "int")
    found = [p.low, *(o for o in found if p.low < o < p.high), p.high]
    return [int(o) for o in found] if p.kind == "int" else found


def slider_step(p: Parameter) -> float:
    """A round step that makes about a hundred stops."""
    assert p.low is not None and p.high is not None
    raw = (p.high - p.low) / STOPS
    if p.kind == "int" and raw <= 1:
        return 1
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(n for n in NICE if n * power >= raw * (1 - 1e-9)) * power
    return max(1, round(step)) if p.kind == "int" else tidy(step)


def _format(p: Parameter, step: float) -> str:
    digits = 0 if p.kind == "int" else max(0, -math.floor(math.log10(step) + 1e-9))
    return f"%.{digits}f" if p.kind == "float" else "%d"


def _help(p: Parameter) -> str:
    """What it does, what is allowed, and the lesson's own value."""
    own: Any = p.default
    own = ("on" if own else "off") if isinstance(own, bool) else own if isinstance(own, str) else number_label(own)
    parts = [p.help, p.bounds if not p.choices else "", f"the lesson's own: {own}"]
    return plain(" ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part))


def _show(key: str, value: Any) -> None:
    """The widget shows what the page holds, whatever it showed before."""
    if st.session_state.get(key) != value or key not in st.session_state:
        st.session_state[key] = value


def _moved(lesson: Lesson, p: Parameter, key: str) -> None:
    value = st.session_state.get(key)
    if value is not None:
        state.put(lesson, p.name, tidy(value))
