"""The settings of the Train page: what to train, how, and how the two ideas act on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import streamlit as st

from prune_core.clipping import ValueClip
from prune_core.data import Digits
from prune_core.errors import ConfigError, LabError
from prune_core.experiment import Experiment
from prune_core.figures.words import count, percent
from prune_core.models import ModelSource, SmallCNN
from prune_core.pruning import Criterion, Granularity, Pruning, Regrowth, Scope
from prune_ui import cache
from prune_ui.draft import NONE, Draft, is_part
from prune_ui.forms import Form
from prune_ui.naming import CRITERION, GRANULARITY
from prune_ui.options import why

SKIP = frozenset({"start"})  # a file on the server: set by *Fine-tune from here*, never typed


def default_experiment() -> Experiment:
    """What the page starts with: the sample run's settings, so that *Train* does again what one sees."""
    for record in cache.samples():
        return record.experiment
    return Experiment(data=Digits(), model=SmallCNN(), clip=ValueClip(threshold=0.01), prune=Pruning())


def train_form() -> Form[Experiment]:
    """The page's form; the session keeps what was typed."""
    return Form("train", Experiment, default_experiment, skip=SKIP, on_choose=_fit, closed=closed)


def first_link() -> dict[str, str]:
    """What a link would say of the settings that everybody sees first."""
    draft: Draft[Experiment] = Draft(Experiment, SKIP)
    draft.take(default_experiment())
    return draft.params()


def panel(form: Form[Experiment]) -> None:
    """Draw all settings."""
    if note := st.session_state.pop("train/note", ""):
        st.caption(f":material/info: {note}")
    with st.container(key="settings_data", border=True):
        form.part("data")
        form.part("model")
        _size(form)
        repair_button(form, "model")
    with st.container(key="settings_clip", border=True):
        form.part("clip")
    with st.container(key="settings_prune", border=True):
        form.part("prune")
        repair_button(form, "prune")
    with st.container(key="settings_train", border=True):
        st.markdown("**Training**")
        form.part("train")
        repair_button(form, "train")
    st.button(
        "Default settings", key="train/defaults", on_click=form.take, args=(default_experiment(),), type="tertiary",
        icon=":material/restart_alt:", help="Take back everything that was changed here.",
    )  # fmt: skip


def _size(form: Form[Experiment]) -> None:
    value = form.value
    if value is None:
        return
    info = value.data.info
    try:
        n = cache.parameters(value)
    except (LabError, RuntimeError, NotImplementedError):  # some models cannot be built without weights
        return
    st.caption(f"{count(n)} parameters learn from {count(info.train)} examples of {info.classes} classes.")


# --- choices that go together -----------------------------------------------------------------------------------------
def _fit(form: Form[Experiment], path: str) -> None:
    """After another part was chosen: what goes with it follows."""
    _fit_model(form, path)
    if path == CRITERION and not form.built.value and _before_training(form):
        _prune_first(form)
        st.session_state["train/note"] = (
            "The schedule is now One shot at step 0: this criterion is for before training."
        )
    if path == GRANULARITY and form.value is None and (most := _most(form)) < 1:
        _prune_at_most(form, most)
        st.session_state["train/note"] = f"The sparsity is now {percent(most, 0)}: this granularity allows no more."


def closed(form: Form[Experiment], path: str) -> dict[str, str]:
    """Ways of pruning that cannot go with what else is chosen, or not with this model, and why."""
    experiment, axis = form.value, path.removeprefix("prune.")
    if experiment is None or experiment.prune is None or axis not in AXES:
        return {}
    found = {}
    for name, value in AXES[axis]().items():
        try:
            prune = experiment.prune.replace(**{axis: value})
            prune.check_axes()
            if axis in ("criterion", "granularity"):
                cache.check_fit(experiment, prune)
        except ConfigError as error:
            found[name] = why(str(error))
    return found


def _members(family: Any) -> dict[str, Any]:
    return {entry.name: entry.cls() for entry in family.registry}


AXES: dict[str, Callable[[], dict[str, Any]]] = {
    "criterion": lambda: _members(Criterion),
    "scope": lambda: {name: name for name in get_args(Scope)},
    "granularity": lambda: _members(Granularity),
    "regrow": lambda: _members(Regrowth),
}


