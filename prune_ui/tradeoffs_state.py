"""What is chosen on the Trade-offs page, what the URL says of it, and what its buttons do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from prune_core.errors import LabError, StoreUnavailableError
from prune_core.figures.parallel_axes import Axis, Span
from prune_core.jobs import Estimate
from prune_core.sweeping import Sweep
from prune_core.tracking import Sweeps, publish_sweep_again
from prune_ui import mlflow_line, session
from prune_ui.session import Key
from prune_ui.tradeoffs_read import SAMPLE, View, listing, sample, view

PAGE = "tradeoffs"
COSTS = {"sparsity": "Sparsity", "kept_bytes": "Bytes", "kept_macs": "MACs", "latency_ms": "Latency"}

SWEEP: Key[str] = Key("tradeoffs/sweep", "")  # empty: the newest of one's own, else the sample
COST: Key[str] = Key("tradeoffs/cost", "sparsity")
BY: Key[list[str] | None] = Key("tradeoffs/by", None)  # None: what the figure chooses
PICKED: Key[str] = Key("tradeoffs/picked", "")  # a run's id
FILTERS: Key[dict[str, Span]] = Key("tradeoffs/filters", {})
OPEN: Key[bool] = Key("tradeoffs/open", False)  # the form
SAID: Key[str] = Key("tradeoffs/said", "")
DONE: Key[str] = Key("tradeoffs/done", "")
STARTED: Key[tuple[str, float]] = Key("tradeoffs/started", ("", 0.0))  # what was started last, and when
TWICE_S = 10.0
AGAIN: Key[bool] = Key("tradeoffs/again", False)  # a fragment changed something outside itself


def open_link() -> None:
    """Take what the URL says."""
    params = session.read_link(PAGE)
    if params is None:
        return
    SWEEP.set(params.get("sweep", "")[:64])
    COST.set(params["x"] if params.get("x") in COSTS else "sparsity")
    PICKED.set(params.get("point", "")[:64])
    BY.set([c for c in params["lines"].split(",") if c] if "lines" in params else None)
    FILTERS.set({})


def keep_link(shown: View) -> None:
    """Make the URL say what is shown; nothing while that is what everybody sees first."""
    by = BY.get()
    params = {
        "sweep": shown.id if not shown.sample else wanted if (wanted := SWEEP.get()) != SAMPLE else "",
        "x": "" if COST.get() == "sparsity" else COST.get(),
        "point": PICKED.get(),
        "lines": "" if by is None else ",".join(by),
    }
    session.write_link(PAGE, params)


def shown() -> View:
    """The sweep on the page: the chosen one, else the newest of one's own, else the sample. Raises LabError."""
    wanted = SWEEP.get()
    if not wanted:
        owner = session.owner()
        wanted = next((one.id for one in listing() if one.owner == owner), SAMPLE)
    try:
        return view(wanted)
    except StoreUnavailableError as error:  # it may come back: the sweep stays chosen
        SAID.set(str(error))
        return sample()
    except LabError as error:
        SAID.set(str(error))
        SWEEP.set(SAMPLE)
        return sample()


def choose(sweep_id: str) -> None:
    """Show another sweep."""
    SWEEP.set(sweep_id)
    forget()
    AGAIN.set(True)


def forget() -> None:
    """Take back what was chosen within a sweep."""
    PICKED.set("")
    FILTERS.set({})
    BY.set(None)


def act(action: Callable[[], object], done: str = "") -> bool:
    """Do it; a LabError becomes a sentence on the page. Returns whether it went well."""
    try:
        action()
    except (LabError, OSError) as error:
        SAID.set(str(error))
        return False
    if done:
        DONE.set(done)
    return True


# --- a sweep ----------------------------------------------------------------------------------------------------------
def start(sweep: Sweep, name: str, estimate: Estimate | None) -> None:
    """Begin a sweep and show it; a second click on the same, before the page has answered the first, does nothing."""
    text, at = STARTED.get()
    if text == sweep.to_json() and time.monotonic() - at < TWICE_S:
        return
    STARTED.set((sweep.to_json(), time.monotonic()))

    def begin() -> None:
        handle = session.lab().sweep(
            sweep, name=name, owner=session.owner(), where="workers", estimate=estimate
        )  # fmt: skip
        choose(handle.id)
        OPEN.set(False)
        listing(now=True)

    if not act(begin):
        STARTED.pop()


def steer(sweep_id: str, what: str) -> None:
    """stop or resume a sweep of one's own."""
    if _mine(sweep_id) and act(lambda: getattr(session.lab().sweep_handle(sweep_id), what)()):
        act(lambda: view(sweep_id, now=True))
        AGAIN.set(True)


def publish(sweep_id: str) -> None:
    """Have a sweep of one's own published to MLflow, with its runs."""
    if _mine(sweep_id) and act(lambda: publish_sweep_again(session.store(), sweep_id), mlflow_line.said()):
        act(lambda: view(sweep_id, now=True))
        AGAIN.set(True)


def delete(sweep_id: str) -> None:
    """Take a sweep that has ended off the list; its runs stay under Runs."""

    def gone() -> None:
        Sweeps(session.store()).delete(sweep_id)
        choose(SAMPLE)
        listing(now=True)

    if _mine(sweep_id):
        act(gone, "The sweep is off the list; its runs are still under Runs.")


def _mine(sweep_id: str) -> bool:
    """Checked again with every click: the page may be older than the sweep's owner."""
    found: list[View] = []
    if not act(lambda: found.append(view(sweep_id))):
        return False
    if not found[0].mine:
        SAID.set("This sweep belongs to somebody else: you can look at it, and start your own with its settings.")
    return found[0].mine


# --- within a sweep ---------------------------------------------------------------------------------------------------
def pick(point: Mapping[str, Any]) -> None:
    """A point was clicked: its run is told by what the figure put beside it."""
    details = point.get("customdata")
    run = details[0] if isinstance(details, list | tuple) and details else ""
    if isinstance(run, str) and run:
        PICKED.set(run[:64])


def keep(axes: tuple[Axis, ...], axis: int, low: float | None, high: float | None) -> None:
    """A part of an axis was dragged: keep the runs in it, or all again."""
    column = axes[axis].column
    span = axes[axis].span(low, high) if low is not None and high is not None else None
    drop(column)
    if span is not None:
        FILTERS.set({**FILTERS.get(), column: span})


def drop(column: str) -> None:
    """Take a filter back."""
    FILTERS.set({name: span for name, span in FILTERS.get().items() if name != column})
