"""How long the inputs are that each weight multiplies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from prune_core.errors import ConfigError


@torch.no_grad()
def input_norms(model: nn.Module, weights: Mapping[str, Tensor], batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """The L2 norm of each weight's input over every example and place in ``batches``, by the weight's name.

    Of a linear layer (1, in), of a convolution (groups, in / groups, *kernel), spread over the outputs of each group:
    it has the weight's shape. Raises ConfigError where a weight belongs to another kind of layer.
    """
    layers = {f"{path}.weight" if path else "weight": m for path, m in model.named_modules()}
    squares: dict[str, Tensor] = {}

    def watch(name: str, layer: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found = _squares(layer, inputs[0])
            squares[name] = found if name not in squares else squares[name] + found

        return layer.register_forward_pre_hook(hook)

    hooks = []
    try:
        for name in weights:
            layer = layers.get(name)
            if layer is None or not sees_inputs(layer):
                raise ConfigError(
                    f"The inputs of {name} cannot be seen, only those of linear and convolution layers; "
                    "leave it dense (keep_dense), or choose another criterion."
                )
            hooks.append(watch(name, layer))
        for x in batches:
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in weights if name not in squares]
    if missing:  # an attention layer calls its output projection's weight, not the layer
        raise ConfigError(f"The inputs of {', '.join(missing)} cannot be seen; leave such layers dense (keep_dense).")
    return {name: _spread(squares[name].sqrt(), w) for name, w in weights.items()}


def sees_inputs(layer: nn.Module) -> bool:
    """Whether the inputs of a layer's weights can be seen: of linear and convolution layers.

    Not of the projection at the end of torch's attention, which is used without being called.
    """
    seen = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return seen and not isinstance(layer, NonDynamicallyQuantizableLinear)


def _squares(layer: nn.Module, x: Tensor) -> Tensor:
    x = x.detach()
    if isinstance(layer, nn.Linear):
        return x.reshape(-1, x.shape[-1]).square().sum(0)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        raise ConfigError("The inputs of a convolution are seen only where its padding is a number of zeros.")
    around = [p for side in reversed(layer.padding) for p in (side, side)]
    image = nn.functional.pad(x.square().sum(0), around)  # (in, *size): what follows costs no more for more examples
    size = zip(image.shape[1:], layer.kernel_size, layer.dilation, layer.stride, strict=True)
    reach = [(n - d * (k - 1) - 1) // s * s + 1 for n, k, d, s in size]  # from its first place to its last
    found = image.new_empty(layer.groups, layer.weight.shape[1], *layer.kernel_size)
    for at in product(*[range(k) for k in layer.kernel_size]):  # an entry of the kernel meets one pixel at each place
        first = [a * d for a, d in zip(at, layer.dilation, strict=True)]
        met = [slice(f, f + n, s) for f, n, s in zip(first, reach, layer.stride, strict=True)]
        place: tuple[slice | int, ...] = (slice(None), slice(None), *at)
        found[place] = image[(slice(None), *met)].flatten(1).sum(1).view(layer.groups, -1)
    return found


def _spread(norms: Tensor, weight: Tensor) -> Tensor:
    if norms.dim() == 1 or norms.shape[0] == 1:
        return norms.expand_as(weight)
    return norms.repeat_interleave(weight.shape[0] // norms.shape[0], 0)
