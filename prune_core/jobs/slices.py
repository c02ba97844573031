"""A scan of the loss a slice at a time, so that the preview worker answers other questions in between."""

from __future__ import annotations

import time
from collections.abc import Mapping

from torch import Tensor

from prune_core.jobs.question import ScanningError
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.granularity import Groups
from prune_core.pruning.sensitivity import Loss, loss_curves, losses, scanned
from prune_core.pruning.tolerance import LossCurve


class SlicedScan:
    """``scan_curves``, begun once and gone on with by whoever asks; between two slices the model is as it was."""

    def __init__(self, at: Evidence, scores: Mapping[str, Tensor], groups: Groups | None = None) -> None:
        self._at, self._layers = at, scanned(at.weights, scores, at.masks, groups)
        self._seen: list[Loss] = []
        self._total = 1 + sum(len(layer.counts) for layer in self._layers)

    def advance(self, patience_s: float) -> dict[str, LossCurve]:
        """The curves. Raises ScanningError where they are not there after ``patience_s``."""
        until = time.monotonic() + patience_s
        if not self._seen:  # also after it failed at once: what was wrong may be mended
            self._going = losses(self._at, self._layers)
        for one in self._going:
            self._seen.append(one)
            if len(self._seen) < self._total and time.monotonic() > until:
                raise ScanningError(
                    f"The layers are being scanned: {len(self._seen)} of {self._total} points are measured; ask again."
                )
        return loss_curves(self._layers, self._seen)
