"""Tiny pictures of what each method does, drawn by the method itself on a network of two small layers.

They are images in the page's own colours: forty of them cost less than one chart.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prune_core.clipping import ClipStrategy, PerSampleClip
from prune_core.errors import ConfigError
from prune_core.figures.words import number, percent
from prune_core.formulas import ClipNumbers, LayerNumbers, PruneNumbers
from prune_core.pruning import (
    Criterion,
    Evidence,
    Granularity,
    Regrowth,
    Schedule,
    choose_masks,
    make_masks,
    one_batch,
    prunable,
)
from prune_core.pruning.regrowth import Exchange, exchange
from prune_core.registry import Registered
from prune_core.seeding import generator
from prune_ui.methods_groups import granularity_picture
from prune_ui.methods_svg import HEIGHT, WIDTH, Picture, matrices, rect, svg, text

SHARE = 0.5  # removed in the pictures of criteria
ORDINARY, SPIKE = 30, 4.0  # steps that a strategy sees before the one that is drawn, and how much longer that one is
GENTLE = (0.15, 0.9)  # of its length that is left: a change that can be seen
TRAINED, RATE = 10, 0.3  # steps, and how far each goes, in the picture of weights behind masks
TRIED = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # other thresholds


def picture(method: type[Registered]) -> Picture:
    """What the method does with its default settings; made once a process."""
    kept: Hashable = method
    return _made(kept)


@cache
def _made(method: Any) -> Picture:
    try:
        value = method()
        if isinstance(value, ClipStrategy):
            return _clipping(value)
        if isinstance(value, Criterion):
            return _criterion(value)
        if isinstance(value, Granularity):
            return granularity_picture(value)
        if isinstance(value, Exchange):
            return _exchange(value)
        if isinstance(value, Regrowth):
            return _anew(value)
        return _schedule(value)
    except (ConfigError, RuntimeError, TypeError) as error:  # people's own methods may want more than two layers
        return Picture("", f"No picture: {str(error).splitlines()[0]}")


# --- the network that all are tried on --------------------------------------------------------------------------------
def _network() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Two layers of 8 by 6 and 6 by 8 weights, those of the second larger, and 48 examples."""
    draw = generator(7, "init")
    first, second = nn.Linear(6, 8, bias=False), nn.Linear(8, 6, bias=False)
    for layer, scale in ((first, 0.5), (second, 0.8)):
        layer.weight.data = scale * torch.randn(layer.weight.shape, generator=draw)
    model = nn.Sequential(first, nn.ReLU(), second)
    inputs = torch.randn(48, 6, generator=draw) * torch.tensor([1.2, 0.7, 1.0, 1.0, 0.6, 1.3])
    return model, (inputs, inputs.argmax(1))


