"""Which parameters of a model are weights that pruning may remove, and what kind of layer holds them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

Masks = dict[str, Tensor]


@dataclass(frozen=True)
class WeightInfo:
    """One parameter: its layer's class in words, and whether pruning may remove its entries."""

    kind: str
    prunable: bool


def describe(model: nn.Module) -> dict[str, WeightInfo]:
    """Every parameter of ``model`` by name; shared parameters once, under their first name.

    Prunable are the weight matrices and kernels of linear, convolution, attention and recurrent layers. Biases,
    normalisation, embeddings and free-standing parameters (class tokens, positions) are not.
    """
    found: dict[str, WeightInfo] = {}
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            full = f"{path}.{name}" if path else name
            found[full] = WeightInfo(type(module).__name__, _is_weight(module, name, parameter))
    return found


def _is_weight(module: nn.Module, name: str, parameter: Tensor) -> bool:
    if isinstance(module, nn.Linear | _ConvNd):
        return name == "weight"
    if isinstance(module, nn.MultiheadAttention):
        return name.endswith("proj_weight")
    return isinstance(module, nn.RNNBase) and name.startswith("weight_")
