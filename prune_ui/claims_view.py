"""The Claims page: all claims, or one with its rule, its trial, its figures and the runs behind them."""

from __future__ import annotations

import streamlit as st

from prune_core import export
from prune_core.claims import Claim
from prune_core.figures.words import count, plural
from prune_core.registry import Entry
from prune_ui import claims_cards, claims_evidence, claims_form, predict, session, take_away
from prune_ui import claims_state as state
from prune_ui.claims_read import View, samples
from prune_ui.explain import duration, time_left
from prune_ui.fields import plain
from prune_ui.naming import in_text, part_label
from prune_ui.predict import Answer

TICK_S = 1.0


def show() -> None:
    """Draw the list or the claim that is open, and go on drawing what moves while it is on trial."""
    name = state.CLAIM.get()
    if not name:
        st.title("Claims", anchor=False)
        _said()
        claims_cards.show()
        state.keep_link(None)
        return
    entry = Claim.registry[name]
    st.button(
        "All claims", key="claims/back", icon=":material/arrow_back:", type="tertiary", on_click=state.choose,
        args=("",),
    )  # fmt: skip
    st.title(f"“{plain(entry.cls.statement)}”", anchor=False)
    st.markdown(f"**Rule, fixed before looking:** {plain(entry.cls.rule)}")
    key = "claims/settings"
    if st.session_state.get(key) != state.OPEN.get():
        st.session_state[key] = state.OPEN.get()
    settings = st.expander(
        "Try it on your own settings", icon=":material/tune:", key=key, expanded=state.OPEN.get(),
        on_change=lambda: state.OPEN.set(bool(st.session_state[key])),
    )  # fmt: skip
    if settings.open:
        with settings:
            claims_form.show(name)
    view = state.shown(name)
    going = view is not None and view.going
    st.fragment(_claim, run_every=TICK_S if going else None)(entry, going)


def _claim(entry: Entry[Claim], going: bool) -> None:
    view = state.shown(entry.name)
    # each has a place of its own: a line that comes or goes in one would else make all below it anew, zoom and all
    head, before, verdict, evidence, code = (
        st.container(), st.container(key="claims_before"), st.container(), st.container(), st.container()
    )  # fmt: skip
    with head:
        _said()
        _head(entry, view)
    with before:
        known = _guess(view)
    if known or (view is not None and view.going):  # how far it is gives nothing away
        with verdict:
            _verdict(view)
    if known and view is not None:
        with evidence:
            claims_evidence.show(entry, view)
    with code:
        _code(entry, view)
    state.keep_link(view)
    if (view is not None and view.going) != going or state.AGAIN.pop():  # another pace from now on
        session.rerun()


def _code(entry: Entry[Claim], view: View | None) -> None:
    """How the trial on the page, or the one in the form, is made without the page."""
    claim: Claim | None = state.form_of(entry.name).value if view is None else view.claim
    if claim is not None:
        take_away.box(
            lambda: export.claim_code(claim), key="claims/code", command=lambda: export.claim_command(claim)
        )  # fmt: skip


def _guess(view: View | None) -> bool:
    """Ask for a guess where the visitor wants to be asked; returns whether figures and verdict may be seen."""
    if view is None or not state.GUESS.get() or (view.verdict is None and not view.going):
        return True
    question = state.question(view)
    guess = predict.ask(question)
    if guess is None:
        st.caption("The verdict comes after your guess, with its figures and how it was found.")
        return False
    if view.verdict is not None:
        predict.beside(question, guess, Answer(view.verdict.word, "The figures are below."))
    else:  # as high as with the verdict: nothing below moves when it comes
        st.html(predict.pair(str(guess), "–", below="<p>The verdict comes when all runs are done.</p>"))
    return True


def _said() -> None:
    if text := state.SAID.pop():
        st.error(plain(text), icon=":material/error:")


