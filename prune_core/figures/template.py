"""One Plotly template, light and dark."""

from __future__ import annotations

from functools import cache

import plotly.graph_objects as go
from plotly.io import templates as templates

from prune_core.figures.palette import Theme, palette

FONT = '"Source Sans", "Source Sans 3", system-ui, -apple-system, "Segoe UI", sans-serif'


@cache
def template(theme: Theme = "light") -> go.layout.Template:
    """The template of a theme: quiet axes, no box, numbers that line up, room kept by automargin."""
    colours = palette(theme)
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.axis,
        "tickcolor": colours.axis,
        "tickfont": {"color": colours.muted, "size": 12},
        "title": {"font": {"color": colours.muted, "size": 12.5}, "standoff": 8},
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "ticklen": 4,
        "exponentformat": "power",
        "minorloglabels": "none",
        "spikecolor": colours.axis,
        "spikethickness": 1,
        "spikedash": "solid",
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": colours.ink},
            "paper_bgcolor": colours.background,
            "plot_bgcolor": colours.background,
            "colorway": [colours.baseline, colours.clipping, colours.pruning, colours.both, *colours.classes],
            "title": {
                "font": {"size": 16, "color": colours.ink, "weight": 600},
                "subtitle": {"font": {"size": 13, "color": colours.muted}},
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "yref": "container",
                "y": 0.97,
                "yanchor": "top",
                "automargin": True,
            },
            "margin": {"l": 12, "r": 14, "t": 30, "b": 12, "pad": 0},
            "xaxis": {**axis, "showgrid": False, "showline": True},
            "yaxis": {**axis, "showline": False, "ticklen": 0, "nticks": 6},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"size": 12.5, "color": colours.ink},
                "bgcolor": "rgba(0,0,0,0)",
                "itemwidth": 30,
                "traceorder": "normal",
            },
            "annotationdefaults": {"font": {"color": colours.muted}},
            "hoverlabel": {
                "bgcolor": colours.surface,
                "bordercolor": colours.axis,
                "font": {"family": FONT, "size": 12.5, "color": colours.ink},
                "align": "left",
                "namelength": -1,
            },
            "hovermode": "x unified",
            "hoverdistance": 40,
            "bargap": 0,
            "dragmode": "zoom",
            "separators": ".\u202f",  # a thin space between thousands
        }
    )
