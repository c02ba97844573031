"""Ways to run a pruned model: as it is under its mask, with sparse matrices, or with whole outputs taken out.

Whatever is timed is checked first: two forms of one model that do not answer alike are no forms of one model.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from prune_core.errors import ConfigError, ModelError
from prune_core.measuring.interleaved import PairedTime, interleaved
from prune_core.measuring.latency import fixed
from prune_core.measuring.weights import Masks

TOLERANCE = 1e-4  # of the largest answer: float32 sums in another order differ by some 1e-6


class SparseLinear(nn.Module):
    """x (n, in) → (n, out) with the weight as compressed sparse rows (CSR): zeros cost neither memory nor time."""

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            self.weight = dense.weight.detach().to_sparse_csr()  # no parameter: it is only run, never trained
        bias: Tensor | None = getattr(dense, "bias", None)
        self.bias = None if bias is None else bias.detach()[:, None].clone()  # (out, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor
        if self.bias is None:
            out = torch.mm(self.weight, x.t())
        else:
            out = torch.addmm(self.bias, self.weight, x.t())
        return out.t()


def masked(model: nn.Module, masks: Masks) -> nn.Module:
    """A copy of ``model`` in which removed weights are zero; as large, and as fast, as ever."""
    made = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])
    return made


def sparse(model: nn.Module) -> nn.Module:
    """A copy of ``model`` whose linear layers hold only their non-zero weights, as CSR; all else stays as it is.

    Convolutions have no CSR kernel in torch. Raises ModelError where there is no linear layer that reads (n, in).
    """
    made = copy.deepcopy(model).eval().requires_grad_(False)
    found = [(name, layer) for name, layer in made.named_modules() if type(layer) is nn.Linear]
    if not found or any(isinstance(m, nn.MultiheadAttention) for m in made.modules()):
        raise ModelError(f"{type(model).__name__} has no plain linear layers that torch could hold as sparse rows.")
    for name, layer in found:
        owner, _, own = name.rpartition(".")
        setattr(made.get_submodule(owner), own, SparseLinear(layer))
    return made


@torch.no_grad()
def check_alike(first: nn.Module, other: nn.Module, x: Tensor, what: str) -> float:
    """The largest difference of two models' answers on ``x`` (n, ...), as a share of the largest answer.

    Raises ModelError where it is above TOLERANCE, or where ``other`` cannot run at all.
    """
    wanted = first(x)
    try:
        got = other(x)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"The model cannot be run {what}: {' '.join(str(error).split())[:120]}.") from None
    away = float((wanted - got).abs().max() / wanted.abs().max().clamp_min(1e-30))
    if not away <= TOLERANCE:
        raise ModelError(f"The model answers otherwise {what}: by {away:.2g} of the largest answer.")
    return away


def compare(
    models: Mapping[str, nn.Module], x: Tensor, *, threads: int = 1, rounds: int = 60, budget_s: float = 1.0
) -> dict[str, PairedTime]:
    """Time forward passes of ``models`` on ``x`` in turns, without gradients, in evaluation mode, on ``threads``.

    All ratios are to the first. Raises ConfigError for a batch that is empty.
    """
    if not len(x):
        raise ConfigError("compare needs at least one example, got none.")
    for model in models.values():
        model.eval()
    with fixed(threads), torch.inference_mode():
        calls = {name: (lambda model=model: model(x)) for name, model in models.items()}
        return interleaved(calls, rounds=rounds, budget_s=budget_s)
