"""What pruning costs each class: accuracy before and after, a line a class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.words import percent, plural

TITLE = "Which classes pay: accuracy of each before and after"
LIMIT = 20  # classes shown: those that changed most
SHOWN = 0.05  # p below which a change is more than chance


@dataclass(frozen=True, eq=False)
class ClassChange:
    """``rows`` of ``Forgotten.per_class``, the largest loss first; ``classes`` there are in all."""

    rows: pd.DataFrame
    classes: int


def class_change_data(per_class: Any) -> ClassChange:
    """From ``Forgotten.per_class``; classes without examples are left out."""
    table = pd.DataFrame(per_class)
    if not len(table):
        return ClassChange(table, 0)
    known = table.loc[table["examples"] > 0]
    largest = known.assign(size=known["change"].abs()).nlargest(LIMIT, "size", keep="first").drop(columns="size")
    return ClassChange(largest.sort_values("change", kind="stable", ignore_index=True), len(table))


def alt_class_change(data: ClassChange) -> str:
    """The picture in words."""
    if not len(data.rows):
        return f"{TITLE}. Nothing measured yet."
    worst = data.rows.iloc[0]
    beyond = int(((data.rows["p"] < SHOWN) & (data.rows["change"] < 0)).sum())
    return (
        f"{TITLE}. Largest loss: {worst['name']}, from {percent(worst['before'])} to {percent(worst['after'])}; "
        f"{plural(beyond, 'class', 'classes')} lost more than chance explains."
    )


@drawing
def draw_class_change(data: ClassChange, colours: Palette) -> Plain:
    """Grey ring before, teal dot after, an interval on each; a star where the change is more than chance."""
    if not len(data.rows):
        return empty(TITLE, "Classes appear as test examples are answered.", x="accuracy of the class", y="class")
    rows = data.rows
    star = (rows["p"] < SHOWN).to_numpy()
    names = [f"{name} *" if s else str(name) for name, s in zip(rows["name"], star, strict=True)]
    lines: list[Plain] = [
        {"type": "line", "name": "change", "x0": row["before"], "x1": row["after"], "y0": i, "y1": i, "layer": "below",
         "line": {"color": rgba(colours.pruning, 0.45), "width": 4}}
        for i, row in enumerate(rows.to_dict("records"))
    ]  # fmt: skip
    more = f"; the {len(rows)} of {data.classes} classes that changed most" if len(rows) < data.classes else ""
    return frame(
        [_dots(rows, names, "before", colours.baseline, "circle-open"),
         _dots(rows, names, "after", colours.pruning, "circle")],
        title=TITLE, subtitle=f"Bars: 95 % intervals; * more than chance (McNemar, Holm){more}",
        x="accuracy of the class", y="class", alt=alt_class_change(data), shapes=lines, hovermode="closest",
        height=150 + 30 * max(len(rows), 2),
        xaxis={"tickformat": ".0%", "range": [_low(rows), 1.02], "showgrid": True},
        yaxis={"type": "category", "range": [len(rows) - 0.5, -0.5], "showgrid": False, "nticks": len(rows),
               "tickfont": {"size": 12.5, "color": colours.ink}},
    )  # fmt: skip


def _dots(rows: pd.DataFrame, names: list[str], when: str, colour: str, symbol: str) -> Plain:
    value = rows[when].to_numpy(float)
    return {
        "type": "scatter", "mode": "markers", "name": when, "x": value, "y": names,
        "marker": {"size": 11, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
        "error_x": {"type": "data", "symmetric": False, "array": rows[f"high_{when}"].to_numpy(float) - value,
                    "arrayminus": value - rows[f"low_{when}"].to_numpy(float), "color": rgba(colour, 0.55),
                    "thickness": 1.2, "width": 3},
        "customdata": [[n, lost, gained] for n, lost, gained in
                       zip(rows["examples"], rows["lost"], rows["gained"], strict=True)],
        "hovertemplate": f"{when}: %{{x:.1%}} of %{{customdata[0]}} examples; %{{customdata[1]}} newly wrong, "
                         "%{customdata[2]} newly right<extra></extra>",
    }  # fmt: skip


def _low(rows: pd.DataFrame) -> float:
    low = float(np.nanmin(rows[["low_before", "low_after"]].to_numpy(float)))
    return max(0.0, math.floor(low * 10) / 10) - 0.02
