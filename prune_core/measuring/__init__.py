"""What a model costs: parameters, multiply-accumulates, bytes, milliseconds. docs/measures.md says what each means."""

from prune_core.measuring.formats import SparseLinear, check_alike, compare, masked, sparse
from prune_core.measuring.interleaved import PairedTime, interleaved
from prune_core.measuring.latency import Latency, latency, median_interval
from prune_core.measuring.macs import LayerMacs, MacCount, macs
from prune_core.measuring.parameters import ParameterCount, count_parameters, layer_table
from prune_core.measuring.size import Sizes, sizes, stored_bytes
from prune_core.measuring.structured import Removed, remove_outputs

__all__ = [
    "Latency",
    "LayerMacs",
    "MacCount",
    "PairedTime",
    "ParameterCount",
    "Removed",
    "Sizes",
    "SparseLinear",
    "check_alike",
    "compare",
    "count_parameters",
    "interleaved",
    "latency",
    "layer_table",
    "macs",
    "masked",
    "median_interval",
    "remove_outputs",
    "sizes",
    "sparse",
    "stored_bytes",
]
