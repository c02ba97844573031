"""Jobs: runs in worker processes of a detached engine, and previews of pruned models."""

from prune_core.jobs.handle import RunHandle
from prune_core.jobs.lab import Lab
from prune_core.jobs.preview import Curve, SupersededError
from prune_core.jobs.question import Cost, LayerPicture, LayerView, PreviewReply, PreviewRequest

__all__ = [
    "Cost",
    "Curve",
    "Lab",
    "LayerPicture",
    "LayerView",
    "PreviewReply",
    "PreviewRequest",
    "RunHandle",
    "SupersededError",
]
