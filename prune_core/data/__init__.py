"""Data sets: each a frozen setting that loads into resident tensors. Importing this registers all of them."""

from prune_core.data.base import DataInfo, Dataset, DataSource, clear_cache
from prune_core.data.digits import Digits

__all__ = ["DataInfo", "DataSource", "Dataset", "Digits", "clear_cache"]
