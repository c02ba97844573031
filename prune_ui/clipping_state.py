"""What stands on the Clipping page: whose gradient, at which moment, each strategy's threshold; and the URL."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from prune_core.clipping import cliff
from prune_core.clipping.curves import Lane
from prune_core.data import Digits
from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.figures.clip_layers import Shown
from prune_core.jobs import GradientRequest
from prune_core.models import SmallCNN
from prune_core.tracking import files
from prune_ui import session
from prune_ui.forms import Form
from prune_ui.naming import describe
from prune_ui.runs_table import described, listing
from prune_ui.session import RUN, Key

PAGE = "clipping"
RUNS, FRESH = "A run", "A model trained now"
MOST_LISTED = 100
MOMENTS = (0, 10, 50, 200, 1000)
END = "end"
FIRST_MOMENT, FIRST_EXAMPLES = "50", 64
SKIP = frozenset({"start", "clip", "prune"})  # the gradient is looked at before any of that
OWN = frozenset({"at", "examples", "draw", "strategy", "layers", "cliff", "cliff_lr", "cliff_clip"})  # in the link
EXAMPLES = (16, 64, 256, 1024)
LR_SPAN, CLIP_SPAN = (0.05, 8.0), (0.01, 10.0)
FIRST_LR, FIRST_CLIP = 1.0, 0.25

KIND: Key[str] = Key("clipping/kind", RUNS)
CHOSEN: Key[str] = Key("clipping/run", "")
MOMENT: Key[str] = Key("clipping/moment", FIRST_MOMENT)
BATCH: Key[int] = Key("clipping/examples", FIRST_EXAMPLES)
DRAW: Key[int] = Key("clipping/draw", 0)
LANE: Key[str] = Key("clipping/lane", "value")
SHOWN: Key[Shown] = Key("clipping/shown", "changed")
AT: Key[dict[str, float]] = Key("clipping/at", {})
"""Thresholds that were chosen, by lane; the others have their defaults."""
CLIFF_LR: Key[float] = Key("clipping/cliff_lr", FIRST_LR)
CLIFF_CLIP: Key[float] = Key("clipping/cliff_clip", FIRST_CLIP)
CLIFF_SHOWN: Key[str] = Key("clipping/cliff_shown", "map")
LOST: Key[str] = Key("clipping/lost", "")
SAID: Key[str] = Key("clipping/said", "")
WINDOW: Key[str] = Key("clipping/window", "")


@dataclass(frozen=True)
class Source:
    """Whose gradient is shown: in words, and as the question to the engine; ``experiment`` is what trains it."""

    name: str
    request: GradientRequest
    experiment: Experiment

    @property
    def key(self) -> str:
        """Changes whenever the gradient does: also when the run's checkpoint is written anew."""
        try:
            stamp = str(files.stamp(self.request.run) or "") if self.request.run else ""
        except LabError:  # shared files that cannot be reached: the engine says so
            stamp = ""
        return f"{stamp}/{self.request.model_dump_json()}"


def fresh_form() -> Form[Experiment]:
    """What to train now: data, model, learning rate and seed."""
    return Form("clipping/fresh", Experiment, Experiment(data=Digits(), model=SmallCNN()), skip=SKIP)


# --- the link ---------------------------------------------------------------------------------------------------------
def open_link() -> None:
    """Take what the URL says; what means nothing is left as it is."""
    params = session.read_link(PAGE)
    if params is None:
        return
    LOST.set("")
    if "data" in params or "model" in params:
        KIND.set(FRESH)
        fresh_form().read({k: v for k, v in params.items() if k not in OWN and not k.startswith("t.")})
    else:
        KIND.set(RUNS)
        CHOSEN.set(params.get(RUN, ""))
    if (moment := params.get("at", FIRST_MOMENT)) == END or moment.isdigit():
        MOMENT.set(moment)
    BATCH.set(_whole(params.get("examples"), EXAMPLES[0], EXAMPLES[-1], FIRST_EXAMPLES))
    DRAW.set(_whole(params.get("draw"), 0, 10_000, 0))
    LANE.set(params.get("strategy", "value"))
    SHOWN.set("turned" if params.get("layers") == "turned" else "left" if params.get("layers") == "left" else "changed")
    AT.set({name[2:]: t for name, text in params.items() if name.startswith("t.") and (t := _number(text)) > 0})
    CLIFF_SHOWN.set("surface" if params.get("cliff") == "surface" else "map")
    CLIFF_LR.set(_held(params.get("cliff_lr"), LR_SPAN, FIRST_LR))
    CLIFF_CLIP.set(_held(params.get("cliff_clip"), CLIP_SPAN, FIRST_CLIP))


def keep_link(source: Source | None) -> None:
    """Make the URL say what stands on the page; what is as by default is left out."""
    if source is None:
        session.write_link(PAGE, {})
        return
    of = {RUN: source.request.run} if source.request.run else fresh_form().draft.params()
    session.write_link(
        PAGE,
        {
            **of,
            "at": "" if MOMENT.get() == FIRST_MOMENT else MOMENT.get(),
            "examples": "" if BATCH.get() == FIRST_EXAMPLES else str(BATCH.get()),
            "draw": str(DRAW.get() or ""),
            "strategy": "" if LANE.get() == "value" else LANE.get(),
            "layers": "" if SHOWN.get() == "changed" else SHOWN.get(),
            **{f"t.{name}": f"{t:.4g}" for name, t in AT.get().items()},
            "cliff": "" if CLIFF_SHOWN.get() == "map" else CLIFF_SHOWN.get(),
            "cliff_lr": "" if CLIFF_LR.get() == FIRST_LR else f"{CLIFF_LR.get():.4g}",
            "cliff_clip": "" if CLIFF_CLIP.get() == FIRST_CLIP else f"{CLIFF_CLIP.get():.4g}",
        },
    )


