"""Exercises: a question, a widget for the answer, and what the notebook found. No code of visitors is executed."""

from __future__ import annotations

import streamlit as st

from prune_core.figures.words import count
from prune_core.lessons import Answer, Cell, Exercise, Lesson, judge
from prune_ui import lessons_state as state
from prune_ui import predict
from prune_ui.fields import plain

MARKS = {"choice": "Question", "number": "Question", "prediction": "Prediction"}


def show(lesson: Lesson, exercise: Exercise, view: state.View) -> None:
    """Draw one question and, once it is answered, how the answer compares."""
    with st.container(border=True, key=f"lesson_exercise_{exercise.id}"):
        st.caption(f":material/help: {MARKS[exercise.kind]}")
        st.markdown(exercise.question)
        _widget(lesson, exercise, _answered(lesson, exercise))
        _verdict(lesson, exercise, view)


def hidden(lesson: Lesson) -> dict[int, Exercise]:
    """Cells that wait for a prediction, by index: it has neither been made nor been waived."""
    shown = state.REVEALED.get()
    return {
        index: exercise
        for index, exercise in lesson.covered.items()
        if _answered(lesson, exercise) is None and _name(lesson, exercise) not in shown
    }


def cover(lesson: Lesson, exercise: Exercise, cell: Cell) -> None:
    """What stands in the place of an outcome until somebody has said what they expect."""
    with st.container(
        border=True, key=f"lesson_cover_{cell.index}", horizontal=True, vertical_alignment="center", gap="small"
    ):
        st.caption(
            ":material/visibility_off: Guess first; the outcome is shown when you have.", width="content"
        )  # fmt: skip
        st.button(
            "Show without guessing", key=f"lessons/{lesson.slug}/uncover/{cell.index}", type="tertiary",
            icon=":material/visibility:", on_click=_reveal, args=(lesson, exercise),
        )  # fmt: skip


def show_check(lesson: Lesson, cell: Cell, view: state.View) -> None:
    """The code that found the answer, once it is no secret any more; an error of it at any time."""
    trouble = view.now.trouble
    if trouble is not None and trouble.cell == cell.index:
        st.error(plain(trouble.sentence), icon=":material/error:")
    above = [c.exercise for c in lesson.cells if c.exercise is not None and c.index < cell.index]
    if above and _known(lesson, above[-1], view):
        with st.expander("How the answer was found", type="compact", key=f"lesson_code_{cell.index}"):
            st.code(cell.source, language="python", wrap_lines=True)


def score(lesson: Lesson, view: state.View) -> tuple[int, int]:
    """How many questions are answered rightly, and how many there are."""
    right = 0
    for exercise in lesson.exercises:
        given, answer = _answered(lesson, exercise), _answer(exercise, view)
        right += given is not None and answer is not None and judge(exercise, answer, given).right
    return right, len(lesson.exercises)


def _widget(lesson: Lesson, exercise: Exercise, given: str | float | None) -> None:
    key = f"lessons/{lesson.slug}/answer/{exercise.id}"
    with st.form(f"{key}/form", border=False, clear_on_submit=False):
        if exercise.options:
            place = exercise.options.index(given) if given in exercise.options else None
            st.radio("Your answer", exercise.options, place, key=key, label_visibility="collapsed")
        else:
            label = f"Your answer ({plain(exercise.unit)})" if exercise.unit else "Your answer"
            st.number_input(
                label, exercise.low, exercise.high, given if isinstance(given, float) else None,
                key=key, format="%g", width=240, placeholder=_span(exercise),
            )  # fmt: skip
        pressed = st.form_submit_button(
            "Check" if exercise.kind != "prediction" else "That is my prediction",
            on_click=_answer_with, args=(lesson, exercise, key),
        )  # fmt: skip
    if pressed and st.session_state.get(key) is None:
        st.caption("Choose an answer first." if exercise.options else "Type a number first.")