def _gradient(model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    model.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()


# --- clipping ---------------------------------------------------------------------------------------------------------
def _clipping(strategy: ClipStrategy) -> Picture:
    clipped = _clipped(strategy)
    if not GENTLE[0] <= clipped.left <= GENTLE[1]:  # too much or too little to see: another threshold shows it better
        others = [strategy.with_threshold(t) for t in TRIED if _allows(strategy, t)]
        found = [clipped, *map(_clipped, others)]
        clipped = min((c for c in found if c.changed), key=lambda c: abs(c.left - 0.5), default=clipped)
    before, after, used = clipped.before, clipped.after, clipped.strategy
    bars = [
        _bars(before[i::2][:20], after[i::2][:20], i * WIDTH / 2, max(map(abs, before)) or 1.0, f"layer {i + 1}")
        for i in (0, 1)
    ]
    longer = "" if isinstance(strategy, PerSampleClip) else f" {SPIKE:g} times as long as usual"
    words = (
        f"A gradient{longer}, before (grey) and after: {percent(clipped.changed, 0)} of the entries changed, "
        f"norm {number(_norm(before))} → {number(_norm(after))}, with {_label(used)} {number(used.threshold)}."
    )
    return Picture(svg("".join(bars)), words, used.filled(clipped.now) + clipped.now.measured)


@dataclass(frozen=True)
class Clipped:
    """Entries before and after, those of the two layers taking turns, and the share that changed."""

    before: list[float]
    after: list[float]
    changed: float
    strategy: ClipStrategy
    state: Mapping[str, Any]

    @property
    def now(self) -> ClipNumbers:
        """The same for its formula."""
        layers = []
        for i, name in enumerate(("layer 1", "layer 2")):
            a, b = self.before[i::2], self.after[i::2]
            layers.append(LayerNumbers(name, len(a), _norm(a), _norm(b)))
        entries = np.array(self.before)
        whole = _norm(self.before), _norm(self.after)
        return ClipNumbers(*whole, self.changed, entries, layers, self.state, ORDINARY + 1)

    @property
    def left(self) -> float:
        """How long the gradient still is, as a share."""
        return _norm(self.after) / (_norm(self.before) or 1.0)


def _clipped(strategy: ClipStrategy) -> Clipped:
    model, batch = _network()
    _gradient(model, batch)
    if isinstance(strategy, PerSampleClip):  # it makes the gradient itself, from each example's own
        before = _entries(model)
        report = strategy.clip_model_(model, *batch)
        return Clipped(before, _entries(model), float(report.changed), strategy, {})
    usual = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    state = strategy.init_state()
    lengths = 1 + 0.2 * torch.randn(ORDINARY, generator=generator(7, "masks"))
    for scale in (*lengths.tolist(), SPIKE):
        for p, g in zip(model.parameters(), usual, strict=True):
            p.grad = abs(scale) * g
        before, found = _entries(model), copy.deepcopy(state)  # what it knew before this step
        report = strategy.clip_(model.named_parameters(), state)
    return Clipped(before, _entries(model), float(report.changed), strategy, found)


def _entries(model: nn.Module) -> list[float]:
    return torch.stack([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None], 1).reshape(-1).tolist()


def _norm(values: Sequence[float]) -> float:
    return math.sqrt(sum(v * v for v in values))


def _allows(strategy: ClipStrategy, threshold: float) -> bool:
    try:
        strategy.with_threshold(threshold)
    except ConfigError:
        return False
    return True


def _bars(before: Sequence[float], after: Sequence[float], x: float, most: float, name: str) -> str:
    wide = (WIDTH / 2 - 12) / len(before)
    middle, high = 45.0, 43.0
    found = [text(x + 4, HEIGHT - 2, name)]
    for i, (a, b) in enumerate(zip(before, after, strict=True)):
        at = x + 4 + i * wide
        for value, colour, opacity in ((a, "baseline", 0.45), (b, "clipping", 1.0)):
            tall = max(abs(value) / most * high, 0.5)
            found.append(rect(at, middle - (tall if value > 0 else 0), wide - 1.5, tall, colour, opacity))
    return "".join(found)


# --- criteria and regrowth --------------------------------------------------------------------------------------------
def _criterion(criterion: Criterion) -> Picture:
    model, batch = _network()
    weights = {n: w.detach() for n, w in prunable(model).items()}
    _gradient(model, batch)
    moved = {n: -w.detach() * w.grad for n, w in prunable(model).items() if w.grad is not None}
    model.zero_grad()

    def look(masks: Any) -> Evidence:
        draw = generator(7, "masks")
        batches = one_batch(*batch)
        return Evidence(weights, model=model, batches=batches, masks=masks, generator=draw, movement=moved)

    masks = choose_masks(criterion, SHARE, lambda s, share, keep: make_masks(s, share, "global", keep=keep), look)
    left = ", ".join(f"{int(m.sum())} of {m.numel()}" for m in masks.values())
    words = f"Two layers pruned to {percent(SHARE, 0)}: the fuller the larger, an empty frame is gone; {left} are left."
    now = PruneNumbers(
        sum(int(m.sum()) for m in masks.values()), sum(m.numel() for m in masks.values()),
        _cut(criterion, look(None), masks) if criterion.rounds_to(SHARE) == 1 else None,
    )  # fmt: skip
    drawn = svg(matrices(weights, {n: m.float() for n, m in masks.items()}))
    return Picture(drawn, words, criterion.filled(now) + now.measured)


def _cut(criterion: Criterion, at: Evidence, masks: Mapping[str, Tensor]) -> float | None:
    """The largest score that went, where all that stay are larger; None where one number does not say what goes."""
    scores = criterion.score(at)
    gone = max(float(scores[n][~m].max()) for n, m in masks.items() if not m.all())
    left = min(float(scores[n][m].min()) for n, m in masks.items() if m.any())
    return gone if left > gone else None


def _exchange(regrowth: Exchange) -> Picture:
    model, batch = _network()
    weights = {n: w.detach() for n, w in prunable(model).items()}
    _gradient(model, batch)
    gradients = {n: w.grad for n, w in prunable(model).items()}
    masks = make_masks({n: w.abs() for n, w in weights.items()}, SHARE, "layer")
    draw = generator(7, "masks")
    share = regrowth.share
    found = exchange(weights, masks, share, lambda n: regrowth.grow(weights[n], gradients[n], draw))
    shown = {n: torch.where(found[n] & ~masks[n], 2.0, found[n].float()) for n in found}  # 2: has come back
    grown = sum(int((found[n] & ~masks[n]).sum()) for n in found)
    words = (
        f"Two layers, {percent(SHARE, 0)} removed, after one exchange of {percent(share, 0)} of what was left: "
        f"{grown} weights have come back (purple), as many have gone."
    )
    return Picture(svg(matrices(weights, shown)), words)


def _anew(regrowth: Regrowth) -> Picture:
    model, batch = _network()
    used = prunable(model)
    dense = {n: w.detach().clone() for n, w in used.items()}
    first = masks = make_masks({n: w.abs() for n, w in dense.items()}, SHARE, "global")
    for step in range(1, TRAINED + 1):
        for n, w in used.items():
            w.data = dense[n] * masks[n]
        _gradient(model, batch)
        for n, w in used.items():
            dense[n] -= RATE * w.grad if w.grad is not None else 0
        if regrowth.is_due(step, TRAINED) or step == TRAINED:
            masks = make_masks({n: w.abs() for n, w in dense.items()}, SHARE, "global")
    shown = {n: torch.where(masks[n] & ~first[n], 2.0, masks[n].float()) for n in masks}
    back = sum(int((masks[n] & ~first[n]).sum()) for n in masks)
    words = f"Two layers after {TRAINED} steps, {percent(SHARE, 0)} removed, trained on behind their masks (grey): "
    words += f"{back} weights have come back (purple), as many have gone."
    return Picture(svg(matrices(dense, shown, behind=True)), words)


# --- schedules --------------------------------------------------------------------------------------------------------
def _schedule(schedule: Schedule) -> Picture:
    steps = max(int(schedule.end * 1.3), 20)
    at = sorted({round(i * steps / 240) for i in range(241)})
    points: list[tuple[float, float]] = []
    last = 0.0
    for step in at:
        share = schedule(step)
        x = 4 + (WIDTH - 8) * step / steps
        if share != last and points and (share - last) > 0.02:  # a jump is drawn upright
            points.append((x, 86 - 80 * last))
        points.append((x, 86 - 80 * share))
        last = share
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"4,86 {line} {WIDTH - 4},86"
    drawn = (
        f'<polygon points="{area}" style="fill:{{pruning}};fill-opacity:0.15"/>'
        f'<polyline points="{line}" style="fill:none;stroke:{{pruning}};stroke-width:2"/>'
        + text(4, HEIGHT - 2, "step 0")
        + text(WIDTH - 4, HEIGHT - 2, f"step {steps}", anchor="end")
    )
    words = (
        f"Share of the weights removed over {steps} steps, up to {percent(schedule.final, 0)} at step {schedule.end}."
    )
    return Picture(svg(drawn), words, schedule.filled(schedule.end // 2))


def _label(strategy: ClipStrategy) -> str:
    fields = type(strategy).fields()
    return next((s.label for s in fields if s.name == strategy.threshold_field), "threshold").lower()
