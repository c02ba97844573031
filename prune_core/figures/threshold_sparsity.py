"""Clipping and pruning together: accuracy by clip threshold, a row each, and by sparsity, a column each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from prune_core.comparing import begun, final_rows, mean_interval
from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import number, percent, plural

TITLE = "Clipping and pruning together: test accuracy"
ROW, HEAD = 34, 150  # px of a row, and of title, axis and colour bar
MOST = 40  # rows and columns; of more, those evenly spread
WORDS = 12  # rows and columns up to which every cell says its number


@dataclass(frozen=True)
class ThresholdSparsity:
    """Arrays of shape (thresholds, sparsities), nan where there is no run; thresholds rise, nan (no clipping) is last.

    ``run`` is the id of the run nearest to the mean, by which a click is resolved.
    """

    thresholds: tuple[float, ...]
    sparsities: tuple[float, ...]
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    run: np.ndarray


def threshold_sparsity_data(results: pd.DataFrame) -> ThresholdSparsity:
    """From the results of a sweep: the mean over all runs of equal clip threshold and equal target sparsity.

    Runs that do not clip have a row of their own; runs that do not prune stand at 0. Only final figures count, but rows
    and columns are there for all that have begun.
    """
    table = begun(results)
    table = table.assign(target=table["target"].fillna(0.0).astype(float), threshold=table["threshold"].astype(float))
    thresholds = _thin(sorted(table["threshold"].dropna().unique()))
    thresholds += [float("nan")] if table["threshold"].isna().any() else []
    sparsities = _thin(sorted(table["target"].unique()))
    shape = (len(thresholds), len(sparsities))
    accuracy, low, high, n = (np.full(shape, np.nan) for _ in range(4))
    run = np.full(shape, "", object)
    for (threshold, target), part in final_rows(table).groupby(["threshold", "target"], dropna=False):
        i = next((k for k, t in enumerate(thresholds) if t == threshold or (t != t and threshold != threshold)), None)
        if i is None or target not in sparsities:
            continue
        j, found = sparsities.index(target), mean_interval(part["accuracy"])
        accuracy[i, j], low[i, j], high[i, j], n[i, j] = found.mean, found.low, found.high, found.n
        run[i, j] = part.loc[(part["accuracy"] - found.mean).abs().idxmin(), "run"]
    return ThresholdSparsity(tuple(thresholds), tuple(sparsities), accuracy, low, high, n, run)


def _thin(values: list[float]) -> list[float]:
    at = np.linspace(0, len(values) - 1, min(MOST, len(values))).round().astype(int)
    return [float(values[i]) for i in np.unique(at)]


def alt_threshold_sparsity(data: ThresholdSparsity) -> str:
    """The picture in words."""
    if not np.isfinite(data.accuracy).any():
        return f"{TITLE}. No run has finished yet."
    words = []
    for what, at in (("highest", np.nanargmax(data.accuracy)), ("lowest", np.nanargmin(data.accuracy))):
        i, j = np.unravel_index(int(at), data.accuracy.shape)
        words.append(
            f"{what} {percent(data.accuracy[i, j])} with {_clip(data.thresholds[i])} and "
            f"{percent(data.sparsities[j], 0)} removed"
        )
    return f"{TITLE}: {'; '.join(words)}."


def _clip(threshold: float) -> str:
    return "no clipping" if threshold != threshold else f"threshold {number(threshold)}"


@drawing
def draw_threshold_sparsity(data: ThresholdSparsity, colours: Palette) -> Plain:
    """A heat map: strong where the accuracy holds, pale where it is lost; a click on a cell gives its run."""
    x, y = "weights removed", "clip threshold"
    if not np.isfinite(data.accuracy).any():
        return empty(TITLE, "A cell fills in as its runs finish.", x=x, y=y)
    few = max(data.accuracy.shape) <= WORDS
    shades = colours.sequence[:3] if few else colours.sequence  # on the pale half the numbers can be read
    low, high = 100 * float(np.nanmin(data.accuracy)), 100 * float(np.nanmax(data.accuracy))
    picture: Plain = {
        "type": "heatmap", "name": "accuracy", "z": 100 * data.accuracy, "x": [percent(s, 0) for s in data.sparsities],
        "y": ["none" if t != t else number(t) for t in data.thresholds], "xgap": 2, "ygap": 2, "hoverongaps": False,
        "zmin": max(0.0, 5 * (low // 5)), "zmax": max(high, 1.0), "customdata": _details(data), "showscale": not few,
        "colorscale": [[i / (len(shades) - 1), c] for i, c in enumerate(shades)],
        "hovertemplate": "%{customdata[1]}<extra></extra>",
        "colorbar": {"title": {"text": "accuracy", "side": "right"}, "ticksuffix": "\u00a0%", "thickness": 10,
                     "outlinewidth": 0, "len": 1, "nticks": 4, "tickfont": {"size": 11, "color": colours.muted}},
    }  # fmt: skip
    if len({*picture["x"]}) < len(picture["x"]):  # sparsities closer than a per cent
        picture["x"] = [percent(s, 2) for s in data.sparsities]
    if few:
        text = [["" if np.isnan(a) else f"{100 * a:.1f}" for a in row] for row in data.accuracy]
        picture |= {"text": text, "texttemplate": "%{text}", "textfont": {"size": 12, "color": colours.ink}}
    runs = int(np.nansum(data.n))
    return frame(
        [picture], title=TITLE, subtitle=f"In per cent, mean over the runs of a cell; {plural(runs, 'run')}", x=x, y=y,
        alt=alt_threshold_sparsity(data), height=HEAD + (ROW if few else 18) * max(len(data.thresholds), 3),
        hovermode="closest",
        xaxis={"type": "category", "showline": False, "ticks": ""},
        yaxis={"type": "category", "showgrid": False, "nticks": len(data.thresholds)},
    )  # fmt: skip


def _details(data: ThresholdSparsity) -> list[list[list[str]]]:
    rows = []
    for i, threshold in enumerate(data.thresholds):
        row = []
        for j, sparsity in enumerate(data.sparsities):
            n = data.n[i, j]
            text = ""
            if n > 0:
                spread = f" ({percent(data.low[i, j])} to {percent(data.high[i, j])})" if n > 1 else ""
                text = (
                    f"{_clip(threshold)}, {percent(sparsity, 0)} removed<br>"
                    f"accuracy {percent(data.accuracy[i, j])}{spread}, {plural(int(n), 'run')}"
                )
            row.append([str(data.run[i, j]), text])
        rows.append(row)
    return rows
