"""Data sets: each a frozen setting that loads into resident tensors. Importing this registers all of them."""

from prune_core.data.base import DataInfo, Dataset, DataSource, clear_cache
from prune_core.data.digits import Digits
from prune_core.data.files import data_root
from prune_core.data.torchvision_sets import CIFAR10, CIFAR100, MNIST, FashionMNIST
from prune_core.data.toys import Blobs, Circles, Moons, Spirals

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Blobs",
    "Circles",
    "DataInfo",
    "DataSource",
    "Dataset",
    "Digits",
    "FashionMNIST",
    "Moons",
    "Spirals",
    "clear_cache",
    "data_root",
]
