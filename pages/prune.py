"""Slide the sparsity of a trained model, and see at once what goes and what it costs."""

from __future__ import annotations

import streamlit as st

from prune_ui import prune_link, prune_panel, prune_view

problems = prune_link.open_link()
with st.sidebar:
    prune_panel.panel()
for sentence in problems:
    st.warning(sentence, icon=":material/link_off:")
prune_view.show()
