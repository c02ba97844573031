"""One real gradient, and what every way of clipping does to it; and the cliff, where it matters."""

from __future__ import annotations

import streamlit as st

from prune_ui import clipping_state, clipping_view

clipping_state.open_link()
with st.sidebar:
    clipping_view.panel()
clipping_view.show()
