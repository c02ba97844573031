"""What buttons, sliders and the dragged line of the Train page do. Every mistake becomes a sentence on the page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from prune_core.errors import LabError, RunNotFoundError, StoreUnavailableError
from prune_core.events import InterventionField
from prune_core.experiment import Experiment
from prune_ui import cache, session, steering
from prune_ui.forms import Form
from prune_ui.live import LiveRun, feed
from prune_ui.session import Key
from prune_ui.steering import Asked

PAGE = "train"
NOTHING = "-"  # after Reset: no run is shown, not even the sample

SHOWN: Key[str] = Key("train/run", "")  # empty: the sample run
SAID: Key[str] = Key("train/said", "")  # a sentence to show once
ASKED: Key[Asked] = Key("train/asked", {})
LAUNCHED: Key[bool] = Key("train/launched", False)  # this very click began a run
AGAIN: Key[bool] = Key("train/again", False)  # a fragment changed something outside itself


def open_link(form: Form[Experiment]) -> list[str]:
    """Take what the URL says; returns a sentence for each part of it that means nothing."""
    params = session.read_link(PAGE)
    if params is None:
        return []
    run_id = params.pop(session.RUN, "")
    SHOWN.set(run_id)
    wrong = form.read(params) if params else []
    if run_id and not params:
        with contextlib.suppress(LabError):  # the picture says that there is no such run
            form.take(feed().get(run_id).record.experiment)
    return wrong


def keep_link(form: Form[Experiment], first: dict[str, str]) -> None:
    """Make the URL say what is on the page; nothing while that is what everybody sees first (``first``)."""
    shown = SHOWN.get()
    params = form.draft.params()
    run_id = shown if shown not in ("", NOTHING) else ""
    session.write_link(PAGE, {} if not run_id and params == first else {**params, session.RUN: run_id})


def shown_run() -> LiveRun | None:
    """The run on the page: the chosen one, else the sample; None where there is neither. Says so where one is gone.

    None also while the store does not answer; then ``away`` is true, and asking again later may give the run.
    """
    run_id = SHOWN.get()
    if run_id == NOTHING:
        return None
    if run_id:
        try:
            return _readable(feed().get(run_id))
        except RunNotFoundError:
            SAID.set(f"There is no run {run_id[:32]} in this lab; it may have been deleted. This is the sample run.")
        except StoreUnavailableError as error:  # busy or away: the run stays in the link, and is looked for again
            SAID.set(str(error))
            return None
        except LabError as error:
            SAID.set(str(error))
        SHOWN.set("")
    for sample in cache.samples():
        try:
            return _readable(feed().get(sample.id))
        except LabError as error:
            SAID.set(str(error))
    return None


def away(run: LiveRun | None) -> bool:
    """Whether a run was chosen that could not be read just now."""
    return run is None and SHOWN.get() not in ("", NOTHING)


def _readable(run: LiveRun) -> LiveRun:
    """The run, if this process knows every part of its experiment. Raises ConfigError where it does not."""
    _ = run.record.experiment
    return run


def act(action: Callable[[], object]) -> bool:
    """Do it; a LabError becomes a sentence on the page. Returns whether it went well."""
    return steering.act(action, SAID)


# --- buttons ----------------------------------------------------------------------------------------------------------
def train(form: Form[Experiment], *, one_step: bool = False) -> None:
    """Launch the form's experiment and show it; with ``one_step`` it holds after the first step."""
    experiment = form.value
    if experiment is None:
        SAID.set(form.built.reason)
        return

    def launch() -> None:
        handle = session.lab().launch(experiment, owner=session.owner())
        if one_step:
            handle.step(1)
        SHOWN.set(handle.id)
        LAUNCHED.set(True)
        AGAIN.set(True)

    act(launch)


def steer(run_id: str, what: str) -> None:
    """pause, resume, step, stop, cancel or retry a run of one's own."""
    if not may_steer(run_id):
        return
    if act(lambda: getattr(session.lab().handle(run_id), what)()):
        _look_again(run_id)


def reset(run_id: str = "") -> None:
    """Back to the start: the run ends, its record stays under Runs; the settings stay as they are."""
    if run_id and session.may_control(feed().get(run_id).record) and feed().get(run_id).active:
        act(session.lab().handle(run_id).stop)
    SHOWN.set(NOTHING)
    AGAIN.set(True)


def copy_settings(form: Form[Experiment], run: LiveRun) -> None:
    """Put the settings of the run on the page into the form."""
    form.take(run.record.experiment)
    AGAIN.set(True)


# --- in mid-run -------------------------------------------------------------------------------------------------------
def intervene(run_id: str, field: InterventionField, value: float) -> None:
    """Change a setting of a run of one's own from the next step on."""
    changed: dict[str, float] = {field: value}
    if may_steer(run_id) and act(lambda: session.lab().handle(run_id).set(**changed, sender="page")):
        steering.ask(ASKED, run_id, field, value)


def drag_threshold(form: Form[Experiment], run: LiveRun, value: float) -> None:
    """The threshold line was moved: in mid-run an intervention, otherwise a setting for the next run."""
    value = float(f"{value:.3g}")
    if run.active and session.may_control(run.record):
        intervene(run.record.id, "clip_threshold", value)
        return
    clip = run.record.experiment.clip
    if clip is None or run.active:
        return
    form.put("clip", clip.registered_as)
    form.put(f"clip.{clip.threshold_field}", value)
    AGAIN.set(True)


def wanted(run: LiveRun) -> dict[InterventionField, float]:
    """``in_force``, with what this visitor has just asked for and the run has not used yet: no slider jumps back."""
    return steering.wanted(ASKED, run.record.id, in_force(run), paused=run.record.status == "paused")


def in_force(run: LiveRun, step: int | None = None) -> dict[InterventionField, float]:
    """The values that hold now, or held in ``step``: the experiment's, changed by what was done in mid-run."""
    experiment = run.record.experiment
    values: dict[InterventionField, float] = {"lr": experiment.train.lr}
    if experiment.clip is not None:
        values["clip_threshold"] = experiment.clip.threshold
    if experiment.prune is not None:
        values["sparsity"] = experiment.prune.schedule.final
    for at, field, value in zip(run.marks["step"], run.marks["field"], run.marks["value"], strict=True):
        if field in values and (step is None or at <= step):
            values[field] = float(value)
    return values


def may_steer(run_id: str) -> bool:
    """Checked again with every click: the page may be older than the run's owner."""
    try:
        if session.may_control(session.store().run(run_id)):
            return True
        SAID.set("This run belongs to somebody else: you can watch it, and train your own with its settings.")
    except LabError as error:
        SAID.set(str(error))
    return False


def _look_again(run_id: str) -> None:
    act(lambda: feed().get(run_id, now=True))
