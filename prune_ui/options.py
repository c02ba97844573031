"""Options that cannot be had: not offered, but named with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping

import streamlit as st

from prune_ui.fields import plain


def not_offered(closed: Mapping[str, str]) -> None:
    """Options that are not there, greyed, with the reason once for all that share it."""
    by_reason: dict[str, list[str]] = {}
    for label, why in closed.items():
        if why:
            by_reason.setdefault(why, []).append(label)
    for why, labels in by_reason.items():
        st.caption(f":gray[:material/block: {', '.join(labels)}: {plain(why)}]")


def why(sentence: str) -> str:
    """What of an error's sentence says why, for a list of options: without what was given, and what to do."""
    return re.sub(r"^Pruning\.\w+ ", "", re.split(r"[;,] (?:got|choose)\b|;", sentence)[0])
