"""The four lanes of a race: what each has left, how well it does, and its charts on axes that all share."""

from __future__ import annotations

from typing import Any

import streamlit as st

from prune_core.comparing import blew_up
from prune_core.events import LayerSnapshot
from prune_core.experiment import Experiment
from prune_core.figures.drawing import empty
from prune_core.figures.lane_histograms import HEIGHT, draw_lane_histograms, lane_histograms_data
from prune_core.figures.race_progress import HEIGHT as LINES
from prune_core.figures.race_progress import Metric, draw_race_progress, race_progress_data
from prune_core.figures.words import count, number, percent, si
from prune_core.training import LANES, LaneName
from prune_ui import formulas
from prune_ui.chart import chart
from prune_ui.forms import Form
from prune_ui.live import LiveRun
from prune_ui.race_state import RaceView, wanted
from prune_ui.train_status import LOOKS

NAMES: dict[LaneName, str] = {
    "baseline": "Baseline", "clipping": "Clipping", "pruning": "Pruning", "both": "Both",
}  # fmt: skip
DOES: dict[LaneName, str] = {
    "baseline": "neither", "clipping": "limits updates", "pruning": "removes weights", "both": "does both",
}  # fmt: skip
LAYER = "race/layer"
NBSP = "\u00a0"


# --- cards ------------------------------------------------------------------------------------------------------------
def cards(view: RaceView | None) -> None:
    """A card a lane: four beside each other, on a narrow screen two by two."""
    st.html(f'<div class="lab-lanes">{"".join(_card(lane, view) for lane in LANES)}</div>')


def _card(lane: LaneName, view: RaceView | None) -> str:
    run = view.lanes.get(lane) if view is not None else None
    summary = run.record.summary if run is not None else {}
    left, total = summary.get("nonzero"), summary.get("parameters")
    share = left / total if left is not None and total else None
    accuracy = percent(float(run.evals["accuracy"].iloc[-1])) if run is not None and len(run.evals) else "–"
    loss = number(run.last["loss"]) if run is not None and run.last else "–"
    state, colour = _state(run)
    bar = f'<span class="lab-lane-bar"><i style="width:{100 * (share or 0):.1f}%"></i></span>'
    removed = "" if share is None else f"{count(total - left)} removed"  # type: ignore[operator]
    figures = "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd></div>"
        for name, value in (
            ("Test accuracy", accuracy),
            ("Loss", loss),
            ("On disk", _of(summary.get("kept_bytes"), _whole(view, summary), "B")),
            ("MACs", _of(summary.get("kept_macs"), summary.get("macs"), "")),
        )
    )
    return (
        f'<section class="lab-lane {lane}" data-lane="{lane}" aria-label="{NAMES[lane]}">'
        f'<header><span class="lab-dash {lane}" aria-hidden="true"></span><b>{NAMES[lane]}</b>'
        f'<em class="{colour}">{state}</em></header>'
        f'<p class="lab-lane-left"><strong>{"–" if left is None else count(left)}</strong>'
        f"<span>non-zero parameters</span></p>{bar}"
        f'<p class="lab-lane-gone">{removed or DOES[lane]}</p><dl>{figures}</dl></section>'
    )


def _state(run: LiveRun | None) -> tuple[str, str]:
    if run is None:
        return "", ""
    record = run.record
    if diverged(run):
        return "Diverged", "bad"
    if record.status == "stopped":
        return f"Stopped at step\u00a0{count(run.step)}", ""
    return LOOKS[record.status].label, "bad" if record.status == "failed" else ""


def _whole(view: RaceView | None, summary: dict[str, Any]) -> Any:
    """Bytes with nothing removed, stored the same way: those of the baseline."""
    lane = view.lanes.get("baseline") if view is not None else None
    return lane.record.summary.get("kept_bytes") if lane is not None else summary.get("dense_bytes")


def _of(kept: Any, dense: Any, unit: str) -> str:
    """What is left, and of how much; MACs and bytes as they were measured."""
    if kept is None or dense is None:
        return "–"
    shown, whole = si(float(kept), unit), si(float(dense), unit)
    if kept == dense:
        return shown
    size, _, of = shown.partition(NBSP)
    # the unit once where it is the same: in one line, or the card would grow when the first weight goes
    return f"{size if whole.partition(NBSP)[2] == of else shown} <small>of {whole}</small>"


def diverged(run: LiveRun) -> bool:
    """Whether its numbers overflowed, or its test loss says that it does far worse than guessing."""
    record = run.record
    if record.status == "diverged":
        return True
    return bool(len(run.evals)) and blew_up(record.loss, record.experiment.data.info.classes)


