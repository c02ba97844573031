"""Four lanes, one truth: baseline, clipping, pruning and both, step by step on the same data."""

from __future__ import annotations

import streamlit as st

from prune_ui import race_form, race_link, race_state, race_view, take_away

form = race_form.race_form()
first = race_form.first_link()
problems = race_state.open_link(form)

st.title("Race: clipping is not pruning", anchor=False)
with st.sidebar:
    race_form.panel(form)
for sentence in problems:
    st.warning(sentence, icon=":material/link_off:")
race_link.note()
race_view.show()
take_away.code(form.value, key="race/code", then=take_away.RACE)
race_state.keep_link(form, first)
