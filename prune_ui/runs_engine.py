"""The queue and the workers, as they are now; asked for once for all visitors."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from prune_core.errors import LabError
from prune_core.figures.words import plural
from prune_ui import session
from prune_ui.naming import part_label

FRESH_S = 2.0


@dataclass(frozen=True)
class Engine:
    """Workers and queue; ``problem`` says why they are not known."""

    workers: pd.DataFrame
    queue: pd.DataFrame
    problem: str = ""


_lock = threading.Lock()
_known: dict[int, tuple[float, Engine]] = {}


def engine() -> Engine:
    """As of the last two seconds."""
    lab = session.lab()
    with _lock:
        at, known = _known.get(id(lab), (0.0, None))
        if known is None or time.monotonic() - at > FRESH_S:
            try:
                known = Engine(lab.workers(), lab.queue())
            except LabError as error:
                known = Engine(pd.DataFrame(columns=["role", "state", "run"]), pd.DataFrame(), str(error))
            _known[id(lab)] = (time.monotonic(), known)
        return known


def show() -> None:
    """Draw workers and queue, with a headline that says how busy they are."""
    now = engine()
    if now.problem:
        st.warning(f"The engine cannot be asked: {now.problem}", icon=":material/cloud_off:")
        return
    trainers = now.workers[now.workers["role"] == "train"]
    busy, waiting = int((trainers["state"] == "busy").sum()), len(now.queue)
    with st.expander(f"Queue and workers · {busy} of {plural(len(trainers), 'worker')} busy, {waiting} waiting"):
        left, right = st.columns(2, gap="medium")
        with left:
            st.caption("Workers: each runs one thing at a time, in a process of its own.")
            table = now.workers[["name", "role", "state", "run", "pid"]]
            st.dataframe(table, key="runs/workers", hide_index=True)
        with right:
            if not waiting:
                st.caption("Nothing waits: a run starts as soon as it is launched.")
                return
            st.caption("Waiting, in the order in which they start; whoever has least at work goes first.")
            me = session.owner()
            rows = [
                {
                    "position": int(r["position"]),
                    "run": r["name"] or r["id"],
                    "model": part_label("model", r["model"]),
                    "data": part_label("data", r["data"]),
                    "steps": int(r["steps"]),
                    "yours": r["owner"] == me,
                }
                for r in now.queue.to_dict("records")
            ]
            st.dataframe(pd.DataFrame(rows), key="runs/queue", hide_index=True)
