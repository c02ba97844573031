"""A page of its own for the chart's browser test: charts that change four times a second, and one to drag."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from prune_core.figures.palette import palette
from prune_core.figures.template import frame
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
        figure = go.Figure()
        figure.add_scatter(x=x, y=y, name="before", line_color=colours.baseline)
        figure.add_scatter(x=x, y=np.minimum(y, 0.6), name="after", line_color=colours.clipping)
        figure.add_shape(type="line", name="threshold", xref="paper", x0=0, x1=1, y0=0.6, y1=0.6)
        frame(figure, "light", title=f"Chart {index}", subtitle="Moves while you look", x="step", y="gradient norm")
        with columns[index % 2]:
            chart(figure, key=f"live_{index}", alt=f"Gradient norm, chart {index}")


@st.fragment
def still() -> None:
    threshold = st.session_state.setdefault("threshold", 0.05)
    bins = np.linspace(-0.2, 0.2, 81)
    middle = (bins[1:] + bins[:-1]) / 2
    counts = (4000 * np.exp(-((middle / 0.06) ** 2))).astype(int)
    figure = go.Figure()
    figure.add_bar(x=middle, y=counts, name="kept", marker_color=colours.pruning)
    for x in (-threshold, threshold):
        figure.add_shape(type="line", name="threshold", yref="paper", y0=0, y1=1, x0=x, x1=x)
    frame(figure, "light", title="What goes below the line", x="weight", y="weights")
    event = chart(
        figure,
        key="still",
        alt="Histogram of weights",
        drag={"axis": "x", "value": threshold, "min": 0.0, "max": 0.15, "mirror": True, "shade": "between",
              "label": "threshold", "color": "pruning"},
        on_drag=lambda value: st.session_state.update(threshold=value),
        select="click",
    )  # fmt: skip
    st.markdown(f"threshold is **{st.session_state.threshold:.4f}**")
    if event is not None:
        st.markdown(f"event {event.kind} {event.value or 0:.4f} {event.point.get('x')}")


live()
still()
