"""A page of its own for the chart's browser test: charts that change four times a second, and one to drag."""

from __future__ import annotations

import numpy as np
import streamlit as st

from prune_core.figures.drawing import frame, threshold_line
from prune_core.figures.palette import palette
from prune_ui.chart import chart

st.set_page_config(page_title="Charts", layout="wide")
colours = palette("light")
many = int(st.query_params.get("charts", "2"))


@st.fragment(run_every=0.25)
def live() -> None:
    tick = st.session_state["tick"] = st.session_state.get("tick", 0) + 1
    st.caption(f"tick {tick}")
    columns = st.columns(2)
    for index in range(many):
        x = np.arange(1, 400 + tick)
        y = np.exp(-x / 300) + 0.05 * np.sin(x / 9 + index + tick / 3)
        traces = [
            {"type": "scatter", "x": x, "y": y, "name": "before", "line": {"color": colours.baseline}},
            {"type": "scatter", "x": x, "y": np.minimum(y, 0.6), "name": "after", "line": {"color": colours.clipping}},
        ]
        figure = frame(
            traces, title=f"Chart {index}", subtitle="Moves while you look", x="step", y="gradient norm",
            alt=f"Gradient norm, chart {index}", shapes=[threshold_line("y", 0.6, colours.clipping)], height=320,
        )  # fmt: skip
        figure["layout"]["meta"]["theme"] = "light"
        with columns[index % 2]:
            chart(figure, key=f"live_{index}")


# Streamlit 1.67 loses what a fragment has just drawn where another's timer starts a new thread in that moment (2 of 177
# clicks here), so this one says again what happened
@st.fragment(run_every=1)
def still() -> None:
    threshold = st.session_state.setdefault("threshold", 0.05)
    bins = np.linspace(-0.2, 0.2, 81)
    middle = (bins[1:] + bins[:-1]) / 2
    counts = (4000 * np.exp(-((middle / 0.06) ** 2))).astype(int)
    traces = [{"type": "bar", "x": middle, "y": counts, "name": "kept", "marker": {"color": colours.baseline}}]
    figure = frame(
        traces, title="What goes below the line", x="weight", y="weights", alt="Histogram of weights", height=320,
        shapes=[threshold_line("x", side * threshold, colours.pruning) for side in (-1, 1)],
        drag={"axis": "x", "value": threshold, "max": 0.2, "mirror": True, "shade": "between", "label": "threshold",
              "color": "pruning"},
    )  # fmt: skip
    figure["layout"]["meta"]["theme"] = "light"
    event = chart(
        figure,
        key="still",
        drag={"min": 0.0, "max": 0.15},
        on_drag=lambda value: st.session_state.update(threshold=value),
        select="click",
    )
    st.markdown(f"threshold is **{st.session_state.threshold:.4f}**")
    if event is not None:
        st.session_state.event = event
    if event := st.session_state.get("event"):
        st.markdown(f"event {event.kind} {event.value or 0:.4f} {event.point.get('x')}")


live()
still()
