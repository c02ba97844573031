"""What a model costs: parameters, multiply-accumulates, bytes, milliseconds. docs/measures.md says what each means."""

from prune_core.measuring.latency import Latency, latency, median_interval
from prune_core.measuring.macs import LayerMacs, MacCount, macs
from prune_core.measuring.parameters import ParameterCount, count_parameters, layer_table
from prune_core.measuring.size import Sizes, sizes, stored_bytes

__all__ = [
    "Latency",
    "LayerMacs",
    "MacCount",
    "ParameterCount",
    "Sizes",
    "count_parameters",
    "latency",
    "layer_table",
    "macs",
    "median_interval",
    "sizes",
    "stored_bytes",
]