# --- the source -------------------------------------------------------------------------------------------------------
def candidates() -> dict[str, str]:
    """Runs whose gradient can be had, by id, and what they are called; samples first, then the newest."""
    found: dict[str, str] = {}
    for row in listing().frame.to_dict("records"):
        if len(found) >= MOST_LISTED:
            break
        if row["status"] in ("queued", "failed", "cancelled") or not (row["sample"] or row["step"]):
            continue
        what = str(row["name"] or described(row))
        found[row["id"]] = f"{what} (sample)" if row["sample"] else what  # a narrow menu cuts off the end
    names = list(found.values())
    return {i: name if names.count(name) == 1 else f"{name} ({i[-4:]})" for i, name in found.items()}


def moments(steps: int) -> list[str]:
    """The moments that a run of ``steps`` updates has."""
    return [str(m) for m in MOMENTS if m < steps] + [END]


def moment_label(moment: str) -> str:
    """A moment in words."""
    return {"0": "Start", END: "End"}.get(moment, f"Step {moment}")


def source() -> Source | None:
    """What is chosen; None where there is nothing, or the form is wrong."""
    if KIND.get() == FRESH:
        experiment = fresh_form().value
        if experiment is None:
            return None
        _settle(experiment.train.steps)
        wanted = experiment.train.steps if MOMENT.get() == END else int(MOMENT.get())
        request = GradientRequest(experiment=experiment, step=wanted, examples=BATCH.get(), seed=DRAW.get())
        return Source(describe(experiment).split(" · ")[0], request, experiment)
    runs = candidates()
    run_id = CHOSEN.get()
    if run_id and run_id not in runs:
        LOST.set(run_id[:32])
        run_id = ""
    run_id = run_id or ("sample-dense" if "sample-dense" in runs else next(iter(runs), ""))
    if CHOSEN.get() != run_id:
        CHOSEN.set(run_id)
    if not run_id:
        return None
    record = session.store().run(run_id)
    _settle(record.step)
    step = None if MOMENT.get() == END else int(MOMENT.get())
    request = GradientRequest(run=run_id, step=step, examples=BATCH.get(), seed=DRAW.get())
    return Source(runs[run_id], request, record.experiment)


def steps(of: Source | None) -> int:
    """How many updates the moments are among."""
    if of is None or not of.request.run:
        return of.experiment.train.steps if of is not None else 400
    return session.store().run(of.request.run).step


def _settle(steps: int) -> None:
    """A moment that the run does not have becomes its end."""
    if MOMENT.get() not in moments(steps):
        MOMENT.set(END)


def window() -> str:
    """Names the browser's window to the worker: two windows of one person do not supersede each other's questions."""
    if not WINDOW.get():
        WINDOW.set(secrets.token_hex(8))
    return WINDOW.get()


# --- thresholds -------------------------------------------------------------------------------------------------------
def places(lanes: Sequence[Lane]) -> dict[str, int]:
    """Where each lane's slider stands: what was chosen, else its default; lanes without a curve have no place."""
    chosen = AT.get()
    return {lane.name: lane.nearest(chosen.get(lane.name, first(lane, lanes))) for lane in lanes if not lane.why}


def first(lane: Lane, lanes: Sequence[Lane]) -> float:
    """A lane's threshold at first: the strategy's own; of the other norms, what does the same as that one."""
    plain = next((one for one in lanes if one.name == "norm"), None)
    if lane.name.startswith("norm_") and plain is not None and not plain.why:
        return plain.strategy.threshold / plain.quiet * lane.quiet
    return lane.strategy.threshold


def set_threshold(name: str, value: float) -> None:
    """A slider or a line was moved: its strategy is the one in hand from now on."""
    AT.set({**AT.get(), name: float(value)})
    LANE.set(name)


def take(lane: Lane, value: float) -> None:
    """A line was moved: to the slider's nearest stop."""
    set_threshold(lane.name, float(lane.thresholds[lane.nearest(value)]))


def in_hand(lanes: Sequence[Lane]) -> Lane:
    """The strategy whose threshold the charts show; the first one where a link names none."""
    there = [lane for lane in lanes if not lane.why]
    return next((lane for lane in there if lane.name == LANE.get()), there[0] if there else lanes[0])


def descents() -> tuple[cliff.Path, ...]:
    """The paths on the cliff for the two sliders."""
    return tuple(cliff.descend(way, CLIFF_LR.get(), CLIFF_CLIP.get()) for way in cliff.WAYS)


def _number(text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _whole(text: str | None, low: int, high: int, default: int) -> int:
    value = _number(text)
    return default if math.isnan(value) else int(min(max(value, low), high))


def _held(text: str | None, span: tuple[float, float], default: float) -> float:
    value = _number(text)
    return default if math.isnan(value) else min(max(value, span[0]), span[1])
