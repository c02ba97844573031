"""What accuracy costs: sweeps over any setting, their fronts, knees and differences."""

from __future__ import annotations

import streamlit as st

from prune_ui import tradeoffs_state, tradeoffs_view

tradeoffs_state.open_link()
st.title("Trade-offs", anchor=False)
tradeoffs_view.show()
