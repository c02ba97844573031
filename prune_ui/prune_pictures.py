"""The section "Masks": the weights of a layer themselves, with what is removed marked in them."""

from __future__ import annotations

import streamlit as st

from prune_core.figures.filter_tiles import draw_filter_tiles, filter_tiles_data
from prune_core.figures.n_of_m_tiles import draw_n_of_m_tiles, n_of_m_tiles_data
from prune_core.figures.weight_dots import draw_weight_dots, weight_dots_data
from prune_core.jobs import PreviewReply
from prune_ui import prune_charts as charts
from prune_ui.prune_state import Source

WORDS = {
    "filters": "Each square is one kernel of a filter: grey by the weight's value, teal is removed.",
    "n_of_m": "Each tile is a group of neighbouring inputs: grey by the weight's value, teal is removed.",
    "matrix": "Each dot is a weight, the larger the dot the larger the weight; teal crosses are removed.",
}


def section(source: Source, reply: PreviewReply) -> bool:
    """Draw it, for the layer chosen above; nothing more will come."""
    picture = reply.picture
    tiles = picture.tiles if picture is not None else None
    if tiles is None:
        st.caption("The picture comes with the next answer.")
        return False
    st.caption(f"{WORDS[tiles.kind]} Choose another layer above; the picture follows the sliders.")
    if tiles.kind == "filters":
        charts.show("filters", draw_filter_tiles.plain(filter_tiles_data(tiles)))
    elif tiles.kind == "n_of_m":
        charts.show("pattern", draw_n_of_m_tiles.plain(n_of_m_tiles_data(tiles)))
    else:
        charts.show("dots", draw_weight_dots.plain(weight_dots_data(tiles)))
    return False
