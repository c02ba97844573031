"""The sentence under a race, from its stored runs, and the button that repeats the race with other seeds."""

from __future__ import annotations

import html
import time
from collections import OrderedDict

import pandas as pd
import streamlit as st

from prune_core.comparing import RACE_COLUMNS, RaceFinding, race_finding
from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.figures.words import plural
from prune_core.tracking import Repeats, race_row, repeat_space, repeats
from prune_ui import race_state as state
from prune_ui import session
from prune_ui.explain import IDEA, lesson
from prune_ui.race_state import RaceView
from prune_ui.session import Key

CHECK_S = 1.0  # how old what is known of repeats may be
MOST = 256
STARTED: Key[float] = Key("race/repeats started", 0.0)
PATIENCE_S = 20.0  # until the first run of a sweep is in the queue

_rows: OrderedDict[tuple[int, str], dict[str, object]] = OrderedDict()  # of runs that have ended, by store and run
_found: OrderedDict[tuple[int, str], tuple[float, Repeats]] = OrderedDict()  # by store and digest: when, and what


def sentence(view: RaceView | None) -> None:
    """What the race shows, in its own numbers; while it goes, what there is to see."""
    if view is None or not view.first.last:
        st.html(IDEA)
        return
    if view.active:
        run = view.lanes.get("both", view.first)
        found = lesson(view.experiment, run.means["clipped"], run.last.get("sparsity", 0.0), run.snapshot)
        st.html(found.html())
        return
    st.html(f'<p class="lab-lesson" data-race="{html.escape(view.id)}">{_html(finding(view))}</p>')


def finding(view: RaceView) -> RaceFinding:
    """The race's numbers, with those of its repeats unless somebody changed it in mid-race."""
    rows = [_row(run.record.id) for run in view.lanes.values()]
    if view.status == "stopped":
        return race_finding(pd.DataFrame(rows, columns=list(RACE_COLUMNS)), stopped=True)
    if not view.changed:
        rows += [_row(run_id) for run_id in _repeats(view.experiment).done.values()]
    return race_finding(pd.DataFrame(rows, columns=list(RACE_COLUMNS)))


def repeat(view: RaceView | None) -> None:
    """The button that makes one seed five, and how far that is."""
    if view is None or view.active:
        st.caption("When a race has ended it can be repeated with other seeds, and presented.")
        return
    if view.status == "stopped":
        st.caption("Stopped: these are the numbers up to there. *Go on* makes the rest of the steps.")
        return
    known = _repeats(view.experiment)
    done, total = len(known.done), known.total
    if view.changed:
        st.caption("It was changed while it went, so other seeds cannot repeat it: these are the numbers of one race.")
        return
    if done == total:
        st.caption(f"With {plural(total // 4, 'more seed')}: mean and 95 % interval of five races, pair by pair.")
        return
    if known.going or time.monotonic() - STARTED.get() < PATIENCE_S:
        st.progress(done / total, text=f"{done} of {plural(total, 'run')} with other seeds done")
        return
    st.button(
        "Repeat with 4 more seeds", key="race/repeat", icon=":material/repeat:", on_click=_start, args=(view,),
        help="16 more runs, the same but for their seeds. Then the sentence has means and 95 % intervals. "
        "Runs that are there already are not made again.",
    )  # fmt: skip


def waiting(view: RaceView | None) -> bool:
    """Whether repeats are on their way, so that the page has to look again."""
    if view is None or view.active or view.changed or view.status == "stopped":
        return False
    known = _repeats(view.experiment)
    young = time.monotonic() - STARTED.get() < PATIENCE_S
    return len(known.done) < known.total and (known.going > 0 or young)


def _start(view: RaceView) -> None:
    experiment = view.experiment

    def start() -> None:
        lab = session.lab()
        lab.sweep(
            experiment, repeat_space(experiment), name="Race with four more seeds", owner=session.owner(),
            where="workers",
        )  # fmt: skip
        STARTED.set(time.monotonic())
        _found.pop((id(session.store()), experiment.digest), None)
        state.AGAIN.set(True)

    state.act(start)


def _repeats(experiment: Experiment) -> Repeats:
    """Runs with other seeds, as of a moment ago, for all who look at this race."""
    store = session.store()
    key = (id(store), experiment.digest)
    at, found = _found.get(key, (0.0, None))
    if found is None or (len(found.done) < found.total and time.monotonic() - at > CHECK_S):
        try:
            found = repeats(store, experiment)
        except LabError:  # the store is busy, or a part cannot be had with another seed: one seed it is
            found = found or Repeats({}, 0, 16)
        _found[key] = (time.monotonic(), found)
        while len(_found) > MOST:
            _found.popitem(last=False)
    return found


def _row(run_id: str) -> dict[str, object]:
    store = session.store()
    key = (id(store), run_id)
    if key not in _rows:
        record = store.run(run_id)
        row = race_row(store, record)
        if not record.has_ended or record.status in ("stopped", "failed"):  # these may go on
            return row
        _rows[key] = row
        while len(_rows) > MOST:
            _rows.popitem(last=False)
    return _rows[key]


def _html(found: RaceFinding) -> str:
    pieces = ((idea, html.escape(text)) for idea, text in found.parts())
    return "".join(f'<b class="{idea}">{text}</b>' if idea else text for idea, text in pieces)
