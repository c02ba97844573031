"""What runs that prune differently have in common: the training before the first weight goes."""

from __future__ import annotations

from dataclasses import dataclass

from prune_core.experiment import Experiment

LEAST = 20  # steps: less is not worth a run of its own


@dataclass(frozen=True)
class Trunk:
    """The first ``steps`` updates of ``experiment``, which does not prune."""

    experiment: Experiment
    steps: int

    @property
    def key(self) -> str:
        """Its identity: the digest of the experiment, and how far it goes."""
        return f"{self.experiment.digest}-{self.steps}"


def trunk_of(experiment: Experiment) -> Trunk | None:
    """What ``experiment`` would do without pruning until right before that first matters; None where that is little.

    A criterion that follows training from its start has no such time.
    """
    prune = experiment.prune
    if prune is None or "training" in prune.criterion.needs:
        return None
    first = next((step for step in range(prune.schedule.end + 1) if prune.schedule(step) > 0), None)
    if first is None:
        return None
    if prune.rewind == "weights":  # its early weights are kept as the run passes by
        first = min(first, prune.rewind_to) if prune.rewind_to else first
    steps = first - 1  # the update before a removal belongs to it: masks are chosen right after
    return Trunk(experiment.with_(prune=None), steps) if steps >= LEAST else None
