"""Which parameters pruning may touch."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.conv import _ConvNd


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of linear, convolution, attention and recurrent layers, by name, in the model's order.

    Biases, normalisation, embeddings and free-standing parameters (class tokens, positions) stay dense: they are few,
    and losing them costs much. A shared parameter stands once, under its first name.
    """
    found: dict[str, nn.Parameter] = {}
    seen: set[nn.Parameter] = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter not in seen and _is_weight(module, name):
                found[f"{path}.{name}" if path else name] = parameter
            seen.add(parameter)
    return found


def _is_weight(module: nn.Module, name: str) -> bool:
    if isinstance(module, nn.Linear | _ConvNd):
        return name == "weight"
    if isinstance(module, nn.MultiheadAttention):
        return name.endswith("proj_weight")
    return isinstance(module, nn.RNNBase) and name.startswith("weight_")
