"""Clip & Prune Lab: page config and navigation, nothing else. Start it with ``python -m prune_ui``."""

from __future__ import annotations

import streamlit as st

from prune_ui import glossary, theme, tour

st.set_page_config(page_title="Clip & Prune Lab", page_icon=str(theme.ICON), layout="wide", initial_sidebar_state=340)
theme.apply()
page = st.navigation(
    {
        "Explore": [
            st.Page("pages/race.py", title="Race", icon=":material/flag:", default=True),
            st.Page("pages/clipping.py", title="Clipping", icon=":material/content_cut:"),
            st.Page("pages/prune.py", title="Prune", icon=":material/compress:"),
            st.Page("pages/train.py", title="Train", icon=":material/play_circle:"),
            st.Page("pages/trade_offs.py", title="Trade-offs", icon=":material/scatter_plot:"),
            st.Page("pages/claims.py", title="Claims", icon=":material/gavel:"),
        ],
        "Learn": [st.Page("pages/lessons.py", title="Lessons", icon=":material/school:")],
        "Look back": [
            st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:"),
            st.Page("pages/present.py", title="Present", icon=":material/slideshow:"),
        ],
        "Look up": [
            st.Page("pages/methods.py", title="Methods", icon=":material/menu_book:"),
            st.Page("pages/glossary.py", title="Glossary", icon=":material/dictionary:"),
        ],
    },
    expanded=True,
)
tour.invite()
tour.show(page.url_path or "race")
page.run()
glossary.show(page.url_path or "race")