def _answer_with(lesson: Lesson, exercise: Exercise, key: str) -> None:
    """Keep what was said; before the page is drawn, so that all of it knows."""
    said = st.session_state.get(key)
    if said is not None:
        answers = dict(state.GIVEN.get().get(lesson.slug, {}))
        answers[exercise.id] = said if isinstance(said, str) else float(said)
        state.GIVEN.set({**state.GIVEN.get(), lesson.slug: answers})


def _verdict(lesson: Lesson, exercise: Exercise, view: state.View) -> None:
    given = _answered(lesson, exercise)
    if given is None:
        if exercise.hint:
            with st.expander("Hint", type="compact", key=f"lesson_hint_{exercise.id}"):
                st.markdown(exercise.hint)
        return
    answer = _answer(exercise, view)
    if answer is None:
        st.caption(":material/hourglass: Your answer is kept; the notebook still works out the right one.")
        return
    verdict = judge(exercise, answer, given)
    why = f" {answer.why}" if answer.why else ""
    if exercise.kind == "prediction":
        st.html(_beside(exercise, given, answer, verdict.sentence))
        (st.success if verdict.right else st.info)(
            f"{'As you said.' if verdict.right else 'Not what you said.'}{why}",
            icon=":material/check:" if verdict.right else ":material/info:",
        )
    elif verdict.right:
        st.success(f"**Right:** {plain(verdict.sentence)}.{why}", icon=":material/check:")
    elif _name(lesson, exercise) in state.REVEALED.get():
        st.info(f"The answer is **{plain(verdict.sentence)}**.{why}", icon=":material/info:")
    else:
        hint = f" {exercise.hint}" if exercise.hint else ""
        st.warning(f"**Not that.**{hint}", icon=":material/close:")
        st.button(
            "Show the answer", key=f"lessons/{lesson.slug}/show/{exercise.id}", type="tertiary",
            icon=":material/visibility:", on_click=_reveal, args=(lesson, exercise),
        )  # fmt: skip


def _beside(exercise: Exercise, given: str | float, answer: Answer, found: str) -> str:
    """The guess and what was found, one below the other; numbers between two bounds with bars."""
    if isinstance(given, str):
        return predict.pair(given, found, found="Found")
    low, high = exercise.low, exercise.high
    shares = None
    if low is not None and high is not None:
        right = answer.right if isinstance(answer.right, list) else [answer.right]
        shares = ((given - low) / (high - low), (sum(map(float, right)) / len(right) - low) / (high - low))
    own = f"{given:g}{f' {exercise.unit}' if exercise.unit else ''}"
    return predict.pair(own, found, shares=shares, found="Found")


def _answered(lesson: Lesson, exercise: Exercise) -> str | float | None:
    return state.GIVEN.get().get(lesson.slug, {}).get(exercise.id)


def _answer(exercise: Exercise, view: state.View) -> Answer | None:
    """What the notebook found; also before the end, and while new values are executed what the old ones gave."""
    found = {id: answer for shown in view.cells.values() for id, answer in shown.answers}
    return found.get(exercise.id)


def _known(lesson: Lesson, exercise: Exercise, view: state.View) -> bool:
    given, answer = _answered(lesson, exercise), _answer(exercise, view)
    if given is None or answer is None:
        return False
    revealed = _name(lesson, exercise) in state.REVEALED.get()
    return exercise.kind == "prediction" or revealed or judge(exercise, answer, given).right


def _reveal(lesson: Lesson, exercise: Exercise) -> None:
    state.REVEALED.set(state.REVEALED.get() | {_name(lesson, exercise)})


def _name(lesson: Lesson, exercise: Exercise) -> str:
    return f"{lesson.slug}/{exercise.id}"


def _span(exercise: Exercise) -> str:
    if exercise.low is not None and exercise.high is not None:
        return " to ".join(f"{n:g}" if abs(n) < 1000 or n % 1 else count(n) for n in (exercise.low, exercise.high))
    return "a number"
