"""Gradient clipping: strategies limit an update and report what that did. Importing this registers all of them."""

from prune_core.clipping.base import ClipStrategy, ScalingStrategy, UnitScalingStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.report import ClipReport, compare, measure

# in the order in which they are offered
from prune_core.clipping.value import ValueClip  # isort: skip
from prune_core.clipping.norm import NormClip  # isort: skip
from prune_core.clipping.layer_norm import LayerNormClip  # isort: skip
from prune_core.clipping.block_rms import BlockRMSClip  # isort: skip
from prune_core.clipping.adaptive import AdaptiveClip  # isort: skip
from prune_core.clipping.autoclip import AutoClip  # isort: skip
from prune_core.clipping.zclip import ZClip  # isort: skip
from prune_core.clipping.per_sample import PerSampleClip  # isort: skip
from prune_core.clipping.chain import Chain  # isort: skip

__all__ = [
    "AdaptiveClip",
    "AutoClip",
    "BlockRMSClip",
    "Chain",
    "ClipReport",
    "ClipStrategy",
    "FlatGradients",
    "LayerNormClip",
    "NormClip",
    "PerSampleClip",
    "ScalingStrategy",
    "UnitScalingStrategy",
    "ValueClip",
    "ZClip",
    "compare",
    "measure",
]
