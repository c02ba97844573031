"""What the preview worker is asked beyond a slider's answer, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import field_validator

from prune_core.errors import ConfigError
from prune_core.jobs.question import PreviewRequest
from prune_core.pruning import Criterion
from prune_core.settings import Settings, setting
from prune_core.training import Evaluation


class Probe(Settings):
    """A question about a model, and how it is pruned."""

    of: PreviewRequest = setting(help="The model, and by what it is pruned how far.")


class AgreementProbe(Probe):
    """Do criteria agree, at the sparsity of ``of``, whose own criterion does not matter?"""

    criteria: tuple[Criterion, ...] = setting(help="The criteria, at least two.")

    @field_validator("criteria")
    @classmethod
    def _several(cls, criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        if len(criteria) < 2:
            raise ConfigError(f"AgreementProbe.criteria must be at least 2 to be compared, got {len(criteria)}.")
        return criteria


class AnswersProbe(Probe):
    """What does the model answer to a part of the test split, before and after?"""

    start: int = setting(0, ge=0, unit="examples", help="The first test example.")
    stop: int = setting(1000, ge=1, unit="examples", help="The one after the last.")


class NoiseProbe(Probe):
    """How accurate is the model, before and after, where noise is added to what it sees?"""

    level: float = setting(0.0, ge=0, le=100, unit="standard deviations", help="Strength of the noise.")
    examples: int | None = setting(None, ge=1, unit="examples", help="Test examples, spread evenly; empty: all.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides the noise.")


class ExamplesProbe(Probe):
    """What do test examples look like?"""

    index: tuple[int, ...] = setting(help="Where they stand in the test split.")


@dataclass(frozen=True)
class AgreementReply:
    """``correlation`` (Spearman) and ``overlap`` (Jaccard of what is kept), (k, k), in the criteria's order.

    ``chance`` is the overlap of two random masks that keep as much, ``weights`` how many are ranked.
    """

    correlation: np.ndarray
    overlap: np.ndarray
    chance: float
    sparsity: float
    weights: int


@dataclass(frozen=True)
class AnswersReply:
    """Predicted classes (int16) and their softmax shares (float32) of a part of the test split, ``total`` in all."""

    index: np.ndarray
    label: np.ndarray
    before: np.ndarray
    after: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    total: int
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    sparsity: float


@dataclass(frozen=True)
class NoiseReply:
    """Both models at one level of noise, on the same noisy examples."""

    level: float
    before: Evaluation
    after: Evaluation


@dataclass(frozen=True)
class ExamplesReply:
    """Images uint8 (n, channels, height, width), the brightest pixel of the split at 255, or points float32 (n, 2),
    normalised; and their classes (n,)."""

    x: np.ndarray
    y: np.ndarray


ProbeReply = AgreementReply | AnswersReply | NoiseReply | ExamplesReply
