"""All runs: find, compare, delete, download; the queue and the workers."""

from __future__ import annotations

import streamlit as st

from prune_ui import runs_state, runs_view

runs_state.open_link()
st.title("Runs", anchor=False)
runs_view.show()
