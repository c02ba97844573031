"""The guided tour: a panel that walks through the pages, sets their real controls, and asks before it shows.

A step is a page, what its link says (so that the page's own widgets stand where the step wants them), a text and often
a question. Nothing here knows how a page works inside: the tour follows links as a visitor could. The number of the
step stands in the link as ``tour``, so that a refresh or a copied link comes back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import streamlit as st

from prune_core.errors import LabError
from prune_ui import predict, session, theme
from prune_ui.predict import Answer, Question
from prune_ui.session import Key

_AT: Key[int] = Key("tour/at", 0)  # the step, from 1; 0: no tour


@dataclass(frozen=True)
class Step:
    """One stop. ``link`` is what the page's address says, None to leave the page as it is.

    ``answer`` measures what the question asked. ``veiled`` hides the page below until the guess is made, where it would
    give the answer away. ``act`` does what ``action`` says in the visitor's place, by the page's own functions, and
    returns what the link says from then on.
    """

    page: str
    title: str
    text: str
    link: Mapping[str, str] | None = field(default_factory=dict)
    veiled: bool = False
    question: Question | None = None
    answer: Callable[[], Answer] | None = None
    action: str = ""
    act: Callable[[], Mapping[str, str]] | None = None

    @property
    def name(self) -> str:
        """The page as the last part of its path."""
        return self.page.removeprefix("pages/").removesuffix(".py")


def steps() -> tuple[Step, ...]:
    """All steps, in order."""
    from prune_ui.tour_steps import STEPS

    return STEPS


def invite() -> None:
    """The way into the tour, in the sidebar of every page while none is going on."""
    _take_link()
    if not _AT.get() and st.sidebar.button(
        "Take the tour", key="tour/start", icon=":material/tour:", width="stretch",
        help=f"{len(steps())} stops through the lab, some five minutes. Your runs and settings stay as they are.",
    ):  # fmt: skip
        go(1)


def show(page: str) -> None:
    """Draw the panel on ``page``, the last part of its address; nothing while there is no tour."""
    at = _AT.get()
    if not at:
        return
    step = steps()[at - 1]
    session.keep("tour", str(at))
    with st.container(key="lab_tour"):
        if step.name != page:
            _astray(at, step)
        else:
            _step(at, step)


def _take_link() -> None:
    wanted = st.query_params.get("tour", "")
    if not _AT.get() and wanted.isdigit() and 1 <= int(wanted) <= len(steps()):
        _AT.set(int(wanted))


def _astray(at: int, step: Step) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Tour, stop {at}:** {step.title} is on another page.", width="stretch")
        if st.button("Back to the tour", key="tour/back_to", icon=":material/tour:"):
            go(at)
        _leave()


def _step(at: int, step: Step) -> None:
    total = len(steps())
    st.progress(at / total, text=f"Tour · {at} of {total}")
    st.markdown(f"##### {step.title}")
    st.markdown(step.text)
    with st.container():  # a place of its own: what comes and goes in it must not move the buttons
        _question(step)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if at > 1 and st.button("Back", key="tour/back", icon=":material/arrow_back:"):
            go(at - 1)
        if step.act is not None and st.button(step.action, key="tour/act", icon=":material/touch_app:"):
            _act(at, step)
        asks = step.question is not None and predict.guessed(step.question) is None
        look: Literal["primary", "secondary"] = "secondary" if asks else "primary"  # one thing to do next, not two
        if at < total and st.button("Next", key="tour/next", icon=":material/arrow_forward:", type=look):
            go(at + 1)
        _leave("Finish" if at == total else "Leave the tour")


def _question(step: Step) -> None:
    """Ask; once there is a guess, show it beside what was measured."""
    if step.question is None or step.answer is None:
        return
    guess = predict.ask(step.question, primary=True)
    if guess is None:
        if step.veiled:
            theme.only_here("veil")
            st.html('<p class="lab-veil">The page below is hidden until you have guessed.</p>')
        return
    try:
        predict.beside(step.question, guess, step.answer())
    except LabError as error:
        st.warning(str(error), icon=":material/hourglass_empty:")


def _act(at: int, step: Step) -> None:
    assert step.act is not None
    try:
        link = step.act()
    except LabError as error:
        st.error(str(error), icon=":material/error:")
        return
    _follow(at, step, link)


def _leave(label: str = "Leave the tour") -> None:
    if st.button(label, key="tour/leave", icon=":material/close:", type="tertiary"):
        leave()
        session.rerun()


def leave() -> None:
    """End the tour; the page stays as it is. Guesses of the tour are forgotten, so that it can be taken again."""
    _AT.set(0)
    session.keep("tour", "")
    predict.forget([step.question.key for step in steps() if step.question is not None])


def go(at: int) -> None:
    """Go to a step: its page opens with the controls where the step wants them."""
    step = steps()[at - 1]
    _AT.set(at)
    _follow(at, step, step.link)


def _follow(at: int, step: Step, link: Mapping[str, str] | None) -> None:
    if link is None:  # what was on that page stands there again
        st.switch_page(step.page, query_params={"tour": str(at)})
    session.follow(step.name)
    st.switch_page(step.page, query_params={**link, "tour": str(at)})
