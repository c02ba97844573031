"""The gradient of a whole model as one vector, and norms that tell the truth about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prune_core.clipping import quick
from prune_core.errors import ConfigError

SMALL, LARGE = 1e-12, 1e18  # between these, the float32 squares below a norm neither vanished nor overflowed
EPSILON = 1e-6  # torch's, added to a norm before dividing by it, so that both give the same bits


class FlatGradients:
    """All gradients of a model as one contiguous vector ``values`` (n,), to be changed in place.

    ``layers`` are views of it, one a parameter, flat, named by ``names``; parameter i spans ``offsets[i:i + 2]``.
    ``parameters`` are the parameters themselves where the caller has them: strategies that look at a layer's shape or
    weights need them. ``clipped`` (n,) is there for strategies that clip before the average, and nowhere else.
    """

    def __init__(
        self, values: Tensor, names: tuple[str, ...], offsets: tuple[int, ...], parameters: tuple[Tensor, ...] = ()
    ) -> None:
        self.values = values
        self.names = names
        self.offsets = offsets
        self.parameters = parameters
        self.layers = tuple(values[a:b] for a, b in pairwise(offsets))
        self.clipped: Tensor | None = None
        self.ends = np.array(offsets, dtype=np.int64)  # (layers + 1,), for the loops that are compiled
        self._units: dict[tuple[int, ...], quick.Array] = {}
        self._before: FlatGradients | None = None

    def keep_before(self) -> FlatGradients:
        """A copy of the gradient as it is now; the next call overwrites it, so that no step allocates memory."""
        if self._before is None:
            self._before = FlatGradients(torch.empty_like(self.values), self.names, self.offsets, self.parameters)
        self._before.values.copy_(self.values)
        return self._before

    def norm(self, order: int | str = 2) -> Tensor:
        """The 1-, 2- or "inf"-norm over all entries, 0-dim; not finite only where an entry is not.

        Bitwise what ``torch.nn.utils.get_total_norm`` says of the layers, unless float32 squares would overflow or
        vanish there: then the sum is made in float64.
        """
        if order == "inf":
            low, high = torch.aminmax(self.values)  # a twentieth of the time of vector_norm(inf)
            return torch.maximum(-low, high)
        # _foreach_norm is the kernel below get_total_norm, without its 25 µs of grouping by device and dtype
        each = torch.stack(torch._foreach_norm(self.layers, float(order)))
        total: Tensor = torch.linalg.vector_norm(each, float(order))
        if total.is_cpu and in_range(total.item()):  # on a GPU looking would wait: there the safe sum is always made
            return total
        return safe_norm(self.values, float(order))

    def length(self) -> Tensor:
        """The L2 norm over all entries, 0-dim, the quickest way: float64, not bitwise torch's."""
        if quick.takes(self.values):
            return quick.norms(self.values, self.ends[[0, -1]])[0]
        return self.norm()

    def units(self, rows: tuple[int, ...]) -> quick.Array:
        """Where units begin, and the end, (units + 1,), if layer i is cut into ``rows[i]`` rows of equal length."""
        if rows not in self._units:
            layers = zip(pairwise(self.offsets), rows, strict=True)
            starts = [a + (b - a) // n * i for (a, b), n in layers for i in range(n)]
            self._units[rows] = np.array([*starts, self.offsets[-1]], dtype=np.int64)
        return self._units[rows]

    def unit_norms(self, rows: tuple[int, ...] | None = None) -> Tensor:
        """The L2 norms of layers, or of the units into which ``rows`` cuts them, (units,) float64."""
        rows = (1,) * len(self.layers) if rows is None else rows
        if quick.takes(self.values):
            return quick.norms(self.values, self.units(rows))
        return torch.cat([row_norms(layer.view(n, -1)) for layer, n in zip(self.layers, rows, strict=True)])

    def layer_norms(self, order: int | str = 2) -> Tensor:
        """The norm of every layer, (layers,), made as ``norm`` makes that of all."""
        power = float(order)  # "inf" too
        norms = torch.stack(torch._foreach_norm(self.layers, power))
        if not norms.is_cpu:
            return torch.stack([safe_norm(layer, power) for layer in self.layers])
        for i, norm in enumerate(norms.tolist()):
            if not in_range(norm):
                norms[i] = safe_norm(self.layers[i], power)
        return norms

    @classmethod
    def gather(cls, parameters: Iterable[Tensor | tuple[str, Tensor]] | Tensor) -> FlatGradients:
        """Copy the gradients of ``parameters``, named or not, read once, into one vector on the first one's device.

        Parameters without gradient are left out; half precision is widened to float32, and all to float64 where one
        is. Raises ConfigError where no parameter has a gradient, or one is sparse or complex.
        """
        given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        named = [p if isinstance(p, tuple) else (str(i), p) for i, p in enumerate(given)]
        found = [(name, p, p.grad) for name, p in named if p.grad is not None]
        if not found:
            raise ConfigError(
                f"Clipping needs gradients, but none of the {len(named)} parameters has one; call backward() first, "
                "and give model.parameters() anew if it was already consumed."
            )
        for name, _, g in found:
            if g.layout != torch.strided or not g.is_floating_point():
                raise ConfigError(
                    f"The gradient of {name} must be dense and real to be clipped, got {g.layout}, {g.dtype}."
                )
        wide = torch.float64 if any(g.dtype == torch.float64 for *_, g in found) else torch.float32
        values = torch.cat([g.detach().reshape(-1).to(found[0][2].device, wide) for *_, g in found])
        offsets = tuple(accumulate((g.numel() for *_, g in found), initial=0))
        return cls(values, tuple(name for name, *_ in found), offsets, tuple(p for _, p, _ in found))

    def scatter_(self) -> None:
        """Write the vector back to the gradients that ``gather`` read."""
        for p, layer in zip(self.parameters, self.layers, strict=True):
            assert p.grad is not None, "gather takes only parameters with a gradient"
            p.grad.copy_(layer.view(p.grad.shape))


def in_range(norm: float) -> bool:
    """Whether a norm made of float32 squares can be believed."""
    return SMALL < norm < LARGE


def safe_norm(values: Tensor, order: float = 2.0) -> Tensor:
    """The norm of a vector (n,), 0-dim float64, summed in float64."""
    total: Tensor = torch.linalg.vector_norm(values, order, dtype=torch.float64)
    return total


def row_norms(rows: Tensor) -> Tensor:
    """L2 norms (n,) of a matrix (n, m), float64."""
    n, m = rows.shape
    if quick.takes(rows):
        return quick.norms(rows.view(-1), np.arange(n + 1) * m)
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return norms


def norm_order(value: Any) -> Any:
    """1, 2 or "inf" where ``value`` is a way to write it (1.0, "2", math.inf); otherwise ``value`` itself."""
    return {"1": 1, "2": 2, "1.0": 1, "2.0": 2, str(math.inf): "inf"}.get(str(value), value)
