"""The picture on the Train page: one fragment that follows a run, from an empty page to its end.

The fragment reads a snapshot that the live feed prepared. It has the page's only timer, which ticks while the run goes.
"""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from prune_core.events import LayerSnapshot
from prune_core.experiment import Experiment
from prune_ui import formulas, session
from prune_ui import train_actions as actions
from prune_ui import train_charts as charts
from prune_ui.forms import Form
from prune_ui.live import LiveRun, feed
from prune_ui.train_form import train_form
from prune_ui.train_status import controls, lesson, mid_run, status, tiles

TICK_S = 0.5
PATIENCE_S = 0.6  # for the first point after a click
YOUNG_TICK_S = 0.2  # until the first point: somebody has just clicked and waits for it
YOUNG_S = 8.0  # a run that has no point by then waits for something: a worker, or its data
AWAY_TICK_S = 2.0  # while the store cannot be read
LAYER = "train/layer"


def show() -> None:
    """Draw the picture, and go on drawing it while the run goes."""
    run = actions.shown_run()
    if actions.LAUNCHED.pop() and run is not None:
        run = _first_point(run)
    tick = _tick(run)
    st.fragment(_picture, run_every=tick)(tick)


def _first_point(run: LiveRun) -> LiveRun:
    """The run as soon as it has a point, or as it is after a moment.

    Drawing empty charts first would cost the browser more time than the run needs for its first steps.
    """
    until, run_id = time.monotonic() + PATIENCE_S, run.record.id
    while run.active and not len(run.history) and time.monotonic() < until:
        time.sleep(0.05)
        actions.act(lambda: feed().get(run_id, now=True))
        run = actions.shown_run() or run
    return run


def _tick(run: LiveRun | None) -> float | None:
    """Seconds between two looks at the run; None where nothing will change."""
    if actions.away(run):
        return AWAY_TICK_S
    if run is None or not run.active:
        return None
    young = not len(run.history) and time.time() - run.record.created < YOUNG_S
    return YOUNG_TICK_S if young else TICK_S


def _picture(tick: float | None) -> None:
    if actions.AGAIN.pop():  # a click changed what the page is about: draw all of it, once
        session.rerun()
    form, run = train_form(), actions.shown_run()
    mine = run is not None and session.may_control(run.record)
    # two containers: whatever comes and goes in the first, the charts keep their place, and with it their zoom
    with st.container():
        lesson(run)
        controls(form, run, mine=mine)
        if said := actions.SAID.pop():
            st.error(said, icon=":material/error:")
        status(form, run, mine=mine)
        if run is not None and mine:
            mid_run(run)
        tiles(run)
    with st.container(key="train_formulas"):
        if run is None:
            formulas.show("train", formulas.of_experiment(form.value))
        else:
            formulas.show("train", formulas.of_run(run, str(st.session_state.get(LAYER, ""))))
    with st.container():
        _charts(form, run, mine=mine)
    if tick != _tick(run):
        session.rerun()


def _charts(form: Form[Experiment], run: LiveRun | None, *, mine: bool) -> None:
    if run is None:
        _blank()
        return
    threshold = _threshold(form, run)
    may_drag = run.record.experiment.clip is not None and (mine or not run.active)

    def dragged(value: float) -> None:
        actions.drag_threshold(train_form(), run, value)

    on_drag = dragged if may_drag else None
    learning = partial(charts.learning, run)
    norms, clipped = partial(charts.norms, run, threshold, on_drag), partial(charts.clipped, run)
    sparsity, boundary = partial(charts.sparsity, run), partial(charts.boundary, run)
    rows = [[learning, norms], [clipped, sparsity]]
    if len(run.record.experiment.data.info.shape) == 1:  # points in the plane: the boundary says more than any line
        norms = partial(norms, height=charts.HIGH)
        rest = [norms, clipped, sparsity] if run.record.experiment.prune is not None else [norms, clipped]
        rows = [[learning, boundary], rest]
    for row in rows:
        for column, draw in zip(st.columns(len(row), gap="medium"), row, strict=True):
            with column:
                draw()
    st.subheader("Inside a layer", anchor=False)
    layer = _layer(run)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.weights(run, layer)
    with right:
        charts.gradients(run, layer, threshold, on_drag)
    charts.layers(run)


def _blank() -> None:
    """The same places before there is a run: nothing moves when the first point comes."""
    for names in (("learning", "norms"), ("clipped", "sparsity")):
        for column, name in zip(st.columns(2, gap="medium"), names, strict=True):
            with column:
                charts.blank(name)


def _threshold(form: Form[Experiment], run: LiveRun) -> float | None:
    """Where the line stands: in mid-run what holds now, otherwise what the form says for the next run."""
    clip = run.record.experiment.clip
    if clip is None:
        return None
    if run.active:
        return actions.wanted(run).get("clip_threshold")
    value = form.value
    if value is not None and value.clip is not None and value.clip.kind == clip.kind:
        return value.clip.threshold
    return actions.in_force(run).get("clip_threshold")


def _layer(run: LiveRun) -> LayerSnapshot | None:
    """The layer to look into: the one chosen, or the largest."""
    if run.snapshot is None or not run.snapshot.layers:
        st.caption("The histograms come with the first snapshot of the layers.")
        return None
    by_name = {x.name: x for x in run.snapshot.layers}
    largest = max(by_name, key=lambda n: by_name[n].numel)
    if st.session_state.get(LAYER) not in by_name:
        st.session_state[LAYER] = largest
    names = list(by_name)
    name = st.selectbox(
        "Layer", names, names.index(st.session_state[LAYER]), key=LAYER, label_visibility="collapsed", width=320,
        format_func=lambda n: f"{n}  ·  {by_name[n].numel:,} weights".replace(",", "\u202f") if n in by_name else n,
    )  # fmt: skip
    return by_name[name]
