"""Models: each a frozen setting that builds a module for the data's shape. Importing this registers all of them."""

from prune_core.models.base import ModelSource
from prune_core.models.convnets import SmallCNN
from prune_core.models.mlp import MLP, LeNet300

__all__ = ["MLP", "LeNet300", "ModelSource", "SmallCNN"]
