"""The cells of a lesson as a page: text, outputs, code behind a fold."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from prune_core.lessons import Cell, Exercise, Lesson, Output, Shown
from prune_ui import lessons_exercises as exercises
from prune_ui import lessons_state as state
from prune_ui.chart import chart
from prune_ui.fields import plain

HEIGHT = 340  # px of a figure that names no height
MOST_SHOWN = 12  # rows of a table that stand there without scrolling


def cells(lesson: Lesson, view: state.View) -> None:
    """Draw all cells in their order."""
    _dim(view.stale)
    first = True
    running = view.waiting and view.now.state == "running"
    hidden = exercises.hidden(lesson)
    before: Exercise | None = None
    for cell in lesson.cells:
        covers, before = before, hidden.get(cell.index)
        if before is not None:
            if before != covers:  # one cover for what stands together
                exercises.cover(lesson, before, cell)
            _trouble(cell, view)
            running = running and not (cell.is_code and cell.index not in view.now.cells)
        elif cell.role == "text":
            text = _without_title(cell.source) if first else cell.source
            if text.strip():
                st.markdown(text)
        elif cell.exercise is not None:
            exercises.show(lesson, cell.exercise, view)
        elif cell.role == "check":
            exercises.show_check(lesson, cell, view)
        else:
            here = cell.index not in view.now.cells
            _code_cell(lesson, cell, view, running and here)
            running = running and not here
        if cell.role == "check":
            running = running and cell.index in view.now.cells
        first = False


def _without_title(source: str) -> str:
    """The first cell without its title, which stands above the page."""
    return re.sub(r"\A\s*#[ \t]+.+?(\n|\Z)", "", source)


def _code_cell(lesson: Lesson, cell: Cell, view: state.View, running: bool) -> None:
    shown = view.cells.get(cell.index, Shown())
    openly = state.CODE.get() and "hide-code" not in cell.tags
    if openly:
        st.code(cell.source, language="python", wrap_lines=True)
    with st.container(key=f"lesson_cell_{cell.index}"):
        for place, output in enumerate(shown.outputs):
            _output(output, f"lesson/{lesson.slug}/{cell.index}/{place}")
        if running and not shown.outputs:
            st.skeleton(height=60)
        _trouble(cell, view)
    if not openly:
        with st.expander(_fold(cell), type="compact", key=f"lesson_code_{cell.index}"):
            st.code(cell.source, language="python", wrap_lines=True)


def _trouble(cell: Cell, view: state.View) -> None:
    trouble = view.now.trouble
    if trouble is not None and trouble.cell == cell.index:
        st.error(plain(trouble.sentence), icon=":material/error:")


def _fold(cell: Cell) -> str:
    return "The parameters as code" if cell.role == "parameters" else "Code"


def _dim(stale: frozenset[int]) -> None:
    """Outputs of other values pale until the new ones come. Always there, so that nothing moves."""
    names = ", ".join(f".st-key-lesson_cell_{index}" for index in sorted(stale)) or ".lab-nothing"
    st.html(f"<style>{names} {{ opacity: .45; }}</style>")


def _output(output: Output, key: str) -> None:
    value = output.value
    if output.kind == "figure":
        chart(value, key=key, height=_height(value))
    elif output.kind == "table":
        _table(value, key)
    elif output.kind == "markdown":
        st.markdown(value)
    elif output.kind == "latex":
        st.markdown(value if "$" in value else f"$${value}$$")
    elif output.kind == "html":
        st.html(value)
    elif output.kind == "image":
        try:
            st.image(base64.b64decode(value))
        except (binascii.Error, ValueError, OSError):
            st.caption("A picture that cannot be shown.")
    else:
        st.code(value.rstrip("\n"), language=None, wrap_lines=True)


def _height(figure: Mapping[str, Any]) -> int:
    height = figure["layout"].get("height")
    return int(height) if isinstance(height, int | float) and 40 <= height <= 4000 else HEIGHT


def _table(value: Mapping[str, Any], key: str) -> None:
    columns = [" · ".join(map(str, c)) if isinstance(c, list) else str(c) for c in value["columns"]]
    # two columns of one name would be an error to Streamlit
    names = [c if columns.count(c) == 1 else f"{c} ({columns[:i].count(c) + 1})" for i, c in enumerate(columns)]
    index = [" · ".join(map(str, i)) if isinstance(i, list) else i for i in value["index"]]
    frame = pd.DataFrame(value["data"], columns=names, index=pd.Index(index, name=value["names"][0]))
    rows = len(frame)
    st.dataframe(
        frame, key=key, hide_index=bool(value["plain"]),
        height="content" if rows <= MOST_SHOWN else 35 * (MOST_SHOWN + 1) + 3,
    )  # fmt: skip
    if value["rows"] > rows:
        st.caption(f"The first {rows:,} of {value['rows']:,} rows.")
