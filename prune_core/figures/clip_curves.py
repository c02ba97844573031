"""What every clipping strategy does to one gradient as its threshold falls: one measure, a line a strategy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from prune_core.clipping.curves import Lane, threshold_spec
from prune_core.figures.drawing import Plain, drawing, empty, frame, log_axis, threshold_line
from prune_core.figures.palette import Palette
from prune_core.figures.words import number, percent

Measure = Literal["norm_after", "changed", "cosine"]
TITLES: dict[Measure, str] = {
    "norm_after": "Length: what clipping leaves of it",
    "changed": "Entries: how many clipping changes",
    "cosine": "Direction: what clipping keeps of it",
}
AXES: dict[Measure, str] = {
    "norm_after": "norm after (L2, log scale)",
    "changed": "entries changed",
    "cosine": "cosine to the true gradient",
}
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
FLOOR = 1e-4  # of the norm before: what is drawn on the logarithmic axis at the least


@dataclass(frozen=True)
class Line:
    """One strategy: ``x`` (n,) are its thresholds brought to the axis of the chosen one, ``own`` in its own unit."""

    name: str
    label: str
    place: int
    x: np.ndarray
    own: np.ndarray
    y: np.ndarray
    at: int


@dataclass(frozen=True)
class ClipCurves:
    """``lines`` in the order of the registry; ``chosen`` is the name of the one whose threshold the axis shows.

    Another's threshold stands where it is the same share of the smallest one that leaves the gradient as it is.
    """

    measure: Measure
    lines: tuple[Line, ...]
    chosen: str
    threshold: float
    quiet: float
    what: str
    before: float

    @property
    def line(self) -> Line | None:
        """The chosen one; None where it has no curve."""
        return next((line for line in self.lines if line.name == self.chosen), None)


def clip_curves_data(lanes: Iterable[Lane], at: Mapping[str, int], chosen: str, measure: Measure) -> ClipCurves:
    """From lanes, the place in each where its slider stands, and the one that is in hand."""
    found = tuple(lanes)
    own = next((lane for lane in found if lane.name == chosen), None)
    if own is None or own.why:
        return ClipCurves(measure, (), chosen, math.nan, math.nan, "", math.nan)
    spec = threshold_spec(own.strategy)
    lines = tuple(
        Line(lane.name, lane.label, i, _brought(lane, own), lane.thresholds, lane.overall(measure), at[lane.name])
        for i, lane in enumerate(found)
        if not lane.why
    )
    unit = f" ({spec.unit})" if spec.unit else ""
    return ClipCurves(
        measure, lines, chosen, float(own.thresholds[at[chosen]]), own.quiet, f"{spec.label}{unit}",
        float(own.overall("norm_before")[0]),
    )  # fmt: skip


def _brought(lane: Lane, own: Lane) -> np.ndarray:
    """A lane's thresholds on the axis of another one's."""
    return lane.thresholds if lane is own else lane.thresholds / lane.quiet * own.quiet


def alt_clip_curves(data: ClipCurves) -> str:
    """The picture in words."""
    line = data.line
    if line is None:
        return f"{TITLES[data.measure]}. This strategy has no curve for this gradient."
    text = f"{TITLES[data.measure]}, over the threshold. {line.label} at {number(data.threshold)}: {_value(data, line)}"
    others = [f"{other.label} {_value(data, other)}" for other in data.lines if other.name != data.chosen]
    return f"{text}. {'; '.join(others)}." if others else f"{text}."


@drawing
def draw_clip_curves(data: ClipCurves, colours: Palette) -> Plain:
    """The chosen strategy strong, the others thin, each with a dot where its slider stands; the line can be dragged."""
    chosen = data.line
    if chosen is None:
        return empty(TITLES[data.measure], "This strategy has no curve here.", x="threshold", y=AXES[data.measure])
    traces: list[Plain] = []
    for line in sorted(data.lines, key=lambda one: one.name == data.chosen):
        mine = line.name == data.chosen
        traces.append(
            {"type": "scatter", "name": line.label, "x": line.x, "y": _shown(data, line.y), "mode": "lines",
             "customdata": line.own,
             "line": {"color": colours.clipping if mine else colours.classes[line.place % len(colours.classes)],
                      "width": 3 if mine else 1.4, "dash": "solid" if mine else dash(line.place)},
             "hovertemplate": f"{line.label} at %{{customdata:.3g}}: {_format(data.measure)}<extra></extra>"}
        )  # fmt: skip
    others = [line for line in data.lines if line.name != data.chosen]
    inks = [colours.classes[o.place % len(colours.classes)] for o in others]
    traces += [
        {"type": "scatter", "name": "the others' sliders", "x": np.array([o.x[o.at] for o in others]),
         "y": _shown(data, np.array([o.y[o.at] for o in others])), "mode": "markers", "showlegend": False,
         "hoverinfo": "skip", "meta": {"table": False},
         "marker": {"size": 7, "color": colours.background, "symbol": "circle",
                    "line": {"width": 1.6, "color": inks}}},
        {"type": "scatter", "name": "now", "x": [data.threshold], "y": _shown(data, chosen.y[[chosen.at]]),
         "mode": "markers", "showlegend": False, "hoverinfo": "skip", "meta": {"table": False},
         "marker": {"size": 13, "color": colours.clipping, "line": {"width": 2.5, "color": colours.background}}},
    ]  # fmt: skip
    low, high = float(chosen.own[0]), float(chosen.own[-1])
    drag = {"axis": "x", "value": data.threshold, "min": low, "max": high, "label": "", "color": "clipping",
            "follow": chosen.label, "grip": "low" if data.measure == "cosine" else "high"}  # fmt: skip
    reach = math.log10(high / low) or 1.0
    return frame(
        traces, title=TITLES[data.measure], subtitle=_subtitle(data, chosen), x=f"{data.what}, log scale",
        y=AXES[data.measure], alt=alt_clip_curves(data), drag=drag, hovermode="closest",
        shapes=[threshold_line("x", data.threshold, colours.clipping)],
        xaxis={**log_axis(math.log10(low) - 0.02 * reach, math.log10(high) + 0.02 * reach), "uirevision": data.chosen},
        yaxis=_axis(data),
    )  # fmt: skip


def dash(place: int) -> str:
    """The dash of the strategy at ``place`` of the registry, the same in all figures."""
    return DASHES[place % len(DASHES)]


def _shown(data: ClipCurves, y: np.ndarray) -> np.ndarray:
    return np.maximum(y, FLOOR * data.before) if data.measure == "norm_after" else y


def _axis(data: ClipCurves) -> Plain:
    if data.measure == "changed":
        return {"tickformat": ".0%", "range": [-0.03, 1.05]}
    if data.measure == "norm_after":
        top = math.log10(data.before) if data.before > 0 else 0.0
        return log_axis(top + math.log10(FLOOR) - 0.1, top + 0.2)
    low = min(float(np.nanmin(line.y)) for line in data.lines)
    return {"range": [math.floor(low * 10) / 10 - 0.03, 1.04]}


def _value(data: ClipCurves, line: Line) -> str:
    y = float(line.y[line.at])
    return percent(y) if data.measure == "changed" else f"{y:.3f}" if data.measure == "cosine" else number(y)


def _format(measure: Measure) -> str:
    return {"changed": "%{y:.1%}", "cosine": "%{y:.3f}", "norm_after": "%{y:.3g}"}[measure]


def _subtitle(data: ClipCurves, line: Line) -> str:
    value = _value(data, line)
    if data.measure == "norm_after":
        return f"{line.label}: {value} of {number(data.before)}"
    return f"{line.label}: {value}"
