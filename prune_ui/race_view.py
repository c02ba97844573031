"""The picture on the Race page: one fragment that follows a race. It has the page's only timer."""

from __future__ import annotations

import time

import streamlit as st

from prune_core.experiment import Experiment
from prune_core.figures.words import count
from prune_ui import present_view, race_form, race_lanes, race_words, session
from prune_ui import race_state as state
from prune_ui.explain import speed, time_left
from prune_ui.forms import Form
from prune_ui.race_form import race_form as form_of
from prune_ui.race_state import PACES, RaceView
from prune_ui.train_status import LOOKS
from prune_ui.train_view import AWAY_TICK_S

TICK_S = 0.4  # with four lanes on it the page has to be no later than a second behind the worker
YOUNG_TICK_S = 0.2  # until the first point: somebody has just clicked and waits for it
YOUNG_S = 8.0
REPEATS_TICK_S = 1.0
PACE_NAMES = {"full": "Full", "slow": "40 steps/s", "slower": "8 steps/s"}


def show() -> None:
    """Draw the picture, and go on drawing it while the race goes."""
    tick = _tick(state.shown())
    st.fragment(_picture, run_every=tick)(tick)


def _tick(view: RaceView | None) -> float | None:
    """Seconds between two looks at the race; None where nothing will change."""
    if view is None:
        return AWAY_TICK_S if state.away() else None
    if not view.active:
        return REPEATS_TICK_S if race_words.waiting(view) else None
    young = not view.step and time.time() - view.first.record.created < YOUNG_S
    return YOUNG_TICK_S if young else TICK_S


def _picture(tick: float | None) -> None:
    if state.AGAIN.pop():  # a click changed what the page is about: draw all of it, once
        session.rerun()
    form, view = form_of(), state.shown()
    # containers of their own: whatever comes and goes in one, the charts keep their place, and with it their zoom
    with st.container(key="race_head"):
        _controls(form, view)
        race_form.sliders(form, view)
        if said := state.SAID.pop():
            st.error(said, icon=":material/error:")
        _status(view)
    with st.container():
        race_lanes.cards(view)
    with st.container(key="race_words"):
        race_words.sentence(view)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="race_after"):
            race_words.repeat(view)
            if view is not None and not view.active:
                present_view.link_to(race=view.id)
    with st.container(key="race_formulas"):
        race_lanes.in_formulas(form, view)
    with st.container():
        race_lanes.progress(view)
    with st.container(key="race_histograms"):
        race_lanes.histograms(view)
    if tick != _tick(view):
        session.rerun()


# --- what can be done -------------------------------------------------------------------------------------------------
def _controls(form: Form[Experiment], view: RaceView | None) -> None:
    steered = view is not None and view.active and view.mine
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="race_buttons"):
        race_form.presets(form)
        if view is not None and steered:
            _steering(view)
        else:
            _starting(form, view)
        st.button(
            "Reset", key="race/reset", icon=":material/restart_alt:", on_click=state.reset,
            help="Clear the lanes. A race that goes is ended; its runs stay under Runs.",
        )  # fmt: skip
        _speed()
    if form.built.reason:
        st.caption(f":red[:material/error: Race waits: {race_form.readable(form.built.reason)}]")
    elif what := race_form.what_to_see(form):
        st.caption(what)


def _starting(form: Form[Experiment], view: RaceView | None) -> None:
    wrong = form.value is None
    st.button(
        "Race", key="race/go", type="primary", icon=":material/play_arrow:", disabled=wrong, on_click=state.launch,
        args=(form,), help=form.built.reason or "Train all four lanes with these settings, from the same start.",
    )  # fmt: skip
    st.button(
        "Step", key="race/first", icon=":material/skip_next:", disabled=wrong, on_click=state.launch, args=(form,),
        kwargs={"one_step": True}, help="Start, make one step in every lane, and hold.",
    )  # fmt: skip
    if view is not None and view.mine and view.status in ("failed", "stopped"):
        st.button(
            "Retry" if view.status == "failed" else "Go on", key="race/retry", icon=":material/replay:",
            on_click=state.steer, args=(view.id, "retry"), help="Go on from the lanes' last checkpoints, as a race.",
        )  # fmt: skip
    else:  # in its place although nothing goes, so that no button moves when a race starts or ends
        st.button("Stop", key="race/stop", icon=":material/stop:", disabled=True)


