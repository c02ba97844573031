"""Accuracy and loss on the test split, with an interval that says how much a sample can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from prune_core.data import Dataset

BATCH = 250  # forward only: what a layer makes of it stays in a core's cache (1,000 takes 1.3 to 1.6 times as long)
BATCH_GPU = 1000


@dataclass(frozen=True)
class Evaluation:
    """Shares in [0, 1] over ``n`` of ``of`` test examples; ``interval`` is the 95 % Wilson score interval."""

    accuracy: float
    loss: float
    n: int
    of: int
    per_class: tuple[float, ...]
    interval: tuple[float, float]


def wilson(correct: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % score interval of a share (Wilson 1927): stays in [0, 1] and is honest near both ends."""
    if n == 0:
        return 0.0, 1.0
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def evaluate(model: nn.Module, dataset: Dataset, limit: int | None = None) -> Evaluation:
    """Evaluate on the first ``limit`` examples of the test split's fixed order, or on all of it.

    The model is put into eval mode and afterwards back into the mode it had.
    """
    was_training = model.training
    model.eval()
    classes = dataset.info.classes
    right = total = loss = None
    try:
        with torch.inference_mode():
            for x, y in dataset.test_batches(BATCH_GPU if dataset.device.type == "cuda" else BATCH, limit=limit):
                scores = model(x).float()
                hit = (scores.argmax(1) == y).double()
                r = torch.zeros(classes, dtype=torch.float64, device=y.device).index_add_(0, y, hit)
                t = torch.bincount(y, minlength=classes)
                part = F.cross_entropy(scores, y, reduction="sum").double()
                right, total, loss = (
                    (r, t, part) if right is None else (right + r, total + t, loss + part)  # type: ignore[operator]
                )
    finally:
        model.train(was_training)
    assert right is not None and total is not None and loss is not None, "a test split is never empty"
    n = int(total.sum())
    correct = float(right.sum())
    per_class = (right / total.clamp(min=1)).tolist()
    return Evaluation(correct / n, float(loss) / n, n, dataset.info.test, tuple(per_class), wilson(correct, n))
