"""All ways to clip and to prune: what each does, its formula and where it comes from."""

from __future__ import annotations

import streamlit as st

from prune_ui import methods_view

methods_view.open_link()
st.title("Methods", anchor=False)
methods_view.show()
