"""Races worth watching: each shows one thing in seconds on one core, with settings chosen by measuring many seeds."""

from __future__ import annotations

from dataclasses import dataclass

from prune_core.clipping import ClipStrategy, NormClip, ValueClip
from prune_core.data import DataSource, Digits
from prune_core.experiment import Experiment, Training
from prune_core.models import ModelSource, RowLSTM, SeedNet, SmallCNN
from prune_core.pruning import Cubic, Pruning


@dataclass(frozen=True)
class RacePreset:
    """A race that can be chosen: its ``experiment`` clips and prunes, ``what`` says what there is to see."""

    name: str
    label: str
    what: str
    experiment: Experiment


def _race(
    steps: int,
    *,
    data: DataSource | None = None,
    model: ModelSource | None = None,
    clip: ClipStrategy | None = None,
    final: float = 0.9,
    lr: float = 0.1,
) -> Experiment:
    """Pruning from a quarter to three quarters of the way, 25 evaluations and 50 histograms."""
    return Experiment(
        data=data or Digits(),
        model=model or SmallCNN(),
        clip=clip or ValueClip(threshold=0.01),
        prune=Pruning(schedule=Cubic(final=final, start=steps // 4, stop=steps * 3 // 4, every=5)),
        train=Training(steps=steps, lr=lr, eval_every=steps // 25, snapshot_every=steps // 50),
    )


RACE_PRESETS: tuple[RacePreset, ...] = (
    RacePreset(
        "default",
        "Small CNN on Digits",
        "The plain case: four networks that differ in nothing but what is done to them.",
        _race(600),
    ),
    RacePreset(
        "article",
        "The article's own recipe",
        "SeedNet, gradients clipped by value at α = 0.01: said to make the network smaller. Watch the parameters.",
        _race(200, model=SeedNet()),
    ),
    RacePreset(
        "exploding",
        "Exploding gradients",
        "A recurrent network at a learning rate of 50: without clipping its loss explodes, with it the network learns.",
        _race(400, lr=50.0, model=RowLSTM(hidden=64, gain=8.0), clip=NormClip(max_norm=0.01)),
    ),
    RacePreset(
        "heavy",
        "Heavy pruning",
        "98 of 100 weights go. Now pruning costs accuracy, which clipping never did.",
        _race(600, final=0.98),
    ),
    RacePreset(
        "noisy",
        "Noisy labels",
        "40 of 100 training labels are wrong. A network with fewer weights has less room to learn them by heart.",
        _race(600, data=Digits(label_noise=0.4)),
    ),
)