def _head(entry: Entry[Claim], view: View | None) -> None:
    """What it was tried on, how far it is, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="claims_head"):
        if view is None:
            st.caption("Nobody has tried it yet: run it above.")
            return
        if view.sample:
            st.badge("Sample", icon=":material/auto_stories:", color="violet")
            st.caption(f"{_on(view.claim)}; measured on another machine, and shipped with the lab.", width="content")
            return
        whose = "Your trial" if view.mine else "A trial in this lab"
        fine = view.going or view.state == "done"
        st.badge(whose if fine else f"{whose}: {view.state}", color="violet" if fine else "orange")
        st.caption(_on(view.claim), width="content")
        _buttons(entry, view)
    if view.problem:
        st.warning(plain(view.problem), icon=":material/warning:")


def _buttons(entry: Entry[Claim], view: View) -> None:
    if view.mine:
        if view.state == "running":
            st.button("Stop", key="claims/stop", icon=":material/stop:", on_click=state.steer, args=(view.id, "stop"))
        elif view.state == "stopped" or _lost(view):
            st.button(
                "Go on" if view.state == "stopped" else "Try the failed runs again", key="claims/resume",
                icon=":material/play_arrow:", on_click=state.steer, args=(view.id, "resume"),
            )  # fmt: skip
        elif view.state in ("done", "failed") and view.claim.looks:
            st.button(
                "Measure again", key="claims/again", icon=":material/replay:", type="tertiary", on_click=state.steer,
                args=(view.id, "measure_again"), help="The same runs; models and times are measured anew.",
            )  # fmt: skip
    if entry.name in samples() and not view.going:
        st.button(
            "Show the sample", key="claims/sample", icon=":material/auto_stories:", type="tertiary",
            on_click=_sample, args=(entry.name,),
        )  # fmt: skip


def _lost(view: View) -> bool:
    """Whether runs of a trial that is over failed, so that it could not be judged."""
    return view.state == "failed" and view.progress is not None and view.progress.failed > 0


def _sample(name: str) -> None:
    state.show_trial(name, "")
    state.AGAIN.set(True)


def _verdict(view: View | None) -> None:
    if view is None:
        return
    with st.container(border=True, key="claims_verdict"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            claims_cards.badge(view)
            if view.verdict is not None and view.verdict.on:
                st.markdown(f"**on {plain(view.verdict.on)}**", width="content")
        if view.verdict is not None:
            st.markdown(plain(view.verdict.sentence))
            st.caption(plain(view.claim.explanation))
        elif view.going:
            if view.progress is not None and view.state == "running":
                st.progress(view.progress.done / max(view.progress.total, 1), text=_progress(view))
            else:
                st.progress(1.0, text=f"All runs are done; a worker measures models and times{_takes(view.claim)}")
            when = "all runs are done and measured" if view.claim.looks else "all runs are done; the figures fill in"
            st.caption(f"The verdict comes when {when}. You may leave: this page's address finds it again.")
        elif view.state == "stopped" and view.progress is not None:
            goes = "*Go on* does the rest" if view.mine else "run it anew above to have only the rest made"
            done = f"{count(view.progress.done)} of {plural(view.progress.total, 'run')}"
            st.caption(f"Stopped after {done}; they stay, and {goes}.")


def _on(claim: Claim) -> str:
    """What a trial was made with, in a few words."""
    data, model = part_label("data", claim.data.registered_as), part_label("model", claim.model.registered_as)
    return f"{data} · {in_text(model)} · {plural(claim.seeds, 'seed')} · {plural(claim.steps, 'step')}"


def _takes(claim: Claim) -> str:
    """About how long measuring takes; nothing where that is a moment."""
    return f": about {duration(claim.measuring_s)}" if claim.measuring_s > 1 else ""


def _progress(view: View) -> str:
    assert view.progress is not None
    p = view.progress
    parts = [f"{count(p.done)} of {plural(p.total, 'run')}"]
    parts += [f"{count(p.reused)} there already"] * (p.reused > 0)
    parts += [f"{count(p.failed)} failed"] * (p.failed > 0)
    left = None if p.seconds_left is None else p.seconds_left + view.claim.measuring_s
    return " · ".join(x for x in [*parts, time_left(left)] if x)
