"""The upper part of the Train page's picture: the lesson, the buttons, how the run stands, and its main numbers."""

from __future__ import annotations

from functools import partial
from typing import Literal, NamedTuple

import streamlit as st

from prune_core.events import InterventionField
from prune_core.experiment import Experiment
from prune_core.figures.words import count, number, percent
from prune_core.settings import FieldSpec
from prune_ui import explain
from prune_ui import train_actions as actions
from prune_ui.fields import plain
from prune_ui.forms import Form
from prune_ui.live import LiveRun
from prune_ui.naming import in_text, pruning_options
from prune_ui.steering import slider, spec_of

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "grey", "primary"]


class Look(NamedTuple):
    """How a status shows: never by colour alone."""

    label: str
    colour: Colour
    icon: str


LOOKS = {
    "queued": Look("Waiting", "gray", ":material/hourglass_empty:"),
    "running": Look("Running", "blue", ":material/play_arrow:"),
    "paused": Look("Paused", "yellow", ":material/pause:"),
    "finished": Look("Finished", "green", ":material/check:"),
    "stopped": Look("Stopped", "gray", ":material/stop:"),
    "diverged": Look("Diverged", "red", ":material/trending_up:"),
    "failed": Look("Failed", "red", ":material/error:"),
    "cancelled": Look("Cancelled", "gray", ":material/block:"),
}


def lesson(run: LiveRun | None) -> None:
    """The sentence at the top, in the numbers of the run that is shown."""
    if run is None or not run.last:
        st.html(explain.IDEA)
        return
    experiment = run.record.experiment
    found = explain.lesson(experiment, run.means["clipped"], run.last["sparsity"], run.snapshot)
    st.html(found.html())


def controls(form: Form[Experiment], run: LiveRun | None, *, mine: bool) -> None:
    """The buttons: what can be done now."""
    built = form.built
    going = run is not None and run.active
    with st.container(horizontal=True, gap="small", key="train_buttons"):
        if run is not None and going and mine:
            _steering(run)
        else:
            st.button(
                "Train", key="train/go", type="primary", icon=":material/play_arrow:", disabled=built.value is None,
                on_click=actions.train, args=(form,), help=built.reason or "Train with the settings on the left.",
            )  # fmt: skip
            st.button(
                "Step", key="train/first", icon=":material/skip_next:", disabled=built.value is None,
                on_click=partial(actions.train, form, one_step=True), help="Start, make one step, and hold.",
            )  # fmt: skip
            ended = run.record.status if run is not None and mine else ""
            if run is not None and (ended == "failed" or (ended == "stopped" and run.step)):
                st.button(
                    "Retry" if ended == "failed" else "Go on", key="train/retry", icon=":material/replay:",
                    on_click=actions.steer, args=(run.record.id, "retry"),
                    help="Go on from the last checkpoint of this run.",
                )  # fmt: skip
            else:  # in its place although nothing goes, so that no button moves when a run starts or ends
                st.button("Stop", key="train/stop", icon=":material/stop:", disabled=True)
        st.button(
            "Reset", key="train/reset", icon=":material/restart_alt:", on_click=actions.reset,
            args=(run.record.id if run is not None and mine else "",),
            help="Clear the charts. A run that goes is ended; what was recorded stays under Runs.",
        )  # fmt: skip
        if run is not None and not _same(form, run):
            st.button(
                "Use its settings", key="train/copy", icon=":material/input:", type="tertiary",
                on_click=actions.copy_settings, args=(form, run), help="Put the settings of this run into the form.",
            )  # fmt: skip
    st.html('<p class="lab-narrow">The settings are behind the arrows » at the top left.</p>')
    if built.reason:
        st.caption(f":red[:material/error: Train waits: {plain(built.reason)}]")


def _steering(run: LiveRun) -> None:
    held, waiting = run.record.status == "paused", run.record.status == "queued"
    st.button(
        "Resume" if held else "Pause", key="train/pause", type="primary" if held else "secondary",
        icon=":material/play_arrow:" if held else ":material/pause:", disabled=waiting,
        on_click=actions.steer, args=(run.record.id, "resume" if held else "pause"),
    )  # fmt: skip
    st.button(
        "Step", key="train/step", icon=":material/skip_next:", disabled=waiting, on_click=actions.steer,
        args=(run.record.id, "step"), help="Make one step, and hold.",
    )  # fmt: skip
    st.button(
        "Cancel" if waiting else "Stop", key="train/stop", icon=":material/stop:", on_click=actions.steer,
        args=(run.record.id, "stop"), help="End the run; what it has learned is kept.",
    )  # fmt: skip


def _same(form: Form[Experiment], run: LiveRun) -> bool:
    value = form.value
    return value is not None and value.replace(start=run.record.experiment.start) == run.record.experiment


