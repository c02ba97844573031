"""The settings of the Race page: a preset, two sliders above the lanes, and all the rest at the side."""

from __future__ import annotations

import streamlit as st

from prune_core.events import InterventionField
from prune_core.experiment import Experiment
from prune_core.settings import FieldSpec
from prune_core.training import RACE_PRESETS
from prune_ui import race_state as state
from prune_ui.draft import NONE, Draft
from prune_ui.fields import plain
from prune_ui.forms import Form
from prune_ui.race_state import MODES, RaceView
from prune_ui.session import Key
from prune_ui.steering import slider, spec_of
from prune_ui.train_form import fitting_model, repair_button

SKIP = frozenset({"start"})
OWN = "own"
NOTE: Key[str] = Key("race/note", "")


def default_experiment() -> Experiment:
    """What the page starts with, and what the sample race was."""
    return RACE_PRESETS[0].experiment


def race_form() -> Form[Experiment]:
    """The page's form; the session keeps what was typed."""
    return Form("race", Experiment, default_experiment, skip=SKIP, on_choose=_fit, closed=_closed)


def first_link() -> dict[str, str]:
    """What a link would say of the settings that everybody sees first."""
    draft: Draft[Experiment] = Draft(Experiment, SKIP)
    draft.take(default_experiment())
    return draft.params()


def _closed(form: Form[Experiment], path: str) -> dict[str, str]:
    """A race without clipping or pruning would be no race."""
    return {NONE: ""} if path == "clip" else {}


def _fit(form: Form[Experiment], path: str) -> None:
    """After other data was chosen: a model that cannot read it gives way to one that can, and the page says so."""
    if path == "data" and "model" in form.built.problems and (entry := fitting_model(form)) is not None:
        form.put("model", entry.name)
        NOTE.set(f"The model is now {entry.label}: the one before cannot read this data.")


# --- at the side ------------------------------------------------------------------------------------------------------
def panel(form: Form[Experiment]) -> None:
    """Draw all settings but the two of the sliders; they hold for the next race."""
    if note := NOTE.pop():
        st.caption(f":material/info: {note}")
    with st.container(key="settings_data", border=True):
        form.part("data")
        form.part("model")
        repair_button(form, "model")
    with st.container(key="settings_clip", border=True):
        form.part("clip")
    with st.container(key="settings_prune", border=True):
        st.markdown("**Pruning**")
        form.part("prune.criterion")
        form.field("prune.scope")
        form.part("prune.schedule")
        form.problem("prune")
        repair_button(form, "prune")
    with st.container(key="settings_train", border=True):
        st.markdown("**Training**")
        form.part("train")
        repair_button(form, "train")
    st.button(
        "Default settings", key="race/defaults", on_click=form.take, args=(default_experiment(),), type="tertiary",
        icon=":material/restart_alt:", help="Take back everything that was changed here.",
    )  # fmt: skip


# --- presets ----------------------------------------------------------------------------------------------------------
def preset_of(experiment: Experiment | None) -> str:
    """The preset that an experiment is, whatever its seed; "own" where it is none."""
    for preset in RACE_PRESETS:
        if experiment is not None and experiment.with_(**{"train.seed": preset.experiment.train.seed}) == (
            preset.experiment
        ):
            return preset.name
    return OWN


def presets(form: Form[Experiment]) -> None:
    """The menu of presets; another one takes the page back to before its race."""
    labels = {preset.name: preset.label for preset in RACE_PRESETS} | {OWN: "Own settings"}
    now, key = preset_of(form.value), "race/preset"
    names = [name for name in labels if name != OWN or now == OWN]
    if st.session_state.get(key) != now:
        st.session_state[key] = now

    def chosen() -> None:
        name = st.session_state[key]
        found = next((preset for preset in RACE_PRESETS if preset.name == name), None)
        if found is not None:
            form.take(found.experiment)
            state.AGAIN.set(True)

    st.selectbox(
        "What to race", names, names.index(now), key=key, format_func=lambda n: labels.get(n, n), on_change=chosen,
        width=200,
    )  # fmt: skip


def what_to_see(form: Form[Experiment]) -> str:
    """The preset's sentence."""
    name = preset_of(form.value)
    return next((preset.what for preset in RACE_PRESETS if preset.name == name), "")


# --- the two sliders --------------------------------------------------------------------------------------------------
def sliders(form: Form[Experiment], view: RaceView | None) -> None:
    """Clip threshold and sparsity: of the race while it goes and is one's own, else of the next one."""
    steered = view is not None and view.active and view.mine
    experiment = view.experiment if view is not None and steered else form.value
    left, middle, right = st.columns([5, 5, 4], gap="medium", vertical_alignment="bottom")
    if experiment is None or experiment.clip is None or experiment.prune is None:
        with left:
            st.caption("The sliders come back when the settings at the side are right.")
        return
    values = state.wanted(view) if view is not None and steered else {}
    threshold = values.get("clip_threshold", experiment.clip.threshold)
    sparsity = values.get("sparsity", experiment.prune.schedule.final)
    specs = (
        spec_of(experiment.clip, experiment.clip.threshold_field),
        spec_of(experiment.prune.schedule, "final"),
    )
    with left:
        _slider("clip_threshold", "Clip threshold", specs[0], threshold, form, view)
    with middle:
        _slider("sparsity", "Sparsity: share of weights to remove", specs[1], sparsity, form, view)
    with right:
        _mode()


def _mode() -> None:
    key = "race/mode/widget"
    if st.session_state.get(key) != state.MODE.get():
        st.session_state[key] = state.MODE.get()
    st.radio(
        "Moving a slider", list(MODES), list(MODES).index(state.MODE.get()), key=key, format_func=MODES.__getitem__,
        on_change=lambda: state.MODE.set(st.session_state[key]),
    )  # fmt: skip


def _slider(
    field: InterventionField, label: str, spec: FieldSpec, value: float, form: Form[Experiment], view: RaceView | None
) -> None:
    def moved(to: float) -> None:
        take(form, field, float(f"{to:.6g}"))

    watching = view is not None and view.active and not view.mine
    slider(f"race/slider/{field}", label, spec, value, moved, disabled=watching)


def take(form: Form[Experiment], field: InterventionField, value: float) -> None:
    """A slider was moved: a setting of the next race, which begins now, or a change of the one that goes."""
    view = state.shown()
    clip = form.value.clip if form.value is not None else None
    if field == "sparsity":
        form.put("prune.schedule.final", value)
    elif clip is not None:
        form.put(f"clip.{clip.threshold_field}", value)
    if view is not None and view.active and view.mine and state.MODE.get() == "intervene":
        state.intervene(view.id, field, value)
    elif state.MODE.get() == "restart" and view is not None and not view.sample:
        state.launch(form)
    state.AGAIN.set(True)


def readable(sentence: str) -> str:
    """An error's sentence as Markdown takes it."""
    return plain(sentence)
