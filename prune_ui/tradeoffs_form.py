"""The form that makes a sweep: the experiment from the Train page, what varies in it, what it costs, and the button."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from prune_core.errors import ConfigError, LabError
from prune_core.experiment import Experiment
from prune_core.figures.words import count, plural
from prune_core.jobs import Estimate
from prune_core.sweeping import Grid, Halving, Points, RandomSample, Search, Space, Sweep
from prune_ui import tradeoffs_state as state
from prune_ui import train_form
from prune_ui.explain import duration
from prune_ui.fields import plain
from prune_ui.naming import describe
from prune_ui.session import Key
from prune_ui.tradeoffs_cost import estimates
from prune_ui.tradeoffs_fields import SweptField, fields_of

KINDS = {"grid": "Every combination", "points": "A list", "random": "At random", "search": "Search"}
WHAT = {
    "grid": "Each value with each value of the others.",
    "points": "The rows of a table, as they stand there.",
    "random": "Values drawn one by one; a range is drawn from evenly.",
    "search": "Each run chosen from what came out so far, towards the best trade-offs (Optuna's TPE).",
}
OBJECTIVES = {
    "accuracy": "accuracy (high)", "kept_bytes": "bytes (low)", "kept_macs": "MACs (low)",
    "sparsity": "sparsity (high)", "latency_ms": "latency (low)", "loss": "loss (low)",
}  # fmt: skip
START = {"kind": "grid", "paths": ("prune.criterion", "prune.schedule.final", "train.seed"), "trials": 40, "seed": 0,
         "objectives": ("accuracy", "kept_bytes"), "halving": False, "min_steps": 100, "factor": 3,
         "name": ""}  # fmt: skip

# what was set, by the names of START and "values:<kind>:<path>"
DRAFT: Key[dict[str, Any]] = Key("tradeoffs/draft", {})


def show() -> None:
    """Draw the form; while the cost is being found out it looks again by itself."""
    pending = st.session_state.get("tradeoffs/pending", False)
    st.fragment(_form, run_every=0.5 if pending else None)(pending)


def _form(pending: bool) -> None:
    form = train_form.train_form()
    base = form.value
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Starts from** {plain(describe(base)) if base is not None else 'what stands on Train'}")
        st.page_link("pages/train.py", label="Change it on Train", icon=":material/tune:")
    if base is None:
        st.error(f"The settings on Train cannot be run: {plain(form.built.reason)}", icon=":material/error:")
        return
    fields = fields_of(base)
    _set_widgets(fields)
    kind = str(_get("kind"))
    sweep, sentence = None, ""
    try:
        sweep = _sweep(base, _space(kind, fields))
    except ConfigError as error:
        sentence = str(error)
    found = estimates.ask(sweep) if sweep is not None else None
    if isinstance(found, LabError):
        sentence = str(found)
    if sentence:
        st.error(plain(sentence), icon=":material/error:")
    if sweep is not None:
        st.markdown(_cost_words(sweep, found if isinstance(found, Estimate) else None))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        _text("name", "Name", "what it is to answer, say")
        n = sweep.total if sweep is not None else 0
        st.button(
            f"Start {plural(n, 'run')}" if n else "Start", key="tradeoffs/start", type="primary",
            icon=":material/play_arrow:", disabled=sweep is None or isinstance(found, LabError),
            on_click=_start, args=(sweep, found if isinstance(found, Estimate) else None),
        )  # fmt: skip
    waits = sweep is not None and found is None
    if waits != pending or state.AGAIN.pop():  # another pace from now on, or the page below has changed
        st.session_state["tradeoffs/pending"] = waits
        st.rerun()


def _start(sweep: Sweep, estimate: Estimate | None) -> None:
    state.start(sweep, str(_get("name")), estimate)
    estimates.forget()


def _cost_words(sweep: Sweep, cost: Estimate | None) -> str:
    """How many runs, how many of them are there already, and how long it will take."""
    if cost is None:
        return f"**{plural(sweep.total, 'run')}** · finding out what they cost ..."
    parts = [f"**{plural(cost.members, 'run')}**"]
    if cost.reused:
        parts.append(f"{count(cost.reused)} of them there already")
    if cost.steps_spared:
        parts.append(f"{count(cost.steps_spared)} of {plural(cost.steps + cost.steps_spared, 'step')} shared")
    parts.append(
        f"about **{duration(cost.seconds)}** with {plural(cost.workers, 'worker')}"
        if cost.steps
        else "nothing left to run"
    )
    return " · ".join(parts)


# --- what varies ------------------------------------------------------------------------------------------------------
def _set_widgets(fields: dict[str, SweptField]) -> None:
    kind = str(_get("kind"))
    key = _widget("kind", kind)
    st.segmented_control(
        "Which combinations", list(KINDS), default=kind, key=key, format_func=KINDS.__getitem__, required=True,
        on_change=_take, args=("kind", key), help="\n\n".join(f"**{KINDS[k]}**: {WHAT[k]}" for k in KINDS),
    )  # fmt: skip
    paths = [p for p in _get("paths") if p in fields]
    key = _widget("paths", paths)
    st.multiselect(
        "What varies", list(fields), paths, key=key, format_func=lambda p: fields[p].title, on_change=_take,
        args=("paths", key), placeholder="any setting",
    )  # fmt: skip
    if kind == "points":
        _table(fields, paths)
    else:
        for path in paths:
            _values(fields[path], kind)
    if kind in ("random", "search"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            _number("trials", "Runs", 1, 100_000)
            _number("seed", "Seed of the draw", 0, 2**31 - 1)
            if kind == "search":
                _objectives()
    _early(kind)


def _values(field: SweptField, kind: str) -> None:
    """The values of one field as chips; numbers can be typed, ranges too."""
    drawn = kind in ("random", "search")
    name = f"values:{'drawn' if drawn else 'given'}:{field.path}"
    texts = [str(t) for t in DRAFT.get().get(name, field.first(drawn=drawn))]
    texts = [t for t in texts if not field.options or t in field.options] or field.first(drawn=drawn)
    key = _widget(name, texts)
    typed = not field.options
    how = "Type a number, or a range: 0.5..0.9 takes five values evenly, 0.5..0.9:3 three."
    if drawn:
        how = "Type a range to draw from, such as 0.5..0.99, or several values of which each is as likely."
    st.multiselect(
        field.title, list(dict.fromkeys([*(field.options or texts), *texts])), texts, key=key, on_change=_take,
        args=(name, key), format_func=lambda t: field.labels.get(t, t), accept_new_options=typed,
        help=how if typed else None, placeholder="type a value" if typed else "choose",
    )  # fmt: skip


def _table(fields: dict[str, SweptField], paths: list[str]) -> None:
    """A row a run; what is typed becomes part of the draft."""
    rows = DRAFT.get().get("rows") or [{p: (fields[p].first(drawn=False) or [""])[0] for p in paths}]
    table = pd.DataFrame([{p: str(row.get(p, "")) for p in paths} for row in rows], columns=paths, dtype=str)
    config: dict[str, Any] = {
        p: st.column_config.SelectboxColumn(fields[p].title, options=list(fields[p].options))
        if fields[p].options
        else st.column_config.TextColumn(fields[p].title)
        for p in paths
    }
    edited = st.data_editor(
        table, key=f"tradeoffs/rows/{','.join(paths)}", num_rows="dynamic", hide_index=True, column_config=config
    )
    st.session_state["tradeoffs/edited"] = edited.to_dict("records")
    st.caption("A row a run. An empty cell leaves that setting as it is.")


def _space(kind: str, fields: dict[str, SweptField]) -> Space:
    """What is set as a space. Raises ConfigError naming what is wrong."""
    paths = [p for p in _get("paths") if p in fields]
    if not paths:
        raise ConfigError("Choose at least one setting that varies.")
    if kind == "points":
        rows = []
        for row in st.session_state.get("tradeoffs/edited", []):
            texts = {p: str(row.get(p) or "").strip() for p in paths}
            cells = {p: text for p, text in texts.items() if text not in ("", "nan")}
            if cells:
                rows.append({p: fields[p].values([text])[0] for p, text in cells.items()})
        if not rows:
            raise ConfigError("Fill in at least one row: each is a run.")
        return Points(points=tuple(rows))
    drawn = kind in ("random", "search")
    given: dict[str, list[str]] = {
        p: DRAFT.get().get(f"values:{'drawn' if drawn else 'given'}:{p}", fields[p].first(drawn=drawn)) for p in paths
    }
    if not drawn:
        return Grid(vary={p: tuple(fields[p].values(texts)) for p, texts in given.items()})
    vary: dict[str, Any] = {p: fields[p].drawn(texts) for p, texts in given.items()}
    if kind == "random":
        return RandomSample(vary=vary, n=int(_get("trials")), seed=int(_get("seed")))
    return Search(
        vary=vary, trials=int(_get("trials")), seed=int(_get("seed")), objectives=tuple(_get("objectives"))
    )  # fmt: skip


def _sweep(base: Experiment, space: Space) -> Sweep:
    many = isinstance(space, Search) and len(space.objectives) > 1
    wanted = bool(_get("halving")) and not many
    halving = Halving(min_steps=int(_get("min_steps")), factor=int(_get("factor"))) if wanted else None
    return Sweep(experiment=base, space=space, halving=halving)


def _objectives() -> None:
    chosen = [name for name in _get("objectives") if name in OBJECTIVES]
    key = _widget("objectives", chosen)
    st.multiselect(
        "What is wanted", list(OBJECTIVES), chosen, key=key, format_func=OBJECTIVES.__getitem__, max_selections=3,
        width=360,
        on_change=_take, args=("objectives", key),
        help="Up to three at once; the search looks for their best trade-offs.",
    )  # fmt: skip


def _early(kind: str) -> None:
    many = kind == "search" and len(_get("objectives")) > 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        key = _widget("halving", bool(_get("halving")))
        st.toggle(
            "Stop hopeless runs early", bool(_get("halving")), key=key, on_change=_take, args=("halving", key),
            disabled=many,
            help="Successive halving: at each rung only the best go on. A run that prunes late looks better at first "
            "than it will be.",
        )  # fmt: skip
        if many:
            st.caption("Only where one thing is wanted: in mid-run nobody knows how it will rank by two.")
        elif _get("halving"):
            _number("min_steps", "Not before step", 1, 10_000_000)
            _number("factor", "One in so many goes on", 2, 100)


# --- the draft --------------------------------------------------------------------------------------------------------
def _get(name: str) -> Any:
    return DRAFT.get().get(name, START.get(name))


def _take(name: str, key: str) -> None:
    value = st.session_state[key]
    DRAFT.set({**DRAFT.get(), name: list(value) if isinstance(value, list | tuple) else value})


def _widget(name: str, value: Any) -> str:
    """The widget's key; it shows the draft's value, also after a look at another page."""
    key = f"tradeoffs/form/{name}"
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    return key


def _number(name: str, label: str, low: int, high: int) -> None:
    value = int(_get(name))
    key = _widget(name, value)
    st.number_input(label, low, high, value, 1, key=key, on_change=_take, args=(name, key), width=170)


def _text(name: str, label: str, hint: str) -> None:
    value = str(_get(name))
    key = _widget(name, value)
    st.text_input(label, value, key=key, on_change=_take, args=(name, key), placeholder=hint, max_chars=120, width=320)


def take(sweep: Sweep) -> None:
    """Put a sweep's experiment and fields into the forms, to start one like it."""
    train_form.train_form().take(sweep.experiment)
    fields = fields_of(sweep.experiment)
    DRAFT.set({**DRAFT.get(), "paths": [p for p in sweep.space.paths if p in fields]})
    state.OPEN.set(True)
