"""Models: each a frozen setting that builds a module for the data's shape. Importing this registers all of them."""

from prune_core.models.base import ModelSource
from prune_core.models.convnets import LeNet5, SeedNet, SmallCNN
from prune_core.models.mlp import MLP, LeNet300
from prune_core.models.recurrent import RowLSTM
from prune_core.models.resnet import ResNet20
from prune_core.models.torchvision_models import Torchvision, torchvision_names
from prune_core.models.transformer import TinyViT

__all__ = [
    "MLP",
    "LeNet5",
    "LeNet300",
    "ModelSource",
    "ResNet20",
    "RowLSTM",
    "SeedNet",
    "SmallCNN",
    "TinyViT",
    "Torchvision",
    "torchvision_names",
]
