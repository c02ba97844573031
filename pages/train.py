"""Train a network, live, while its gradients are clipped and its weights pruned."""

from __future__ import annotations

import streamlit as st

from prune_ui import take_away, train_actions, train_form, train_view

form = train_form.train_form()
first = train_form.first_link()
problems = train_actions.open_link(form)

with st.sidebar:
    train_form.panel(form)
for sentence in problems:
    st.warning(sentence, icon=":material/link_off:")
train_view.show()
take_away.code(form.value, key="train/code")
train_actions.keep_link(form, first)
