"""What the Clipping page says: the sentence with the measured numbers, and formulas with the live ones filled in."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from prune_core.clipping import (
    AdaptiveClip,
    AutoClip,
    BlockRMSClip,
    Chain,
    LayerNormClip,
    NormClip,
    ValueClip,
    ZClip,
    cliff,
)
from prune_core.clipping.curves import Lane, threshold_spec
from prune_core.clipping.report import COLUMNS
from prune_core.figures.cliff import LABELS, outside
from prune_core.figures.clip_arrows import angle
from prune_core.figures.words import count, number, percent
from prune_core.jobs import GradientReply
from prune_ui.clipping_state import Source
from prune_ui.naming import in_text


def lesson(source: Source, reply: GradientReply, lane: Lane, place: int) -> str:
    """The sentence at the top, as html."""
    before, after, changed, cosine = (float(v) for v in lane.rows[place, -1])
    n, spec = (
        count(len(reply.gradient.values)).replace("\u2009", "\u202f"),
        threshold_spec(lane.strategy),
    )  # in one line
    turned = angle(cosine)
    turn = f'turned its direction by <b class="clipping">{turned:.1f}°</b>' if turned >= 0.05 else "did not turn it"
    left = after / before if before > 0 else 1.0
    unit = f"\u00a0{spec.unit}" if spec.unit else ""
    bold = '<b class="clipping">'
    said = (
        f"Clipping {in_text(lane.label)} at {number(float(lane.thresholds[place]))}{unit} changed "
        f"{bold}{percent(changed, 0 if changed > 0.1 else 1)}</b> of {n} gradient entries, {turn}, "
        f"left {bold}{percent(left, 0 if left > 0.1 else 1)}</b> of its length and removed {bold}0</b> of {n} "
        "parameters"
    )
    g = reply.gradient
    when = "before the first step" if g.step == 0 else f"after {count(g.step)} steps"
    aside = (
        "Clipping limited this one update; every parameter is still there, and the next gradient has as many entries. "
        f"Shown: {source.name}, {when}, the mean over {count(g.examples)} training examples, loss {number(g.loss)}."
    )
    return f'<p class="lab-lesson">{said}.</p><p class="lab-aside">{html.escape(aside)}</p>'


def formula(lane: Lane, place: int, reply: GradientReply) -> str:
    """The strategy's formula with the numbers of now, as LaTeX; empty where none is known."""
    strategy, t = lane.strategy, float(lane.thresholds[place])
    before = float(lane.rows[place, -1, 0])
    entries = reply.gradient.values
    factor = float(lane.rows[place, -1, 1]) / before if before > 0 else 1.0
    c, by = tex(t), tex(factor)
    if isinstance(strategy, ValueClip):
        largest = float(entries[np.argmax(np.abs(entries))])
        return (
            rf"g_i \leftarrow \min(\max(g_i, -{c}), {c}) \qquad \text{{largest: }} "
            rf"{tex(largest)} \to {tex(math.copysign(min(abs(largest), t), largest))}"
        )
    if isinstance(strategy, NormClip):
        order = {1: "1", 2: "2", "inf": r"\infty"}[strategy.norm_type]
        norm = {1: np.abs(entries).sum(dtype=float), 2: before, "inf": np.abs(entries).max()}[strategy.norm_type]
        return (
            rf"\lVert g \rVert_{{{order}}} = {tex(float(norm))}, \quad "
            rf"g \leftarrow g \cdot \min\left(1, \frac{{{c}}}{{{tex(float(norm))}}}\right) = {by} \cdot g"
        )
    if isinstance(strategy, AutoClip):
        return (
            rf"P_{{{c}}}(\text{{{len(reply.gradient.norms) + 1} norms}}) = {tex(before * factor)}, \quad "
            rf"\lVert g \rVert = {tex(before)}, \quad g \leftarrow {by} \cdot g"
        )
    if isinstance(strategy, ZClip):
        mean, sigma = float(lane.state["mean"]), math.sqrt(float(lane.state["variance"]))
        z = (before - mean) / sigma if sigma > 0 else math.inf
        return (
            rf"z = \frac{{{tex(before)} - {tex(mean)}}}{{{tex(sigma)}}} = {tex(z)}, \quad z^* = {c}, \quad "
            rf"g \leftarrow {by} \cdot g"
        )
    if isinstance(strategy, Chain):
        first, second = strategy.first.threshold, strategy.with_threshold(t).second.threshold
        return rf"c_1(g) \text{{ at }} {tex(first)}, \quad g \leftarrow c_2(c_1(g)) \text{{ at }} {tex(second)}"
    if isinstance(strategy, LayerNormClip | BlockRMSClip | AdaptiveClip):
        return _by_layer(lane, place, reply)
    return ""


def _by_layer(lane: Lane, place: int, reply: GradientReply) -> str:
    """The layer that is shortened most, as an example."""
    rows, t = lane.rows[place, :-1], float(lane.thresholds[place])
    left = np.divide(rows[:, 1], rows[:, 0], out=np.ones(len(rows)), where=rows[:, 0] > 0)
    i = int(np.argmin(left))
    name = reply.gradient.names[i].replace("_", r"\_")
    by, strategy = tex(float(left[i])), lane.strategy
    if isinstance(strategy, LayerNormClip):
        return (
            rf"\text{{{name}: }} g_l \leftarrow g_l \cdot \min\left(1, "
            rf"\frac{{{tex(t)}}}{{{tex(float(rows[i, 0]))}}}\right) = {by} \cdot g_l"
        )
    if isinstance(strategy, BlockRMSClip):
        rms = float(rows[i, 0]) / math.sqrt(reply.gradient.sizes[i])
        return (
            rf"\text{{{name}: }} \mathrm{{RMS}}(g_l) = {tex(rms)}, \quad "
            rf"g_l \leftarrow \frac{{g_l}}{{\max(1, {tex(rms)} / {tex(t)})}} = {by} \cdot g_l"
        )
    return (
        rf"\lVert G_i \rVert \le {tex(t)} \cdot \max(\lVert W_i \rVert, {tex(strategy.eps)})"  # type: ignore[attr-defined]
        rf" \qquad \text{{{name}: {percent(float(left[i]), 0)[:-2]}\% of the length left}}"
    )


def tex(value: float) -> str:
    """A number in a formula."""
    text = number(value)
    if "e" not in text:
        return text
    mantissa, power = text.split("e")
    return rf"{mantissa} \cdot 10^{{{power}}}" if text != "not finite" else r"\text{not finite}"


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
