"""What accuracy costs: accuracy against sparsity, bytes, MACs or latency, a line a method, its band over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from prune_core.comparing import begun, knee, line_fields, names_of, pareto_front, settings_of
from prune_core.errors import ConfigError
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette, rgba
from prune_core.figures.trade_words import (
    WORDS,
    Cost,
    accuracy_range,
    axis_of,
    describe_setting,
    drawn_at,
    is_log,
    place,
    price_of,
)
from prune_core.figures.words import percent, plural

LINE, CLOUD = 60, 500  # settings that a line is drawn through; settings drawn of a cloud
NUMBERED = 12  # points of the front that carry a number
LABELLED = 3  # lines whose knee is named in the picture
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")


@dataclass(frozen=True)
class TradeLine:
    """One method: ``points`` are rows of ``settings_of`` in the order of x. ``knee`` is a row's number, None without.

    ``joined`` says whether they lie on a line (sparsity alone changes along it) or are a cloud.
    """

    name: str
    turn: int
    points: pd.DataFrame
    joined: bool
    knee: int | None


@dataclass(frozen=True)
class TradeOff:
    """Settings with their lines; ``front`` are the rows of ``points`` that no other beats, cheapest first.

    ``runs`` are counted behind the points, ``total`` settings there are, of which a cloud shows some.
    """

    cost: Cost
    lines: tuple[TradeLine, ...]
    points: pd.DataFrame
    front: tuple[int, ...]
    runs: int


def trade_off_data(
    results: pd.DataFrame,
    cost: Cost = "sparsity",
    *,
    by: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> TradeOff:
    """From the results of a sweep: a row a run, columns as ``SweepHandle.results`` has them.

    ``by`` names the columns that tell lines apart (by default the varying settings, as long as there are at most eight
    lines), ``titles`` what columns are called. Runs that differ in their seeds alone are one point. The front takes
    the highest accuracy at the least cost, costs being equal that agree in three digits; of equal accuracy only the
    cheapest, and points equal in both are all on it.
    Raises ConfigError for another ``cost``.
    """
    if cost not in WORDS:
        raise ConfigError(f"There is no cost {cost!r}; choose {', '.join(WORDS)}.")
    if cost == "latency_ms":
        results = _pooled(results)
    points = settings_of(results, cost, by=by, titles=titles)
    price = price_of(points["x"].to_numpy(float), cost)
    on = np.flatnonzero(pareto_front(points["accuracy"], price))
    front = on[np.argsort(price[on], kind="stable")]
    # as all runs that have begun name them, in their order: a line keeps its colour while the sweep goes on
    told = line_fields(results) if by is None else list(by)
    names = list(dict.fromkeys(names_of(begun(results), told, titles)))
    found = dict(list(points.groupby("line")))
    logarithmic = len(points) > 0 and is_log(points, cost)
    lines = tuple(_line(str(n), turn, found[n], cost, logarithmic) for turn, n in enumerate(names) if n in found)
    return TradeOff(cost, lines, points, tuple(int(i) for i in front), int(points["n"].sum()))


def _pooled(results: pd.DataFrame) -> pd.DataFrame:
    """The median latency of all runs of one model in place of each run's own.

    A mask leaves the arithmetic as it is, so they differ by chance alone, and a front of chances would say nothing.
    """
    same = [c for c in ("model", "data", "macs", "parameters") if c in results]
    return results.assign(latency_ms=results.groupby(same, dropna=False)["latency_ms"].transform("median"))


def _line(name: str, turn: int, points: pd.DataFrame, cost: Cost, logarithmic: bool) -> TradeLine:
    alone = bool((points["name"] == points["name"].iloc[0]).all()) and points["target"].is_unique
    joined = cost != "latency_ms" and alone and len(points) <= LINE and (points["n"].max() > 1 or len(points) <= 20)
    bend = None
    if joined:
        noise = float((points["high"] - points["low"]).median())  # a curve flatter than its band has no knee
        # as drawn: whoever sees a bend finds it where the picture has it; on a logarithm of what is left, to the right
        # is less, as sparsity has it
        at = drawn_at(points["x"].to_numpy(float), cost)
        place_of = -np.log10(at) if cost == "sparsity" else np.log10(at) if logarithmic else at
        direction: Literal["decreasing", "increasing"] = "decreasing" if cost == "sparsity" else "increasing"
        bend = knee(place_of, points["accuracy"], direction=direction, noise=0.0 if math.isnan(noise) else noise)
    return TradeLine(name, turn, points, joined, None if bend is None else int(points.index[bend.index]))


def alt_trade_off(data: TradeOff) -> str:
    """The picture in words."""
    title = WORDS[data.cost][0]
    if not len(data.points):
        return f"{title}. No run has finished yet."
    text = f"{title}: {plural(len(data.points), 'setting')} from {plural(data.runs, 'run')}."
    if data.front:
        first, last = data.points.loc[data.front[0]], data.points.loc[data.front[-1]]
        text += f" The Pareto front goes from {_point(first, data.cost)} to {_point(last, data.cost)}."
    return text + "".join(f" {sentence}" for sentence in knees(data))


def knees(data: TradeOff) -> list[str]:
    """A sentence for every line that has a knee."""
    return [
        f"Knee of {line.name or 'the curve'}: {_point(line.points.loc[line.knee], data.cost)}."
        for line in data.lines
        if line.knee is not None
    ]


def _point(point: Any, cost: Cost) -> str:
    return f"{percent(point['accuracy'])} at {place(float(point['x']), cost)}"


@drawing
def draw_trade_off(data: TradeOff, colours: Palette, *, room: int = 0) -> Plain:
    """Lines with their bands, the front as numbered rings on a dotted stair, a diamond at each knee.

    It is as high as ``room`` lines need, if there are fewer: what stands below stays in place while lines come.
    """
    title, x, _ = WORDS[data.cost]
    if not len(data.points):
        first = "The first finished run draws the first point."
        return empty(title, first, x=x, y="test accuracy", height=420 + 20 * max(room, 2))
    traces: list[Plain] = []
    share = CLOUD / max(sum(len(line.points) for line in data.lines if not line.joined), 1)
    for line in data.lines:
        traces += _joined(line, data, colours) if line.joined else [_cloud(line, data, colours, min(share, 1.0))]
    traces += _front(data, colours)
    notes: list[Plain] = []
    bent = [line for line in data.lines if line.knee is not None]
    if bent:
        at = data.points.loc[[line.knee for line in bent if line.knee is not None]]
        rings = set(data.front) if len(data.front) <= NUMBERED else set()
        traces.append(
            {"type": "scatter", "name": "knee", "x": drawn_at(at["x"].to_numpy(), data.cost),
             "y": at["accuracy"].to_numpy(),
             "mode": "markers", "cliponaxis": False,
             # around a ring with its number, or around the line's own mark: small, for where lines lie close
             "marker": {"symbol": "diamond-open", "size": [24 if i in rings else 13 for i in at.index],
                        "color": colours.ink, "line": {"width": 1.6}},
             "customdata": _details(at, data.cost), "hovertemplate": "knee of " + HOVER}
        )  # fmt: skip
    for line in bent if len(bent) <= LABELLED else []:
        point = data.points.loc[line.knee]
        at_x = float(drawn_at(point["x"], data.cost))
        at_x = math.log10(at_x) if is_log(data.points, data.cost) else at_x
        notes.append(  # "wide": on a telephone they would stand in each other's way
            {"text": f"knee, {place(float(point['x']), data.cost)}", "name": "wide",
             "x": at_x, "y": point["accuracy"], "showarrow": True, "arrowhead": 0,
             "arrowwidth": 1, "arrowcolor": colours.muted, "ax": -24 if data.cost == "sparsity" else 24,
             "ay": 34 + 18 * (line.turn % 3), "standoff": 9, "xanchor": "right" if data.cost == "sparsity" else "left",
             "font": {"size": 12, "color": colours.ink}, "bgcolor": rgba(colours.background, 0.75)}
        )  # fmt: skip
    if data.cost == "sparsity":
        for trace in traces:
            trace["meta"] = {"table": "complement"}  # a table of it says what is removed
    return frame(
        traces, title=title, subtitle=_subtitle(data), x=x, y="test accuracy", alt=alt_trade_off(data),
        height=420 + 20 * max(len(data.lines), room),
        annotations=notes, hovermode="closest", showlegend=True, xaxis=axis_of(data.points, data.cost),
        yaxis={"tickformat": ".0%", "range": accuracy_range(data.points)},
    )  # fmt: skip


HOVER = "%{customdata[1]}<extra></extra>"


def _subtitle(data: TradeOff) -> str:
    text = f"{plural(len(data.points), 'setting')}, {plural(data.runs, 'run')}"
    if data.points["n"].max() > 1:
        text += "; bands: 95 % over seeds" if data.cost != "latency_ms" else "; bars: 95 % over seeds"
    text += "; numbers: the Pareto front, where nothing is better and cheaper"
    if data.cost == "latency_ms":
        text += ". A mask makes nothing faster: a model stands at its median"
    return text


def _joined(line: TradeLine, data: TradeOff, colours: Palette) -> list[Plain]:
    colour, points = colours.classes[line.turn % len(colours.classes)], line.points
    x, group = drawn_at(points["x"].to_numpy(), data.cost), f"line{line.turn}"
    found: list[Plain] = []
    if (points["n"] > 1).any() and len(points) > 1:
        band = {"type": "scatter", "x": x, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                "legendgroup": group, "line": {"width": 0, "color": colour}}  # fmt: skip
        low, high = (points[c].fillna(points["accuracy"]).clip(0, 1).to_numpy() for c in ("low", "high"))
        found += [
            {**band, "y": high, "name": f"{line.name}, 95 % high"},
            {**band, "y": low, "name": f"{line.name}, 95 % low", "fill": "tonexty", "fillcolor": rgba(colour, 0.16)},
        ]
    found.append(
        {"type": "scatter", "name": line.name or "accuracy", "x": x, "y": points["accuracy"].to_numpy(),
         "mode": "lines+markers", "legendgroup": group, "customdata": _details(points, data.cost),
         "line": {"color": colour, "width": 2, "dash": DASHES[line.turn % len(DASHES)]},
         "marker": {"size": 7, "color": colour, "symbol": line.turn % 8}, "hovertemplate": HOVER}
    )  # fmt: skip
    return found


def _cloud(line: TradeLine, data: TradeOff, colours: Palette, share: float) -> Plain:
    """Markers alone; of many settings some, spread evenly over the picture (the front is drawn besides)."""
    colour, points = colours.classes[line.turn % len(colours.classes)], line.points
    if share < 1:
        points = points.iloc[_spread(points, data, max(1, int(share * len(points))))]
    many = len(data.points) > CLOUD / 4
    found: Plain = {
        "type": "scatter", "name": line.name or "accuracy", "x": drawn_at(points["x"].to_numpy(), data.cost),
        "y": points["accuracy"].to_numpy(), "mode": "markers",
        "customdata": _details(points, data.cost, words=not many),
        "marker": {"size": 5 if many else 8, "color": colour, "symbol": line.turn % 8,
                   "opacity": 0.55 if many else 0.9},
        # the words of hundreds of points would be most of the message: a click tells them
        "hovertemplate": f"{line.name}<br>%{{x}}, %{{y:.1%}}<extra></extra>" if many else HOVER,
    }  # fmt: skip
    if not many and (points["n"] > 1).any():
        up, down = points["high"].clip(upper=1) - points["accuracy"], points["accuracy"] - points["low"].clip(lower=0)
        found["error_y"] = {
            "type": "data", "symmetric": False, "array": up.fillna(0).to_numpy(),
            "arrayminus": down.fillna(0).to_numpy(), "color": rgba(colour, 0.5), "thickness": 1.2, "width": 3,
        }  # fmt: skip
    return found


def _spread(points: pd.DataFrame, data: TradeOff, n: int) -> np.ndarray:
    """Positions of ``n`` points: every cell of a grid over the picture in turn, so that outliers stay."""
    xs, ys = data.points["x"], data.points["accuracy"]
    cells = [
        np.minimum((40 * (v - whole.min()) / max(np.ptp(whole), 1e-12)).to_numpy(int), 39)
        for v, whole in ((points["x"], xs), (points["accuracy"], ys))
    ]
    cell = pd.Series(40 * cells[0] + cells[1])
    turn = cell.groupby(cell).cumcount().to_numpy()
    return np.sort(np.argsort(turn, kind="stable")[:n])


def _front(data: TradeOff, colours: Palette) -> list[Plain]:
    at = data.points.loc[list(data.front)]
    if not len(at):
        return []
    if len(at) > CLOUD:
        at = at.iloc[np.unique(np.linspace(0, len(at) - 1, CLOUD).round().astype(int))]
    x, y = drawn_at(at["x"].to_numpy(), data.cost), at["accuracy"].to_numpy()
    few = len(at) <= NUMBERED
    stair: Plain = {
        "type": "scatter", "name": "front", "x": x, "y": y, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        "line": {"color": colours.mark, "width": 1.2, "dash": "dot", "shape": "hv"}, "legendgroup": "front",
    }  # fmt: skip
    rings: Plain = {
        "type": "scatter", "name": "Pareto front", "x": x, "y": y, "mode": "markers+text" if few else "markers",
        "cliponaxis": False, "legendgroup": "front", "customdata": _details(at, data.cost), "hovertemplate": HOVER,
        "marker": {"symbol": "circle", "size": 18 if few else 9,
                   "color": colours.background if few else rgba(colours.mark, 0),
                   "line": {"color": colours.mark, "width": 1.6}},
    }  # fmt: skip
    if few:
        rings |= {"text": [str(i + 1) for i in range(len(at))], "textfont": {"size": 11, "color": colours.ink},
                  "textposition": "middle center"}  # fmt: skip
    return [stair, rings] if len(at) > 1 else [rings]


def _details(points: pd.DataFrame, cost: Cost, *, words: bool = True) -> list[list[str]]:
    """For each point the id of its run nearest to the mean, by which a click is resolved, and what it is."""
    if not words:
        return [[run] for run in points["run"]]
    return [[row["run"], describe_setting(row, cost, "<br>")] for row in points.to_dict("records")]
