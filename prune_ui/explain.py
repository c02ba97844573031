"""Short texts with measured numbers: what a run teaches, and what its state means. Markdown, one idea each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prune_core.events import SnapshotEvent
from prune_core.experiment import Experiment
from prune_core.figures.words import count, number, percent

IDEA = (
    '<p class="lab-lesson"><b class="clipping">Clipping</b> limits the update: every parameter stays. '
    '<b class="pruning">Pruning</b> removes parameters: the network gets smaller. Watch both on one training run.</p>'
)
EMPTY = "Press **Train**: the first points appear within a second."


@dataclass(frozen=True)
class Lesson:
    """What clipping and pruning did in one run. Shares in [0, 1]; ``clipped`` is the mean over all steps.

    ``clipped`` and ``sparsity`` are None where the run does not clip, or prune. ``removed`` counts weights.
    """

    clipped: float | None
    sparsity: float | None
    weights: int
    removed: int

    def html(self) -> str:
        """One sentence for the top of the page; the two ideas in their colours."""
        of = f"of {count(self.weights)} weights" if self.weights else "weights"
        if self.clipped is None:
            first = "No clipping: every update went through as it was"
        else:
            first = (
                f'Clipping changed <b class="clipping">{percent(self.clipped)}</b> of the gradient entries and removed '
                f'<b class="clipping">0</b> {of}'
            )
        if self.sparsity is None:
            second = "no pruning: every weight stays"
        elif self.sparsity > 0:
            many = count(self.removed) if self.removed else percent(self.sparsity)
            share = f" ({percent(self.sparsity)})" if self.removed else ""
            second = f'pruning removed <b class="pruning">{many}</b>{share}'
        else:
            second = 'pruning removed <b class="pruning">none</b> so far'
        return f'<p class="lab-lesson">{first}; {second}.</p>'

    def text(self) -> str:
        """The sentence without colours."""
        plain = self.html()
        for tag in ('<p class="lab-lesson">', "</p>", '<b class="clipping">', '<b class="pruning">', "</b>"):
            plain = plain.replace(tag, "")
        return plain


def lesson(
    experiment: Experiment, clipped: float, sparsity: float, snapshot: SnapshotEvent | None, weights: int = 0
) -> Lesson:
    """From a run's experiment, mean share clipped, sparsity now, and its newest snapshot (or the number of weights)."""
    total = sum(layer.numel for layer in snapshot.layers) if snapshot is not None else weights
    return Lesson(
        clipped=None if experiment.clip is None else (clipped if math.isfinite(clipped) else 0.0),
        weights=total,
        removed=round(sparsity * total),
        sparsity=None if experiment.prune is None else sparsity,
    )


def pruning_pending(experiment: Experiment, step: int) -> str:
    """When pruning begins, while it has not; empty otherwise."""
    if experiment.prune is None:
        return ""
    start = next((s for s in (getattr(experiment.prune.schedule, n, None) for n in ("start", "at")) if s), 0)
    return f"pruning begins at step {count(start)}" if step < start else ""


def failed(reason: str) -> str:
    """Why a run failed, as a sentence."""
    if not reason:
        return "**Failed.** The run ended without saying why."
    return f"**Failed.** {reason[0].upper()}{reason[1:]}{'' if reason[-1] in '.!?' else '.'}"


def diverged(reason: str, clip: bool) -> str:
    """What it means that a run diverged, and what to try. ``reason`` says at which step, and which state is kept."""
    advice = (
        "Lower the clip threshold or the learning rate, and train again."
        if clip
        else "Try clipping by norm with threshold 1, or a lower learning rate, and train again."
    )
    what = f"{reason[0].upper()}{reason[1:]}. " if reason else ""
    return f"**Diverged.** {what}The updates grew until the numbers overflowed. {advice}"


def time_left(seconds: float | None) -> str:
    """``3 s left``, ``2 min left``; empty while unknown."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    return f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """A time span, as exact as anybody needs it."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds < 3 else f"{seconds:.0f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def speed(rate: float | None) -> str:
    """Steps a second; empty while unknown."""
    return f"{number(rate, 3)} steps/s" if rate else ""
