"""The update as an arrow: which strategy turns it, and which only makes it shorter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from prune_core.clipping.curves import Lane
from prune_core.figures.clip_curves import dash
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import number, percent

TITLE = "The update as an arrow: turned, or only shortened"
X, Y = "part along the true gradient", "part across it"


@dataclass(frozen=True)
class Arrow:
    """One strategy: how long the clipped gradient is (L2) and by how many degrees it is turned."""

    name: str
    label: str
    place: int
    length: float
    angle: float

    @property
    def tip(self) -> tuple[float, float]:
        """Along the true gradient, and across it."""
        turn = math.radians(self.angle)
        return self.length * math.cos(turn), self.length * math.sin(turn)


@dataclass(frozen=True)
class ClipArrows:
    """Each arrow lies in the plane through the true gradient g and the gradient c that it leaves.

    The first axis is g / ‖g‖, the second the part of c across g, made to length 1: lengths and angles are exact. The
    planes of two strategies have g in common and nothing else, so an angle between two clipped arrows says nothing.
    """

    length: float
    arrows: tuple[Arrow, ...]
    chosen: str

    @property
    def arrow(self) -> Arrow | None:
        """The chosen one; None where it has none."""
        return next((arrow for arrow in self.arrows if arrow.name == self.chosen), None)


def angle(cosine: float) -> float:
    """The angle in degrees, 0 to 180."""
    return math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))


def clip_arrows_data(lanes: Iterable[Lane], at: Mapping[str, int], chosen: str) -> ClipArrows:
    """From lanes and the place in each where its slider stands."""
    length, arrows = 0.0, []
    for i, lane in enumerate(lanes):
        if lane.why:
            continue
        before, after, _, cosine = (float(v) for v in lane.rows[at[lane.name], -1])
        length = before
        if math.isfinite(cosine):
            arrows.append(Arrow(lane.name, lane.label, i, after, angle(cosine)))
    return ClipArrows(length, tuple(arrows), chosen)


def alt_clip_arrows(data: ClipArrows) -> str:
    """The picture in words."""
    if data.arrow is None:
        return f"{TITLE}. This strategy has no arrow for this gradient."
    text = "; ".join(f"{a.label}: turned by {a.angle:.1f}°, length {number(a.length)}" for a in data.arrows)
    return f"{TITLE}. True gradient: length {number(data.length)}. {text}."


@drawing
def draw_clip_arrows(data: ClipArrows, colours: Palette) -> Plain:
    """The true gradient in grey along the axis, the chosen strategy in orange, the others thin."""
    chosen = data.arrow
    if chosen is None or not data.length > 0:
        return empty(TITLE, "This strategy has no arrow here.", x=X, y=Y)
    widest = max([*(a.angle for a in data.arrows), 30.0])
    turn = np.radians(np.linspace(0, min(widest + 6, 90), 60))
    traces: list[Plain] = [
        {"type": "scatter", "name": "length of the true gradient", "x": data.length * np.cos(turn),
         "y": data.length * np.sin(turn), "mode": "lines", "line": {"color": colours.axis, "width": 1.2, "dash": "dot"},
         "hoverinfo": "skip", "showlegend": False, "meta": {"table": False}},
        _arrow("true gradient", (data.length, 0.0), colours.baseline, 4, "solid", 18,
               f"true gradient: length {number(data.length)}"),
    ]  # fmt: skip
    for arrow in sorted(data.arrows, key=lambda a: a.name == data.chosen):
        mine = arrow.name == data.chosen
        colour = colours.clipping if mine else colours.classes[arrow.place % len(colours.classes)]
        if mine:  # its direction, out to the arc: a short arrow has one too
            ends = [(r * math.cos(math.radians(arrow.angle)), r * math.sin(math.radians(arrow.angle)))
                    for r in (arrow.length, data.length)]  # fmt: skip
            traces.append(
                {"type": "scatter", "name": "its direction", "x": [x for x, _ in ends], "y": [y for _, y in ends],
                 "mode": "lines", "line": {"color": colour, "width": 1.2, "dash": "dash"}, "hoverinfo": "skip",
                 "showlegend": False, "meta": {"table": False}}
            )  # fmt: skip
        words = f"{arrow.label}: turned by {arrow.angle:.1f}°, length {number(arrow.length)}"
        traces.append(
            _arrow(arrow.label, arrow.tip, colour, 3.5 if mine else 1.3, "solid" if mine else dash(arrow.place),
                   18 if mine else 9, words)
        )  # fmt: skip
    left = chosen.length / data.length
    turned = f"turned by {chosen.angle:.1f}°" if chosen.angle > 0.05 else "not turned"
    high = max(math.sin(turn[-1]) if widest < 84 else 1.0, 0.4)
    return frame(
        traces, title=TITLE, subtitle=f"{chosen.label}: {turned}, {percent(left)} of the length left", x=X, y=Y,
        alt=alt_clip_arrows(data), hovermode="closest",
        xaxis={"range": [-0.03 * data.length, 1.08 * data.length], "constrain": "domain", "zeroline": True,
               "zerolinecolor": colours.axis},
        yaxis={"range": [-0.06 * data.length, high * 1.05 * data.length], "scaleanchor": "x", "constrain": "domain",
               "nticks": 5},
    )  # fmt: skip


def _arrow(
    name: str, tip: tuple[float, float], colour: str, width: float, dashed: str, head: float, words: str
) -> Plain:
    return {
        "type": "scatter", "name": name, "x": [0.0, tip[0]], "y": [0.0, tip[1]], "mode": "lines+markers",
        "line": {"color": colour, "width": width, "dash": dashed},
        "marker": {"symbol": "arrow", "angleref": "previous", "size": [0, head], "color": colour, "opacity": 1},
        "hovertemplate": f"{words}<extra></extra>",
    }  # fmt: skip
