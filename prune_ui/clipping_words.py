"""What the Clipping page says: the sentence with the measured numbers, and formulas with the live ones filled in."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from prune_core.clipping import cliff
from prune_core.clipping.curves import Lane, threshold_spec
from prune_core.clipping.report import COLUMNS
from prune_core.figures.cliff import LABELS, outside
from prune_core.figures.clip_arrows import angle
from prune_core.figures.words import count, number, percent
from prune_core.formulas import ClipNumbers, LayerNumbers, Pieces
from prune_core.jobs import GradientReply
from prune_ui.clipping_state import Source
from prune_ui.naming import in_text


def lesson(source: Source, reply: GradientReply, lane: Lane, place: int) -> str:
    """The sentence at the top, as html."""
    before, after, changed, cosine = (float(v) for v in lane.rows[place, -1])
    n, spec = count(len(reply.gradient.values)), threshold_spec(lane.strategy)
    turned = angle(cosine)
    turn = f'turned it by <b class="clipping">{turned:.1f}°</b>' if turned >= 0.05 else "did not turn it"
    left = after / before if before > 0 else 1.0
    unit = f"\u00a0{spec.unit}" if spec.unit else ""
    name, bold = in_text(lane.label), '<b class="clipping">'
    how = f" {name}" if name.startswith("by ") else f", {name},"
    said = (
        f"Clipping{how} at {number(float(lane.thresholds[place]))}{unit} changed "
        f"{bold}{percent(changed)}</b> of the gradient's {n} entries, {turn}, "
        f"left {bold}{percent(left)}</b> of its length and removed {bold}0</b> of {n} "
        "parameters"
    )
    g = reply.gradient
    when = "before the first step" if g.step == 0 else f"after {count(g.step)} steps"
    aside = (
        "Clipping limited this one update; every parameter is still there, and the next gradient has as many entries. "
        f"Shown: {source.name}, {when}, the mean over {count(g.examples)} training examples, loss {number(g.loss)}."
    )
    return f'<p class="lab-lesson">{said}.</p><p class="lab-aside">{html.escape(aside)}</p>'


def formula(lane: Lane, place: int, reply: GradientReply) -> Pieces:
    """The strategy's formula with the numbers of now, as LaTeX."""
    g, rows = reply.gradient, lane.rows[place]
    before, after, changed, _ = (float(v) for v in rows[-1])
    layers = [
        LayerNumbers(name, int(size), float(row[0]), float(row[1]))
        for name, size, row in zip(g.names, g.sizes, rows[:-1], strict=True)
    ]
    now = ClipNumbers(before, after, changed, g.values, layers, lane.state, len(g.norms) + 1)
    return lane.strategy.with_threshold(float(lane.thresholds[place])).filled(now)


def table(lanes: Sequence[Lane]) -> pd.DataFrame:
    """Every curve, a row a point, each with its strategy's own threshold; the last layer is all together."""
    parts = [
        pd.DataFrame(lane.rows[:, -1], columns=list(COLUMNS)).assign(
            strategy=lane.name, threshold=lane.thresholds, share_of_quiet=lane.thresholds / lane.quiet
        )
        for lane in lanes
        if not lane.why
    ]
    first = ["strategy", "threshold", "share_of_quiet"]
    if not parts:
        return pd.DataFrame(columns=[*first, *COLUMNS])
    return pd.concat(parts, ignore_index=True)[[*first, *COLUMNS]]


def cliff_lesson(paths: Sequence[cliff.Path]) -> str:
    """What the descents did, as html."""
    plain, norm, value = paths
    steep, usual = float(plain.norms.max()), float(np.median(plain.norms[plain.norms > 0]))
    if outside(plain):
        w, b = plain.points[-1]
        said = (
            f"Without clipping the wall throws the descent to w = {number(w)}, b = {number(b)}, where it is flat: its "
            f"loss is <b>{number(float(plain.losses[-1]))}</b>"
        )
    else:
        said = f"Without clipping the descent ends at a loss of <b>{number(float(plain.losses[-1]))}</b>"
    others = " and ".join(
        f'{LABELS[p.way]} at <b class="clipping">{number(float(p.losses[-1]))}</b>' for p in (norm, value)
    )
    return (
        f'<p class="lab-lesson">{said}; {others}.</p><p class="lab-aside">{count(len(plain.norms))} updates. Without '
        f"clipping the longest gradient is {number(steep)} long, {_times(steep / usual)} times the median. Both "
        "parameters are there in all three.</p>"
    )


def _times(ratio: float) -> str:
    return count(ratio) if ratio >= 10 else number(ratio, 2)
