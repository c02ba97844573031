"""Multiply-accumulate operations of one forward pass, dense and effective.

Counted where torch's functions are called, not where modules are: attention, and layers that call ``F.linear`` on a
submodule's weight, are seen as well. While we watch, torch does not take its fused attention path, which hides them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from prune_core.measuring.weights import Masks


class Work(NamedTuple):
    """How often each entry of a weight (of its ``rows``) is used; MACs themselves where two activations multiply."""

    times: int
    weight: Tensor | None = None
    rows: slice = slice(None)


@dataclass(frozen=True)
class LayerMacs:
    """MACs of one example in one layer."""

    layer: str
    dense: int
    effective: int


@dataclass(frozen=True)
class MacCount:
    """MACs of one example. Biases, normalisation, activations and pooling count nothing."""

    layers: tuple[LayerMacs, ...]
    weights: dict[str, int] = field(default_factory=dict)
    """Dense MACs by parameter; what no weight takes part in, attention's own products say, is missing here."""

    @property
    def dense(self) -> int:
        """Multiplications with every weight, zero or not: what dense kernels do."""
        return sum(layer.dense for layer in self.layers)

    @property
    def effective(self) -> int:
        """Multiplications with weights that are left: a bound on what could be saved, never a promise of speed."""
        return sum(layer.effective for layer in self.layers)

    def table(self) -> pd.DataFrame:
        """Columns layer, dense, effective; a row a layer in order of execution."""
        return pd.DataFrame(
            [(x.layer, x.dense, x.effective) for x in self.layers], columns=["layer", "dense", "effective"]
        )


def macs(model: nn.Module, shape: tuple[int, ...], masks: Masks | None = None) -> MacCount:
    """Count the MACs of one forward pass of a single example of ``shape``, in evaluation mode.

    A weight counts as left where its mask is True, or, without a mask, where it is not exactly zero. Counted: linear
    layers, convolutions (padding counted as if it were image), attention, recurrent layers, and products of two
    activations (matmul, bmm, einsum). Leaves the model as it was.
    """
    parameter = next(model.parameters(), None)
    x = torch.zeros(1, *shape)
    if parameter is not None:
        x = x.to(parameter.device, parameter.dtype)
    kept = {id(p): masks[n] for n, p in model.named_parameters() if n in masks} if masks else {}
    training = [m for m in model.modules() if m.training]
    stack: list[str] = [""]
    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: stack.append(name)))
        handles.append(module.register_forward_hook(lambda *_: stack.pop() and None, always_call=True))
    model.eval()
    try:
        with torch.no_grad(), _Watch(stack, kept) as watch:
            model(x)
        by_weight = {n: watch.weights[id(p)] for n, p in model.named_parameters() if id(p) in watch.weights}
    finally:
        for handle in handles:
            handle.remove()
        for module in training:
            module.training = True
    return MacCount(tuple(LayerMacs(n or "(model)", d, e) for n, (d, e) in watch.found.items()), by_weight)


class _Watch(TorchFunctionMode):
    """Adds up the work of every call below it, by the module that is running."""

    def __init__(self, stack: list[str], kept: dict[int, Tensor]) -> None:
        super().__init__()
        self.stack, self.kept = stack, kept
        self.found: dict[str, tuple[int, int]] = {}
        self.weights: dict[int, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))  # what it calls in turn is not seen: nothing is counted twice
        rule = RULES.get(func)
        if rule is not None:
            for work in rule(out, *args, **(kwargs or {})):
                self._add(work)
        return out

    def _add(self, work: Work) -> None:
        used = left = 1
        if work.weight is not None:
            used = work.weight[work.rows].numel()
            left = int(self.kept.get(id(work.weight), work.weight)[work.rows].count_nonzero())
            self.weights[id(work.weight)] = self.weights.get(id(work.weight), 0) + work.times * used
        dense, effective = self.found.get(self.stack[-1], (0, 0))
        self.found[self.stack[-1]] = dense + work.times * used, effective + work.times * left


def _linear(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> Iterable[Work]:
    yield Work(math.prod(x.shape[:-1]), weight)  # once a row, which may have no entries


def _conv(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> Iterable[Work]:
    # one example: each entry of a kernel is used once at each output position, grouped or not
    yield Work(math.prod(out.shape[-(weight.dim() - 2) :]), weight)


def _conv_transpose(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> Iterable[Work]:
    yield Work(math.prod(x.shape[-(weight.dim() - 2) :]), weight)


def _product(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> Iterable[Work]:
    yield Work(out.numel() * a.shape[-1])


def _add_product(out: Tensor, c: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> Iterable[Work]:
    yield Work(out.numel() * a.shape[-1])


def _einsum(out: Tensor, equation: str, *operands: Any) -> Iterable[Work]:
    tensors = operands[0] if isinstance(operands[0], list | tuple) else operands
    if len(tensors) == 2 and "." not in equation:  # one multiplication for each combination of all indices
        names = equation.replace(" ", "").split("->")[0].split(",")
        sizes = {i: n for term, t in zip(names, tensors, strict=True) for i, n in zip(term, t.shape, strict=True)}
        yield Work(math.prod(sizes.values()))


def _scaled_attention(out: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> Iterable[Work]:
    pairs = math.prod(q.shape[:-1]) * k.shape[-2]
    yield Work(pairs * (q.shape[-1] + v.shape[-1]))


def _attention(out: Any, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Iterable[Work]:
    # F.multi_head_attention_forward on one example: (tokens, 1, width) or (tokens, width)
    width, in_proj, out_proj = args[0], args[2], args[8]
    n_q, n_k = q.shape[0], k.shape[0]
    if in_proj is not None:  # queries' rows first, then keys' and values'
        yield Work(n_q, in_proj, slice(width))
        yield Work(n_k, in_proj, slice(width, None))
    else:
        yield Work(n_q, kwargs["q_proj_weight"])
        yield Work(n_k, kwargs["k_proj_weight"])
        yield Work(n_k, kwargs["v_proj_weight"])
    yield Work(2 * n_q * n_k * width)  # scores, and the weighted sum of values
    yield Work(n_q, out_proj)


def _recurrent(out: Any, x: Tensor, state: Any, weights: list[Tensor], *_: Any, **__: Any) -> Iterable[Work]:
    steps = math.prod(x.shape[:-1])  # one example
    for weight in weights:
        if weight.dim() == 2:
            yield Work(steps, weight)


RULES: dict[Any, Callable[..., Iterable[Work]]] = {
    F.linear: _linear,
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _conv),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _conv_transpose),
    **dict.fromkeys(
        (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.mm, Tensor.mm), _product
    ),
    **dict.fromkeys((torch.baddbmm, Tensor.baddbmm, torch.addmm, Tensor.addmm), _add_product),
    torch.einsum: _einsum,
    F.scaled_dot_product_attention: _scaled_attention,
    F.multi_head_attention_forward: _attention,
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), _recurrent),
}