# --- how it stands ----------------------------------------------------------------------------------------------------
def status(form: Form[Experiment], run: LiveRun | None, *, mine: bool) -> None:
    """Badge, progress, and what the state means where it needs a word."""
    if run is None:
        st.progress(0.0, text=f":gray[{explain.EMPTY}]")
        return
    record = run.record
    look = LOOKS.get(record.status, Look(record.status.capitalize(), "gray", ":material/circle:"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if record.read_only:
            st.badge("Sample run", icon=":material/auto_stories:", color="violet")
        st.badge(look.label, icon=look.icon, color=look.colour)
        if run.active and not mine:
            st.badge("You are watching", icon=":material/visibility:", color="gray")
        pending = explain.pruning_pending(record.experiment, run.step) if run.active else ""
        st.caption(" · ".join(t for t in (_settings(run), pending) if t))
    st.progress(min(run.step / max(record.steps, 1), 1.0), text=_progress(run))
    if run.problem:
        st.caption(f":red[:material/cloud_off: What is shown may be old: {run.problem}]")
    if record.status == "diverged":
        st.warning(explain.diverged(record.reason, record.experiment.clip is not None), icon=":material/trending_up:")
    elif record.status == "failed":
        st.error(explain.failed(plain(record.reason)), icon=":material/error:")
    if warning := _unrecorded(run):
        st.warning(warning, icon=":material/save:")


def _settings(run: LiveRun) -> str:
    """The run in five words: what holds now, for whoever did not set it."""
    experiment, now = run.record.experiment, actions.in_force(run)
    data, model = _label(experiment.data), _label(experiment.model)
    parts = [f"{model} on {data}"]
    if experiment.start is not None:
        parts.append("starts from an earlier run")
    if experiment.clip is not None:
        parts.append(f"clipping {in_text(_label(experiment.clip))} {number(now['clip_threshold'])}")
    if experiment.prune is not None:
        how, share = in_text(_label(experiment.prune.criterion)), percent(now["sparsity"], 0)
        parts.append(f"{how} pruning to {share}{pruning_options(experiment.prune)}")
    return " · ".join(parts)


def _label(part: object) -> str:
    entry = type(part).registry.entry_of(type(part))  # type: ignore[attr-defined]
    return entry.label if entry is not None else type(part).__name__


def _progress(run: LiveRun) -> str:
    record = run.record
    of = f"Step {count(run.step)} of {count(record.steps)}"
    if record.status == "queued":
        if run.position is None or run.position <= 1:
            return "Next in the queue: starts as soon as a worker is free."
        return f"Number {run.position} in the queue: starts when those before it are done."
    if record.status == "paused":
        return f"{of} · held. Step makes one more, Resume goes on."
    if record.status == "running":
        where = of if run.step else "Loading data and model"
        parts = [where, explain.speed(run.rate), explain.time_left(run.seconds_left)]
        return " · ".join(p for p in parts if p)
    seconds = (record.ended - record.started) if record.ended and record.started else None
    took = f" in {explain.duration(seconds)}" if seconds else ""
    return f"{count(run.step)} of {count(record.steps)} steps{took}"


def _unrecorded(run: LiveRun) -> str:
    summary = run.record.summary or {}
    return str(summary.get("warning", ""))


# --- numbers ----------------------------------------------------------------------------------------------------------
def tiles(run: LiveRun | None) -> None:
    """The four numbers that the page is about."""
    last = run.last if run is not None else {}
    accuracy, loss = "–", "–"
    if run is not None and len(run.evals):
        accuracy = percent(float(run.evals["accuracy"].iloc[-1]))
    if last:
        loss = number(last["loss"])
    changed = "–" if not last else percent(last["clipped"])
    removed = "–" if not last else percent(last["sparsity"])
    with st.container(horizontal=True, gap="medium", key="train_tiles"):
        for label, value, help in (
            ("Test accuracy", accuracy, "Share of the test split that the network gets right, at the last look."),
            ("Loss", loss, "Of the last batch, before its update. 0 would be perfect."),
            ("Entries clipped", changed, "Share of the last gradient's entries that clipping changed."),
            ("Weights removed", removed, "Share of the prunable weights that pruning set to zero for good."),
        ):
            st.metric(label, value, help=help, width=150)


# --- in mid-run -------------------------------------------------------------------------------------------------------
def mid_run(run: LiveRun) -> None:
    """Three sliders that act on the run from its next step on; after its end they show what held, and stay in place."""
    experiment, values = run.record.experiment, actions.wanted(run)
    specs: list[tuple[InterventionField, str, FieldSpec]] = []
    if experiment.clip is not None:
        specs.append(("clip_threshold", "Clip threshold", spec_of(experiment.clip, experiment.clip.threshold_field)))
    specs.append(("lr", "Learning rate", spec_of(experiment.train, "lr")))
    if experiment.prune is not None:
        specs.append(("sparsity", "Target sparsity", spec_of(experiment.prune.schedule, "final")))
    with st.container(border=True, key="train_midrun"):
        if run.active:
            st.caption("**Change while it runs** · from the next step on; every change is marked on the charts.")
        else:
            st.caption("**What held at the end** · these can be changed while a run goes; *Train* starts the next one.")
        for column, (field, label, spec) in zip(st.columns(len(specs), gap="medium"), specs, strict=True):
            with column:
                slider(
                    f"train/mid/{run.record.id}/{field}", label, spec, values[field],
                    partial(actions.intervene, run.record.id, field), disabled=not run.active,
                )  # fmt: skip
