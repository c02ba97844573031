"""The queue and the workers, as they are now; asked for once for all visitors, and never by a page itself.

Looking starts nothing: where no engine runs, the page says so and has a button that starts one.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from prune_core.errors import LabError
from prune_core.figures.words import plural
from prune_core.jobs.place import Place
from prune_ui import session
from prune_ui.naming import part_label
from prune_ui.runs_table import Listing, described

EVERY_S = 2.0
UNWATCHED_S = 15.0  # a page asks every 5 s at least
FIRST_S = 0.5  # what the first visitor waits at most
WORKERS = ("name", "role", "state", "run", "pid", "problem")
ROLES = {"train": "trains", "preview": "measures sliders"}


@dataclass(frozen=True)
class Engine:
    """Workers and queue. ``state`` is "asking", "off", "starting" or "on"; ``problem`` says why they are not known."""

    workers: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(WORKERS)))
    queue: pd.DataFrame = field(default_factory=pd.DataFrame)
    state: str = "on"
    problem: str = ""


class Watch:
    """Keeps the engine's state up to date in a thread of its own, for as long as somebody looks."""

    def __init__(self) -> None:
        self.known = Engine(state="asking")
        self.failed = ""  # why the engine could not be started
        self._asked = self._read = 0.0
        self._lock = threading.Lock()
        self._first = threading.Event()
        self._thread: threading.Thread | None = None
        self._start: threading.Thread | None = None
        self._starting = False

    def get(self) -> Engine:
        """As of the last two seconds; "asking" where nothing is known yet."""
        self._asked = time.monotonic()
        with self._lock:
            if self._thread is None:
                if self._asked - self._read > UNWATCHED_S:
                    self._first.clear()
                    self.known = Engine(state="asking")
                self._thread = threading.Thread(target=self._loop, name="engine-watch", daemon=True)
                self._thread.start()
        self._first.wait(FIRST_S)
        return self.known

    def start(self) -> None:
        """Start the engine, in the background."""
        with self._lock:
            if not self._starting:
                self._starting = True
                self.failed, self.known = "", Engine(queue=self.known.queue, state="starting")
                self._start = threading.Thread(target=self._attach, name="engine-start", daemon=True)
                self._start.start()

    def _attach(self) -> None:
        try:
            session.lab().attach()
        except LabError as error:
            self.failed = str(error)
        self._starting = False
        self.known = self._look()

    def _loop(self) -> None:
        while True:
            self.known = self._look()
            self._read = time.monotonic()
            self._first.set()
            time.sleep(EVERY_S)
            with self._lock:
                if time.monotonic() - self._asked > UNWATCHED_S:
                    self._thread = None
                    return

    def _look(self) -> Engine:
        try:
            lab = session.lab()
            if lab.scheduler is None and Place(lab.home).read() is None:
                return Engine(queue=lab.queue(), state="starting" if self._starting else "off", problem=self.failed)
            return Engine(lab.workers(), lab.queue())
        except LabError as error:
            return Engine(problem=str(error))


watch = Watch()


def engine() -> Engine:
    """The queue and the workers as of the last two seconds."""
    return watch.get()


def show(found: Listing) -> None:
    """Draw workers and queue, with a headline that says how busy they are. ``found`` names the runs."""
    now = engine()
    waiting = len(now.queue)
    st.subheader("Queue and workers", anchor=False)
    if now.state == "asking":
        st.caption("Asking the engine …")
    elif now.state == "starting":
        st.caption(":material/hourglass_empty: The engine is starting; this takes some seconds.")
    elif now.state == "off":
        _off(now, waiting)
    elif now.problem:
        st.warning(f"The engine cannot be asked: {now.problem}", icon=":material/cloud_off:")
    else:
        trainers = now.workers[(now.workers["role"] == "train") & (now.workers["state"] != "refused")]
        busy = int((trainers["state"] == "busy").sum())
        st.caption(f"{busy} of {plural(len(trainers), 'worker')} busy, {waiting or 'none'} waiting")
        names = {str(r["id"]): r for r in found.frame.to_dict("records")} if busy else {}
        with st.expander("Who does what", key="runs/who"):
            st.dataframe(_workers(now, names), key="runs/workers", hide_index=True, height="content")
    if waiting:
        st.caption("Waiting, in the order in which they start; whoever has least at work goes first.")
        st.dataframe(_queue(now), key="runs/queue", hide_index=True)


def _off(now: Engine, waiting: int) -> None:
    if now.problem:
        st.error(f"The engine could not be started: {now.problem}", icon=":material/cloud_off:")
    what = f"**{plural(waiting, 'run')} cannot start**: no engine runs." if waiting else "No engine runs."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f":material/power_off: {what} The next run starts one, and so does this button.")
        st.button("Start the engine", key="runs/engine", icon=":material/power:", on_click=watch.start)


def _workers(now: Engine, names: dict[str, dict[str, object]]) -> pd.DataFrame:
    me = session.owner()

    def doing(run_id: str) -> str:
        row = names.get(run_id)
        if row is None:
            return run_id
        return f"{row['name'] or described(row)}{' (yours)' if row['owner'] == me else ''}"

    rows = now.workers.to_dict("records")
    return pd.DataFrame(
        {
            "worker": [r["name"] for r in rows],
            "what it does": [ROLES.get(str(r["role"]), str(r["role"])) for r in rows],
            "state": [r["problem"] or r["state"] for r in rows],
            "run": [doing(str(r["run"] or "")) or "–" for r in rows],
            "process": [r["pid"] for r in rows],
        }
    )


def _queue(now: Engine) -> pd.DataFrame:
    me = session.owner()
    rows = now.queue.to_dict("records")
    return pd.DataFrame(
        {
            "position": [int(r["position"]) for r in rows],
            "run": [r["name"] or r["id"] for r in rows],
            "model": [part_label("model", r["model"]) for r in rows],
            "data": [part_label("data", r["data"]) for r in rows],
            "steps": [int(r["steps"]) for r in rows],
            "yours": [r["owner"] == me for r in rows],
        }
    )
