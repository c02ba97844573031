"""Buttons to take away what is on a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from prune_core import export
from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.export.notebook import ENDED_AS_TOLD, MOST
from prune_core.tracking import RunRecord
from prune_ui import session
from prune_ui.fields import plain

RACE = """for lane, event in pc.race(experiment):  # baseline, clipping, pruning and both, step by step
    if isinstance(event, pc.EvalEvent):
        print(lane, event.step, event.accuracy)"""


def code(experiment: Experiment | None, *, key: str, then: str = "result = pc.run(experiment)\nresult") -> None:
    """The experiment on the page as Python, behind a fold."""
    box(
        lambda: (
            "" if experiment is None else
            f"import prune_core as pc\n\nexperiment = {export.as_python(experiment)}\n{then}"
        ), key=key,
    )  # fmt: skip


def box(made: Callable[[], str], *, key: str, command: Callable[[], str] | None = None) -> None:
    """What is on the page as Python, and as a command where there is one, behind a fold; made when it is opened."""
    fold = st.expander("The same in code", key=key, on_change="rerun", icon=":material/code:")
    if not fold.open:
        return
    with fold:
        try:
            if text := made():
                st.code(text, language="python", wrap_lines=True)
            if command is not None and (text := command()):
                st.code(text, language="bash", wrap_lines=True)
        except LabError as error:  # a part of somebody's own that no text can name
            st.caption(plain(str(error)))


def notebook(records: Sequence[RunRecord], names: Sequence[str], *, key: str) -> None:
    """A run, or a comparison of two to six, as a notebook; nothing where one of them has no result yet."""
    if not 1 <= len(records) <= MOST or any(r.status not in ENDED_AS_TOLD or r.accuracy is None for r in records):
        return
    ids = [record.id for record in records]

    def made() -> str:
        if len(ids) == 1:
            return export.written(export.run_notebook(session.store(), ids[0], names[0]))
        return export.written(export.comparison_notebook(session.store(), ids, names))

    st.download_button(
        "Open as notebook", made, f"{'run' if len(ids) == 1 else 'runs'}-{'-'.join(ids)[:60]}.ipynb",
        "application/x-ipynb+json", key=key, icon=":material/book:", on_click="ignore", type="tertiary",
        help="Stated in full, trained again, drawn with the same figures, and compared with what was recorded. "
        "Runs without the app.",
    )  # fmt: skip
