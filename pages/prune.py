"""Slide the sparsity of a trained model, and see at once what goes and what it costs."""

from __future__ import annotations

import streamlit as st

from prune_ui import prune_state, prune_view

prune_state.open_link()
with st.sidebar:
    prune_view.panel()
prune_view.show()
