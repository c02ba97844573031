"""The lab's one chart component: Plotly figures that are updated in place and can be taken by a handle."""

from __future__ import annotations

from prune_ui.chart.component import ChartEvent, chart

__all__ = ["ChartEvent", "chart"]
