"""Which race is on the page, and what buttons and sliders do with it. Every mistake becomes a sentence on the page."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from prune_core.errors import LabError, RunNotFoundError, StoreUnavailableError
from prune_core.events import InterventionField
from prune_core.experiment import Experiment
from prune_core.tracking import SAMPLE_RACE, Races
from prune_core.training import LaneName
from prune_core.training.lockstep import fields_of
from prune_ui import race_link, session, steering
from prune_ui.forms import Form
from prune_ui.live import LiveRun, feed
from prune_ui.session import Key
from prune_ui.steering import Asked
from prune_ui.train_actions import NOTHING, in_force

PAGE = "race"
RACE = "race"  # the URL's name for the race that is shown
Mode = Literal["restart", "intervene"]
MODES: dict[Mode, str] = {"restart": "restarts the race", "intervene": "changes the running race"}
PACES: dict[str, float | None] = {"full": None, "slow": 40.0, "slower": 8.0}  # steps/s

SHOWN: Key[str] = Key("race/shown", "")  # empty: the sample
SAID: Key[str] = Key("race/said", "")  # a sentence to show once
AGAIN: Key[bool] = Key("race/again", False)  # a fragment changed something outside itself
MODE: Key[Mode] = Key("race/mode", "restart")
PACE: Key[str] = Key("race/pace", "full")
ASKED: Key[Asked] = Key("race/asked", {})


@dataclass(frozen=True)
class RaceView:
    """A race as of one moment: its lanes, each what the live feed has of it."""

    id: str
    lanes: dict[LaneName, LiveRun]

    @property
    def first(self) -> LiveRun:
        """Any lane: what they have in common."""
        return next(iter(self.lanes.values()))

    @property
    def experiment(self) -> Experiment:
        """What the race was made from; of the lane that has most of it where "both" is gone."""
        return self.lanes.get("both", self.first).record.experiment

    @property
    def sample(self) -> bool:
        """Whether it is the one that ships with the lab."""
        return self.first.record.read_only

    @property
    def mine(self) -> bool:
        """Whether this visitor may steer it."""
        return session.may_control(self.first.record)

    @property
    def going(self) -> list[LiveRun]:
        """The lanes that have not ended."""
        return [run for run in self.lanes.values() if run.active]

    @property
    def active(self) -> bool:
        """Whether any lane waits, runs or is paused."""
        return bool(self.going)

    @property
    def status(self) -> str:
        """queued, running or paused while it goes; else finished, or what became of the lanes if that is worse."""
        found = [run.record.status for run in (self.going or self.lanes.values())]
        for status in ("running", "paused", "queued", "failed", "stopped", "cancelled"):
            if status in found:
                return status
        return "finished"

    @property
    def step(self) -> int:
        """Steps made by the slowest lane that still goes, or by the one that came furthest."""
        return min((run.step for run in self.going), default=max(run.step for run in self.lanes.values()))

    @property
    def changed(self) -> bool:
        """Whether somebody changed something in mid-race."""
        return any(len(run.marks) for run in self.lanes.values())

    @property
    def version(self) -> tuple[int, ...]:
        """Changes with everything that is shown."""
        return tuple(run.version for run in self.lanes.values())


# --- the race on the page ---------------------------------------------------------------------------------------------
def open_link(form: Form[Experiment]) -> list[str]:
    """Take what the URL says; returns a sentence for each part of it that means nothing."""
    params = session.read_link(PAGE)
    if params is None:
        return []
    if RACE not in params and session.RUN in params:  # a link from when Train was the first page
        st.switch_page("pages/train.py", query_params=params)
    race = params.pop(RACE, "")[:64]
    SHOWN.set(race)
    wrong = form.read(params) if params else []
    race_link.fill(form, params)
    if race and not params:
        with contextlib.suppress(LabError):  # the picture says that there is no such race
            form.take(view_of(race).experiment)
    return wrong


def keep_link(form: Form[Experiment], first: dict[str, str]) -> None:
    """Make the URL say what is on the page; nothing while that is what everybody sees first (``first``)."""
    shown, params = SHOWN.get(), form.draft.params()
    race = shown if shown not in ("", NOTHING) else ""
    session.write_link(PAGE, {} if not race and params == first else {**params, RACE: race})


def shown() -> RaceView | None:
    """The race on the page: the chosen one, else the sample; None after Reset. Says so where one is gone."""
    race = SHOWN.get()
    if race == NOTHING:
        return None
    if race:
        try:
            return view_of(race)
        except StoreUnavailableError as error:  # busy or away: the race stays in the link, and is looked for again
            SAID.set(str(error))
            return None
        except RunNotFoundError:
            SAID.set(f"There is no race {race[:32]} in this lab; it may have been deleted. This is the sample race.")
        except LabError as error:
            SAID.set(str(error))
        SHOWN.set("")
    try:
        return view_of(SAMPLE_RACE)
    except LabError:
        return None


def away() -> bool:
    """Whether a race was chosen; where none is shown all the same, its store could not be read just now."""
    return SHOWN.get() not in ("", NOTHING)


_lanes: OrderedDict[tuple[int, str], dict[LaneName, str]] = OrderedDict()  # never change once they are there
MOST_RACES = 256


def view_of(race: str, *, now: bool = False) -> RaceView:
    """A race as the feed has it; ``now`` reads what is new first. Raises RunNotFoundError."""
    store = session.store()
    key = (id(store), race)
    if key not in _lanes:
        _lanes[key] = Races(store).lanes(race)
        while len(_lanes) > MOST_RACES:
            _lanes.popitem(last=False)
    try:
        view = RaceView(race, {lane: feed().get(run_id, now=now) for lane, run_id in _lanes[key].items()})
    except RunNotFoundError:
        _lanes.pop(key, None)  # a lane was purged: look again which are left
        raise
    _ = view.experiment  # raises ConfigError where this process does not know a part of it
    return view


def act(action: Callable[[], object]) -> bool:
    """Do it; a LabError becomes a sentence on the page. Returns whether it went well."""
    return steering.act(action, SAID)


# --- buttons ----------------------------------------------------------------------------------------------------------
def launch(form: Form[Experiment], *, one_step: bool = False) -> None:
    """Start a race with the form's settings and show it; one's own that still goes ends."""
    experiment = form.value
    if experiment is None:
        SAID.set(form.built.reason)
        return
    before = SHOWN.get()

    def start() -> None:
        handle = session.lab().race(experiment, owner=session.owner())
        if (pace := PACES[PACE.get()]) is not None:
            handle.pace(pace)
        if one_step:
            handle.step(1)
        SHOWN.set(handle.id)
        AGAIN.set(True)

    if act(start) and before.startswith("race-"):
        _end(before)


def steer(race: str, what: str) -> None:
    """pause, resume, step, stop or retry a race of one's own."""
    if _may(race) and act(lambda: getattr(session.lab().race_handle(race), what)()):
        act(lambda: view_of(race, now=True))