# --- formulas ---------------------------------------------------------------------------------------------------------
def in_formulas(form: Form[Experiment], view: RaceView | None) -> None:
    """What the two lanes that do one thing alone do, as formulas with their numbers."""
    if view is None:
        formulas.show("race", formulas.of_experiment(form.value))
        return
    clips, prunes = (view.lanes.get(lane) or view.lanes.get("both") for lane in ("clipping", "pruning"))
    layer = str(st.session_state.get(LAYER, ""))
    found = formulas.clipping(clips, lane=True) if clips is not None else []
    formulas.show("race", found + (formulas.pruning(prunes, layer, lane=True) if prunes is not None else []))


# --- charts -----------------------------------------------------------------------------------------------------------
def progress(view: RaceView | None) -> None:
    """Accuracy and loss, four lines each."""
    for column, metric in zip(st.columns(2, gap="medium"), ("accuracy", "loss"), strict=True):
        with column:
            figure = _blank(metric) if view is None else lines(view, metric)  # type: ignore[arg-type]
            chart(figure, key=f"race/{metric}", height=LINES, alt=figure["layout"]["meta"]["alt"])


def lines(view: RaceView, metric: Metric) -> dict[str, Any]:
    """Accuracy or loss of the lanes, drawn once a version for all who watch."""

    def make(_: LiveRun) -> dict[str, Any]:
        lanes: dict[Any, Any] = {
            lane: {"history": run.history, "evals": run.evals, "diverged": run.record.status == "diverged"}
            for lane, run in view.lanes.items()
        }
        marks = max((run.marks for run in view.lanes.values()), key=len)
        return draw_race_progress.plain(race_progress_data(lanes, metric, view.first.record.steps, marks))

    return view.first.made((metric, view.version), make)


def _blank(metric: Metric) -> dict[str, Any]:
    return draw_race_progress.plain(race_progress_data({}, metric))


def histograms(view: RaceView | None) -> None:
    """Weights and gradient of one layer in each lane."""
    layers = _layers(view)
    names = list(layers)
    if names:
        largest = max(names, key=lambda n: next(iter(layers[n].values())).numel)
        if st.session_state.get(LAYER) not in layers:
            st.session_state[LAYER] = largest
        chosen = st.selectbox(
            "Layer", names, names.index(st.session_state[LAYER]), key=LAYER, width=320, label_visibility="collapsed",
            format_func=lambda n: f"Layer {n}  ·  {count(next(iter(layers[n].values())).numel)} weights",
        )  # fmt: skip
    else:
        chosen = ""
        st.caption("The histograms come with the first steps.")
    threshold = _threshold(view)
    for column, lane in zip(st.columns(4, gap="small"), LANES, strict=True):
        with column:
            figure = _histogram(view, lane, layers.get(chosen, {}), threshold)
            chart(figure, key=f"race/lane/{lane}", height=HEIGHT, alt=figure["layout"]["meta"]["alt"])


def _layers(view: RaceView | None) -> dict[str, dict[LaneName, LayerSnapshot]]:
    """Each layer by lane, as of the lanes' newest snapshots."""
    found: dict[str, dict[LaneName, LayerSnapshot]] = {}
    for lane, run in view.lanes.items() if view is not None else ():
        for layer in run.snapshot.layers if run.snapshot is not None else ():
            found.setdefault(layer.name, {})[lane] = layer
    return found


def _threshold(view: RaceView | None) -> float | None:
    """Where clipping by value cuts the gradient's entries; other ways of clipping have no such place."""
    clip = view.experiment.clip if view is not None else None
    if view is None or clip is None or clip.kind != "value":
        return None
    return wanted(view).get("clip_threshold")


def _histogram(
    view: RaceView | None, lane: LaneName, layers: dict[LaneName, LayerSnapshot], threshold: float | None
) -> dict[str, Any]:
    if view is None or lane not in layers:
        figure = empty(f"{lane.capitalize()}, in detail", "Not yet.", x="weight", y="weights", height=HEIGHT)
        figure["layout"]["meta"]["theme"] = "light"
        return figure
    line = threshold if lane in ("clipping", "both") else None
    run, layer = view.lanes[lane], layers[lane]
    step = run.snapshot.step if run.snapshot is not None else 0

    def make(_: LiveRun) -> dict[str, Any]:
        beside = [one for name, one in layers.items() if name != lane]
        return draw_lane_histograms.plain(lane_histograms_data(lane, layer, step, line, beside))

    others = tuple(one.snapshot.step if one.snapshot is not None else -1 for one in view.lanes.values())
    return run.made(("histograms", layer.name, line, others), make)