def _steering(view: RaceView) -> None:
    held, waits = view.status == "paused", view.status == "queued"
    st.button(
        "Resume" if held else "Pause", key="race/pause", type="primary" if held else "secondary", disabled=waits,
        icon=":material/play_arrow:" if held else ":material/pause:", on_click=state.steer,
        args=(view.id, "resume" if held else "pause"),
    )  # fmt: skip
    st.button(
        "Step", key="race/step", icon=":material/skip_next:", disabled=waits, on_click=state.steer,
        args=(view.id, "step"), help="Make one step in every lane, and hold.",
    )  # fmt: skip
    st.button(
        "Cancel" if waits else "Stop", key="race/stop", icon=":material/stop:", on_click=state.steer,
        args=(view.id, "stop"), help="End the race now; what was measured is kept.",
    )  # fmt: skip


def _speed() -> None:
    key = "race/pace"
    if st.session_state.get(f"{key}/widget") != state.PACE.get():
        st.session_state[f"{key}/widget"] = state.PACE.get()
    st.segmented_control(
        "Speed", list(PACES), default=state.PACE.get(), key=f"{key}/widget", format_func=PACE_NAMES.__getitem__,
        required=True, on_change=lambda: state.set_pace(st.session_state[f"{key}/widget"]),
        help="Full: as fast as the machine can. Else so many steps a second in every lane, to see them happen.",
    )  # fmt: skip


# --- how it stands ----------------------------------------------------------------------------------------------------
def _status(view: RaceView | None) -> None:
    if view is None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):  # as tall as in a race
            st.badge("Not started", icon=":material/flag:", color="gray")
            st.caption("Press **Race**: four networks start from the same weights and see the same data.")
        st.progress(0.0)
        return
    look, record = LOOKS[view.status], view.first.record
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if view.sample:
            st.badge("Sample race", icon=":material/auto_stories:", color="violet")
        st.badge(look.label, icon=look.icon, color=look.colour)
        if view.active and not view.mine:
            st.badge("You are watching", icon=":material/visibility:", color="gray")
        st.caption(_progress(view))
    st.progress(min(view.step / max(record.steps, 1), 1.0))
    for run in view.lanes.values():
        if run.problem:
            st.caption(f":red[:material/cloud_off: What is shown may be old: {race_form.readable(run.problem)}]")
            break
    for lane, run in view.lanes.items():
        if run.record.status == "failed":
            st.error(f"{race_lanes.NAMES[lane]} failed: {race_form.readable(run.record.reason)}.")
            break


def _progress(view: RaceView) -> str:
    record = view.first.record
    if view.status == "queued":
        place = view.first.position
        return "Next in the queue." if place is None or place <= 1 else f"Number {place} in the queue."
    of = f"Step {count(view.step)} of {count(record.steps)} in every lane"
    if view.status == "paused":
        return f"{of} · held. Step makes one more, Resume goes on."
    if view.status == "running":
        slowest = min(view.going, key=lambda run: run.step)
        parts = [of if view.step else "Loading data and models", speed(slowest.rate), time_left(slowest.seconds_left)]
        return " · ".join(p for p in parts if p)
    ends = [(r.record.started, r.record.ended) for r in view.lanes.values()]
    took = max(e for _, e in ends if e) - min(s for s, _ in ends if s) if all(s and e for s, e in ends) else None
    seconds = f" in {took:.1f} s" if took else ""
    return f"{count(view.step)} of {count(record.steps)} steps, four lanes{seconds}; same seed, same batches"
