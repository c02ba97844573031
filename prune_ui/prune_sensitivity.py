"""The section "Sensitivity of each layer": one button, a heat map that fills in, a table to take away.

Scans are kept for all who look at the same model in the same way, and go on while nobody does; whoever started one may
stop it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from prune_core.errors import LabError
from prune_core.figures.words import count, plural
from prune_core.jobs import PreviewReply, ScanRequest, SensitivityScan
from prune_core.pruning import Criterion, Weights
from prune_core.training.sensitivity import sensitivity_table
from prune_ui import prune_charts as charts
from prune_ui import prune_state as state
from prune_ui import session
from prune_ui.explain import time_left
from prune_ui.prune_state import Source

EXAMPLES = 1000  # test examples of a cell: enough for an interval of some per cent, and a cell stays below a second
MOST = 32  # scans kept; those looked at longest ago go first


@dataclass(frozen=True)
class Kept:
    """A scan, and who started it."""

    scan: SensitivityScan
    owner: str


_kept: OrderedDict[str, Kept] = OrderedDict()
_lock = threading.Lock()


def section(
    source: Source, reply: PreviewReply, on_cell: Callable[[str, float], None]
) -> tuple[SensitivityScan | None, bool]:
    """Draw it; returns what there is, and whether more cells will come. ``on_cell`` gets a cell that was clicked."""
    with st.container(border=True, key="prune_sensitivity"):
        st.markdown("**Sensitivity of each layer**")
        if not source.measured:
            st.caption("It is measured as test accuracy, and no test data belongs to this model: choose a trained run.")
            return None, False
        st.caption(
            "Each layer alone is pruned to several sparsities, all others as they are, and test accuracy is measured: "
            "where it falls early, the network needs its weights. The sliders above may be moved meanwhile. A click on "
            "a cell puts it into the budget below."
        )
        request = _request(source, reply)
        kept = _get(_key(source, request))
        more = _controls(source, request, kept)
        if kept is not None and kept.scan.layers:
            charts.sensitivity(kept.scan, lambda point: _clicked(point, on_cell))
        return (kept.scan if kept is not None else None), more


def _clicked(point: Mapping[str, Any], on_cell: Callable[[str, float], None]) -> None:
    """From what the browser says of a cell: its layer, and its sparsity as the axis writes it."""
    try:
        share = float(str(point.get("x")).replace("\u00a0", "").removesuffix("%")) / 100
    except ValueError:
        return
    if 0 <= share < 1:
        on_cell(str(point.get("y")), share)


def _request(source: Source, reply: PreviewReply) -> ScanRequest:
    bare = source.request()
    return ScanRequest(
        run=bare.run,
        model=bare.model,
        data=bare.data,
        criterion=Criterion.registry[state.CRITERION.get()].cls(),
        granularity=grain if (grain := state.grain()).at_most is None else Weights(),
        recalibrate=state.RECALIBRATE.get() or not reply.normalised,  # where it changes nothing, one answer is enough
        examples=EXAMPLES,
    )


def _key(source: Source, request: ScanRequest) -> str:
    return f"{source.stamp}/{request.model_dump_json()}"


def _get(key: str) -> Kept | None:
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
        return found


def _controls(source: Source, request: ScanRequest, kept: Kept | None) -> bool:
    """Button, progress, what went wrong; returns whether more cells will come."""
    scan = kept.scan if kept is not None else None
    if scan is not None and scan.error is not None:
        st.error(str(scan.error), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="prune_sensitivity_controls"):
        if scan is None or (scan.done and not _whole(scan)):
            st.button(
                "Go on" if scan is not None and scan.cells else "Measure every layer", key="prune/sensitivity/start",
                icon=":material/play_arrow:", on_click=_start, args=(source, request),
            )  # fmt: skip
        elif not scan.done:
            measured, total = len(scan.cells), scan.total
            st.progress(measured / total if total else 0.0, text=_progress(scan))
            if kept is not None and kept.owner == session.owner():
                st.button("Stop", key="prune/sensitivity/stop", icon=":material/stop:", on_click=scan.cancel)
        if scan is not None and scan.done and scan.cells:
            if not _whole(scan):
                st.caption(f"Stopped: {len(scan.cells)} of {count(scan.total or 0)} are measured.", width="content")
            st.download_button(
                "Table (CSV)", lambda: sensitivity_table(scan.cells).to_csv(index=False), "sensitivity.csv", "text/csv",
                key="prune/sensitivity/csv", icon=":material/download:", type="tertiary", on_click="ignore",
            )  # fmt: skip
    return scan is not None and not scan.done


def _whole(scan: SensitivityScan) -> bool:
    return scan.total is not None and len(scan.cells) == scan.total


def _progress(scan: SensitivityScan) -> str:
    if scan.total is None:
        return "Loading the model ..."
    parts = [f"{len(scan.cells)} of {plural(scan.total, 'cell')} measured", time_left(scan.seconds_left)]
    return " · ".join(p for p in parts if p)


def _start(source: Source, request: ScanRequest) -> None:
    """Measure what is not measured yet."""
    key = _key(source, request)
    before = _get(key)
    try:
        scan = session.lab().sensitivity(request, known=before.scan.cells if before is not None else ())
    except (LabError, OSError) as error:
        state.SAID.set(str(error))
        return
    with _lock:
        _kept[key] = Kept(scan, session.owner())
        _kept.move_to_end(key)
        while len(_kept) > MOST:
            _kept.popitem(last=False)[1].scan.cancel()
