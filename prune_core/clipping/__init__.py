"""Gradient clipping: strategies limit an update and report what that did. Importing this registers all of them."""

from prune_core.clipping.base import ClipStrategy, ScalingStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.norm import NormClip
from prune_core.clipping.report import ClipReport, compare, measure
from prune_core.clipping.value import ValueClip

__all__ = [
    "ClipReport",
    "ClipStrategy",
    "FlatGradients",
    "NormClip",
    "ScalingStrategy",
    "ValueClip",
    "compare",
    "measure",
]
