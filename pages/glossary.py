"""Words of the field, as the lab uses them."""

from __future__ import annotations

import streamlit as st

from prune_ui import glossary

st.title("Glossary", anchor=False)
glossary.all_words(
    st.text_input("Find", key="glossary/find", placeholder="a word, a name ...", icon=":material/search:")
)
