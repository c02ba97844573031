"""Lessons: notebooks whose parameters are sliders."""

from __future__ import annotations

import streamlit as st

from prune_ui import lessons_state, lessons_view

lessons_state.open_link()
with st.container(key="lessons"):
    lessons_view.show()
