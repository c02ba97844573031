"""What the network learns from: the true classes and, where a run distils, its own answers before it was pruned."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prune_core.experiment import Experiment


class Teaching:
    """The loss of a run. ``begin_`` makes the teacher, where ``Pruning.distill`` asks for one."""

    def __init__(self, experiment: Experiment, model: nn.Module) -> None:
        distill = experiment.prune.distill if experiment.prune is not None else None
        self._distill = distill if distill is not None and distill.weight > 0 else None
        self._model = model
        self._teacher: nn.Module | None = None

    def begin_(self) -> None:
        """From now on learn from the network as it is at this moment, too."""
        if self._distill is not None:
            self._teacher = self._copy()

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch, 0-dim."""
        scores = self._model(x)
        if self._teacher is None or self._distill is None:
            return F.cross_entropy(scores, y)
        with torch.no_grad():
            wanted = self._teacher(x)
        return self._distill.loss(scores, wanted, y)

    def state_dict(self) -> dict[str, Tensor] | None:
        """The teacher's weights and buffers; None where there is no teacher."""
        return None if self._teacher is None else dict(self._teacher.state_dict())

    def load_state_dict(self, state: dict[str, Tensor] | None) -> None:
        """Go on with the teacher of ``state_dict``."""
        self._teacher = None if state is None else self._copy()
        if self._teacher is not None and state is not None:
            self._teacher.load_state_dict(state)

    def _copy(self) -> nn.Module:
        return copy.deepcopy(self._model).eval().requires_grad_(False)