def reset() -> None:
    """Back to the start: the race ends, its runs stay under Runs; the settings stay as they are."""
    race = SHOWN.get()
    if race.startswith("race-"):
        _end(race)
    SHOWN.set(NOTHING)
    AGAIN.set(True)


def set_pace(name: str) -> None:
    """How fast it goes: this race, and the next one."""
    PACE.set(name)
    race = SHOWN.get()
    with contextlib.suppress(LabError):
        if race.startswith("race-") and (view := view_of(race)).active and view.mine:
            act(lambda: session.lab().race_handle(race).pace(PACES[name]))


def _end(race: str) -> None:
    with contextlib.suppress(LabError):
        view = view_of(race)
        if view.active and view.mine:
            session.lab().race_handle(race).stop()


def _may(race: str) -> bool:
    """Checked again with every click: the page may be older than the race's owner."""
    try:
        run_id = next(iter(Races(session.store()).lanes(race).values()))
        if session.may_control(session.store().run(run_id)):
            return True
        SAID.set("This race belongs to somebody else: you can watch it, and start your own with its settings.")
    except LabError as error:
        SAID.set(str(error))
    return False


# --- in mid-race ------------------------------------------------------------------------------------------------------
def intervene(race: str, field: InterventionField, value: float) -> None:
    """Change a setting of a race of one's own, in all lanes that have it, from the same step on."""
    changed: dict[InterventionField, float] = {field: value}
    if _may(race) and act(lambda: session.lab().race_handle(race).set(**changed, sender="page")):
        steering.ask(ASKED, race, field, value)


def wanted(view: RaceView) -> dict[InterventionField, float]:
    """The values that hold now, with what this visitor has just asked for: no slider jumps back."""
    values: dict[InterventionField, float] = {}
    for run in view.lanes.values():  # of lanes that have a setting, the one that still goes knows it best
        found = in_force(run)
        values |= {f: v for f, v in found.items() if f not in values or run.active}
    values = {f: v for f, v in values.items() if f in fields_of(view.experiment)}
    return steering.wanted(ASKED, view.id, values, paused=view.status == "paused")
