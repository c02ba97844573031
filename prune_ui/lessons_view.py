"""The Lessons page: all lessons as cards, and one of them as a page that answers to its parameters."""

from __future__ import annotations

import streamlit as st

from prune_core.errors import LabError
from prune_core.lessons import Broken, Lesson, folder
from prune_ui import lessons_cells, lessons_exercises, lessons_panel, session
from prune_ui import lessons_state as state
from prune_ui.fields import plain
from prune_ui.session import Key

TICK_S = 0.3
COLUMNS = 3
WAITING: Key[bool] = Key("lessons/waiting", False)


def show() -> None:
    """Draw the page."""
    lesson = _chosen()
    if lesson is None:
        _list()
    else:
        st.fragment(_lesson, run_every=TICK_S if WAITING.get() else None)(lesson.slug, WAITING.get())


def _chosen() -> Lesson | None:
    slug = state.SLUG.get()
    if not slug:
        return None
    try:
        return folder().get(slug)
    except LabError as error:
        state.SAID.set((str(error),))
        state.SLUG.set("")
        return None


def _said() -> None:
    for sentence in state.SAID.pop():
        st.warning(plain(sentence), icon=":material/link_off:")


# --- all lessons ------------------------------------------------------------------------------------------------------
def _list() -> None:
    WAITING.set(False)
    state.leave()
    state.keep_link(None)
    st.title("Lessons", anchor=False)
    st.caption("Notebooks with sliders: change a value, and everything below is computed anew, for you alone.")
    _said()
    found = folder().all()
    lessons = [item for item in found if isinstance(item, Lesson)]
    if not found:
        st.info(
            "There is no lesson yet. Put a notebook into the lessons' folder, and it stands here.",
            icon=":material/school:",
        )
    for first in range(0, len(lessons), COLUMNS):
        for place, column in enumerate(st.columns(COLUMNS), first):
            if place < len(lessons):
                with column, st.container(border=True, height="stretch", key=f"lesson_card_{place}"):
                    _card(place + 1, lessons[place])
    for item in found:
        if isinstance(item, Broken):
            st.error(
                f"**{plain(item.slug)}** is not shown. {plain(item.sentence)} "
                f"`python -m prune_core lint-lesson {item.slug}.ipynb` says more.",
                icon=":material/broken_image:",
            )


def _card(number: int, lesson: Lesson) -> None:
    parts = [f"Lesson {number}", f"{lesson.minutes} min" if lesson.minutes else ""]
    n = len(lesson.exercises)
    parts.append(f"{n} question{'s' if n != 1 else ''}" if n else "")
    st.caption(" · ".join(filter(None, parts)))
    st.markdown(f"**{plain(lesson.title)}**")
    st.markdown(lesson.summary)
    st.space("stretch")
    st.button(
        "Open", key=f"lessons/open/{lesson.slug}", on_click=state.open_lesson, args=(lesson.slug,),
        icon=":material/menu_book:", width="stretch",
    )  # fmt: skip


# --- one lesson -------------------------------------------------------------------------------------------------------
def _lesson(slug: str, waiting: bool) -> None:
    lesson = _chosen()
    if lesson is None:  # its file went, or broke, a moment ago
        session.rerun()
    lessons_panel.tools(lesson)
    st.title(plain(lesson.title), anchor=False)
    _said()
    text, side = st.columns([2.1, 1], gap="large")
    with side, st.container(key="lesson_panel", border=True):
        bar = st.container()
        if lesson.parameters:
            with st.expander("Try other values", expanded=True, type="compact", key="lesson_values"):
                lessons_panel.widgets(lesson)
        view = state.look(lesson)
        with bar:
            lessons_panel.progress(lesson, view)
        right, questions = lessons_exercises.score(lesson, view)
        if questions:
            st.caption(f":material/quiz: {right} of {questions} questions answered rightly.")
    with text:
        if view.now.trouble is not None and view.now.trouble.cell is None:
            st.error(plain(view.now.trouble.sentence), icon=":material/error:")
        lessons_cells.cells(lesson, view)
    state.keep_link(lesson)
    if waiting != view.waiting or state.SLUG.get() != slug:
        WAITING.set(view.waiting)
        session.rerun()
