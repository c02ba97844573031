"""What is chosen on the Runs page, what the URL says of it, and what its buttons do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import pandas as pd

from prune_core.errors import LabError, StoreUnavailableError
from prune_core.tracking import publish_again
from prune_ui import mlflow_line, session
from prune_ui.live import LiveRun, feed
from prune_ui.runs_table import MORE, STATUS, Listing, listing, rows_wanted
from prune_ui.session import Key

PAGE = "runs"
MOST = 6  # runs that can be told apart in one chart

CHOSEN: Key[tuple[str, ...]] = Key("runs/chosen", ())
TEXT: Key[str] = Key("runs/text", "")
STATUSES: Key[list[str]] = Key("runs/statuses", [])
MINE: Key[bool] = Key("runs/mine", False)
DELETED: Key[tuple[str, ...]] = Key("runs/deleted", ())
SAID: Key[str] = Key("runs/said", "")
DONE: Key[str] = Key("runs/done", "")


def open_link() -> None:
    """Take what the URL says."""
    params = session.read_link(PAGE)
    if params is None:
        return
    CHOSEN.set(tuple(i for i in params.get("runs", "").split(",") if i)[:MOST])
    TEXT.set(params.get("find", ""))
    STATUSES.set([s for s in params.get("status", "").split(",") if s in STATUS])
    MINE.set(params.get("mine") == "yes")
    MORE.set(2 if params.get("all") == "yes" else 1 if params.get("more") == "yes" else 0)


def keep_link() -> None:
    """Make the URL say what is chosen and how the table is filtered."""
    params = {
        "runs": ",".join(CHOSEN.get()),
        "find": TEXT.get(),
        "status": ",".join(STATUSES.get()),
        "mine": "yes" if MINE.get() else "",
        "more": "yes" if MORE.get() == 1 else "",
        "all": "yes" if MORE.get() == 2 else "",
    }
    session.write_link(PAGE, params)


def keep_filter() -> None:
    """A widget's value is forgotten when the visitor looks at another page; this one's is not."""
    TEXT.set(TEXT.get())
    STATUSES.set(STATUSES.get())
    MINE.set(MINE.get())


def filter_now() -> tuple[str, tuple[str, ...], bool, int]:
    """What the table is filtered by, and how many runs of."""
    return TEXT.get(), tuple(STATUSES.get()), MINE.get(), MORE.get()


def table() -> Listing:
    """The runs that this visitor's table is made of: few at first, more where they ask or filter."""
    return listing(rows_wanted(any(filter_now()[:3])))


def choose(now: Sequence[str], shown: Sequence[str]) -> None:
    """Take what is ticked among the rows that are shown; what the filter hides stays chosen."""
    kept = [i for i in CHOSEN.get() if i in now or i not in shown]
    every = [*kept, *(i for i in now if i not in kept)]
    if len(every) > MOST:
        SAID.set(f"Compare at most {MOST} runs at a time; the first {MOST} stay chosen.")
    CHOSEN.set(tuple(every[:MOST]))


def chosen_runs() -> list[LiveRun]:
    """The chosen runs that can be read; those that cannot leave the choice, and the page says why."""
    found = []
    for run_id in CHOSEN.get()[:MOST]:
        try:
            run = feed().get(run_id)
            _ = run.record.experiment
        except StoreUnavailableError as error:  # it may come back: the run stays chosen
            SAID.set(str(error))
            continue
        except LabError as error:
            CHOSEN.set(tuple(i for i in CHOSEN.get() if i != run_id))
            SAID.set(str(error))
            continue
        found.append(run)
    return found


def act(action: Callable[[], object], done: str = "") -> bool:
    """Do it; a LabError becomes a sentence on the page. Returns whether it went well."""
    try:
        action()
    except LabError as error:
        SAID.set(str(error))
        return False
    if done:
        DONE.set(done)
    return True


def deletable(runs: Sequence[LiveRun]) -> list[str]:
    """Those of the runs that this visitor may delete: their own, ended."""
    return [r.record.id for r in runs if not r.active and session.may_control(r.record)]


def delete(ids: Sequence[str]) -> None:
    """Hide runs; *Undo* brings them back."""

    def hide() -> None:
        session.store().delete(ids)
        DELETED.set(tuple(ids))
        CHOSEN.set(tuple(i for i in CHOSEN.get() if i not in ids))
        listing(now=True)

    act(hide)


def undo() -> None:
    """Bring back what was deleted last."""
    ids = DELETED.pop()

    def show() -> None:
        session.store().restore(ids)
        CHOSEN.set(tuple(ids)[:MOST])
        listing(now=True)

    act(show)


def retry(run_id: str) -> None:
    """Queue a run again, from its last checkpoint."""
    if act(lambda: session.lab().handle(run_id).retry(), "It is queued again and goes on from its last checkpoint."):
        with contextlib.suppress(LabError):
            feed().get(run_id, now=True)


def publish(run_id: str) -> None:
    """Publish a run to MLflow once more."""
    if act(lambda: publish_again(session.store(), run_id), mlflow_line.said()):
        with contextlib.suppress(LabError):
            feed().get(run_id, now=True)


def steps_csv(runs: Sequence[LiveRun]) -> str:
    """Every recorded step of the runs as CSV, with the run's id in the first column."""
    frames = [session.store().history(r.record.id).assign(run=r.record.id) for r in runs]
    joined = pd.concat(frames, ignore_index=True)
    return str(joined[["run", *(c for c in joined.columns if c != "run")]].to_csv(index=False))