def _most(form: Form[Experiment]) -> float:
    """The highest sparsity that the chosen granularity allows."""
    found = next((form.draft.part(p, s) for p, s in form.draft.walk() if p == GRANULARITY), None)
    if found is None:
        return 1.0
    try:
        return float(found[0](**_values(form, *found)).most)  # type: ignore[attr-defined]
    except ConfigError:
        return 1.0


def _prune_at_most(form: Form[Experiment], most: float) -> None:
    short = float(f"{most:.6g}")  # two thirds in six digits, where that is no more than two thirds
    form.put("prune.schedule.final", short if short <= most else most)


def _before_training(form: Form[Experiment]) -> bool:
    """Whether the chosen criterion is defined at initial weights only."""
    name = next((form.draft.kind(p, s) for p, s in form.draft.walk() if p == CRITERION), "")
    return name in Criterion.registry and Criterion.registry[name].cls.before_training


def _prune_first(form: Form[Experiment]) -> None:
    form.put("prune.schedule", "one_shot")
    form.put("prune.schedule.at", 0)


def _fit_model(form: Form[Experiment], path: str) -> None:
    """After other data was chosen: a model that cannot read it gives way to one that can, and the page says so."""
    if path != "data":
        return
    sentence = form.built.problems.get("model", "")
    if not sentence:
        return
    entry = fitting_model(form)
    if entry is not None:
        form.put("model", entry.name)
        st.session_state["train/note"] = f"The model is now {entry.label}: the one before cannot read this data."


def fitting_model(form: Form[Experiment]) -> Any:
    """The first registered model that takes the chosen data as it is; None where none does."""
    found = form.draft.part("data", next(s for s in Experiment.fields() if s.name == "data"))
    if found is None:
        return None
    try:
        info = found[0](**_values(form, *found)).info  # type: ignore[attr-defined]
    except ConfigError:
        return None
    for entry in ModelSource.registry:
        try:
            entry.cls().check(info.shape, info.classes)
        except ConfigError:
            continue
        if entry.name != "torchvision":  # large, and rarely what a small set needs
            return entry
    return None


def _values(form: Form[Experiment], cls: Any, path: str) -> dict[str, Any]:
    return {s.name: form.draft.parsed(f"{path}.{s.name}", s) for s in cls.fields() if not is_part(s)}


def repair_button(form: Form[Experiment], part: str) -> None:
    """A button that puts right what two parts disagree about, where there is one obvious way."""
    if part not in form.built.problems:
        return
    for label, action in _repairs(form, part):
        st.button(label, key=f"{form.key}/repair/{part}/{label}", on_click=action, icon=":material/auto_fix_high:")


def _repairs(form: Form[Experiment], part: str) -> list[tuple[str, Callable[[], None]]]:
    draft, sentence = form.draft, form.built.problems[part]
    if part == "model" and (entry := fitting_model(form)) is not None:
        return [(f"Use {entry.label}", lambda: form.put("model", entry.name))]
    for label, path in (("Regrowth", "prune.regrow"), ("Distillation", "prune.distill")):
        if sentence.startswith(f"{label} "):
            return [(f"No {label.lower()}", partial(form.put, path, NONE))]
    if part == "prune" and _before_training(form):
        return [("Prune before the first step", lambda: _prune_first(form))]
    if part == "prune" and (most := _most(form)) < 1 and "at most" in sentence:
        return [(f"Remove {percent(most, 0)}", lambda: _prune_at_most(form, most))]
    fields = {p: s for p, s in draft.walk() if not is_part(s)}
    steps = draft.parsed("train.steps", fields["train.steps"])
    ends = {p: draft.parsed(p, s) for p, s in fields.items() if p.startswith("prune.schedule:") and s.unit == "steps"}
    last = max((v for p, v in ends.items() if isinstance(v, int) and not p.endswith(".every")), default=0)
    if part == "prune" and isinstance(steps, int) and last > steps > 1:

        def squeeze() -> None:
            for path, value in ends.items():
                if isinstance(value, int) and not path.endswith(".every"):
                    draft.put(path, value * steps // last * 3 // 4 if last else value)
            form.commit()

        return [(f"Fit pruning into {count(steps)} steps", squeeze)]
    if part == "train" and "Batch size must be at most" in sentence:
        kind = draft.part("data", next(s for s in Experiment.fields() if s.name == "data"))
        most = kind[0](**_values(form, *kind)).info.train if kind else 0  # type: ignore[attr-defined]
        return [(f"Use {count(most)}", lambda: form.put("train.batch_size", most))]
    return []
