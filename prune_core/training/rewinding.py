"""Going back after a removal: to early weights (the lottery ticket), to an early learning rate, or to other weights."""

from __future__ import annotations

from typing import Any

import torch

from prune_core.experiment import Experiment
from prune_core.seeding import derive
from prune_core.training.flat import FlatModel


class Rewinding:
    """What ``Pruning.rewind`` asks for. Frankle & Carbin 2019, arXiv:1803.03635; Renda et al. 2020, arXiv:2003.02389.

    "weights" brings those of step ``rewind_to`` back, statistics of normalisation included; "random" draws new ones, as
    a control; both and "learning_rate" go on from there with the learning rate that belongs to that step.
    """

    def __init__(self, experiment: Experiment, flat: FlatModel) -> None:
        prune = experiment.prune
        self.kind, self._to = (prune.rewind, prune.rewind_to) if prune is not None else ("no", 0)
        self._experiment, self._flat = experiment, flat
        self._early: tuple[torch.Tensor, list[torch.Tensor]] | None = None
        self._since: int | None = None

    def note(self, step: int) -> None:
        """Keep the weights after ``step`` updates, where they are the ones to go back to."""
        if self.kind == "weights" and step == self._to:
            self._early = self._flat.copy_state()

    def go_back_(self, step: int) -> bool:
        """After weights were removed at ``step``; returns whether anything changed. Masks are not its business."""
        if self.kind == "no" or step <= self._to:
            return False
        if self.kind == "weights":
            assert self._early is not None, "rewind_to lies before the first removal"
            self._flat.restore_state(self._early)
        elif self.kind == "random":
            self._redraw_(step)
        self._since = step
        return True

    def lr_step(self, step: int) -> int:
        """The step whose learning rate update ``step`` takes."""
        return step if self._since is None else step - self._since + self._to

    def state_dict(self) -> dict[str, Any]:
        """Everything that ``load_state_dict`` needs."""
        return {"early": self._early, "since": self._since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``."""
        self._early, self._since = state["early"], state["since"]

    @torch.no_grad()
    def _redraw_(self, step: int) -> None:
        info, seed = self._experiment.data.info, self._experiment.train.seed
        fresh = self._experiment.model.build(info.shape, info.classes, derive(seed, "init", step) % 2**31)
        by_name = dict(fresh.named_parameters())
        for name in self._flat.names:
            self._flat.weights[self._flat.span(name)] = by_name[name].detach().reshape(-1).to(self._flat.weights.device)
