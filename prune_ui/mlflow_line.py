"""Whether MLflow has a run or a sweep, in a line, and the button that has it published."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from prune_core.tracking import Publishable, publishes
from prune_ui.fields import plain

SAID = "It is being published in the background."
WAITS = "It waits: this server publishes nothing now."


def said() -> str:
    """What a click on the button comes to."""
    return SAID if publishes() else WAITS


def show(of: Publishable, key: str, on_click: Callable[[str], None] | None, note: str = "") -> None:
    """Draw the line; ``on_click(id)`` publishes, None where this visitor may not. ``note`` is the button's help."""
    if of.to_be_published:
        st.caption(
            ":material/cloud_upload: Being published to MLflow in the background."
            if publishes()
            else ":material/cloud_off: Waits to be published to MLflow: this server has `PRUNE_LAB_PUBLISH=off`."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if of.publishing:
            st.caption(f":red[:material/cloud_off: Not published to MLflow: {plain(of.publishing)}]", width="content")
        elif of.published:
            st.caption(f":material/cloud_done: In MLflow as `{of.published}`.", width="content")
        else:
            st.caption(":material/cloud_off: Not in MLflow.", width="content")
        if on_click is not None:
            st.button(
                "Publish again" if of.published else "Publish", key=key, type="tertiary", on_click=on_click,
                args=(of.id,), icon=":material/cloud_upload:", help=note or None,
            )  # fmt: skip
