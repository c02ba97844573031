"""What clipping did to a gradient: length before and after, share of entries changed, turn of the direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prune_core.clipping import quick
from prune_core.clipping.gradients import FlatGradients, in_range, safe_norm
from prune_core.errors import ConfigError

Array = np.ndarray[Any, Any]
COLUMNS = ("norm_before", "norm_after", "changed", "cosine")


@dataclass(frozen=True)
class ClipReport:
    """One clipping. Values are float64 and stay on the gradient's device until someone looks.

    Norms are L2, whatever norm the strategy clips by, and finite if and only if every entry is. ``changed`` is the
    share of all entries whose value changed, in [0, 1]. ``cosine`` is that of the angle between the gradient before and
    after, in [-1, 1]: 1 where nothing turned, also for a gradient of zeros; 0 where clipping left only zeros; nan where
    there is no direction because an entry is not finite.
    """

    overall: Tensor
    """(4,) in the order of COLUMNS, over all parameters together."""
    names: tuple[str, ...]
    by_layer: Tensor | None = None
    """(layers, 4), a row for each of ``names``; None unless it was asked for."""

    @property
    def norm_before(self) -> Tensor:
        return self.overall[0]

    @property
    def norm_after(self) -> Tensor:
        return self.overall[1]

    @property
    def changed(self) -> Tensor:
        return self.overall[2]

    @property
    def cosine(self) -> Tensor:
        return self.overall[3]

    @property
    def layer_norm_before(self) -> Tensor:
        return self._layers[:, 0]

    @property
    def layer_norm_after(self) -> Tensor:
        return self._layers[:, 1]

    @property
    def layer_changed(self) -> Tensor:
        return self._layers[:, 2]

    @property
    def layer_cosine(self) -> Tensor:
        return self._layers[:, 3]

    @property
    def _layers(self) -> Tensor:
        if self.by_layer is None:
            raise ConfigError("This report has no values by layer; clip with layers=True.")
        return self.by_layer

    def __repr__(self) -> str:
        values = ", ".join(f"{c}={v:.4g}" for c, v in zip(COLUMNS, self.overall.tolist(), strict=True))
        return f"ClipReport({values}, {len(self.names)} layers)"


@torch.no_grad()
def measure(grads: FlatGradients, *, layers: bool = True) -> ClipReport:
    """The report of not clipping at all."""
    return report_scaled(grads, norm(grads.values), None, layers=layers)


def report_changed(before: FlatGradients, after: FlatGradients, *, layers: bool) -> ClipReport:
    """The report of any change, by comparing the gradient before and after."""
    if quick.takes(before.values) and quick.takes(after.values):
        return report_sums(quick.compare(before.values, after.values, after.ends), after, layers=layers)
    rows = [compare(a, b) for a, b in zip(before.layers, after.layers, strict=True)] if layers else None
    return ClipReport(compare(before.values, after.values), after.names, None if rows is None else torch.stack(rows))


def report_sums(sums: Array, after: FlatGradients, *, layers: bool) -> ClipReport:
    """The report from the sums (layers, 4) that ``quick`` made while it changed the gradient."""
    rows = torch.from_numpy(quick.describe(sums, after.ends))
    return ClipReport(rows[-1], after.names, rows[:-1] if layers else None)


def report_scaled(before: FlatGradients, length: Tensor, factor: Tensor | None, *, layers: bool) -> ClipReport:
    """The report of multiplying a gradient of L2 norm ``length`` by ``factor``, 0-dim, in (0, 1]; None stands for 1.

    Made without a comparison: the direction stays, and every entry that is not zero changes.
    """
    rows = torch.stack([_scaled(g, norm(g), factor) for g in before.layers]) if layers else None
    return ClipReport(_scaled(before.values, length, factor), before.names, rows)


def report_counted(
    after: FlatGradients, length: Tensor, factor: Tensor, changed: Array, lengths: Tensor | None
) -> ClipReport:
    """``report_scaled`` where ``quick`` counted what ``changed``, (layers,); ``lengths`` (layers,) ask for layers."""
    by, n = factor.item(), after.values.numel()
    overall = _tensor(*_shortened(length.item(), by, changed.sum() / n))
    if lengths is None:
        return ClipReport(overall, after.names)
    shares = changed / np.maximum(np.diff(after.ends), 1)
    rows = [_shortened(a, by, share) for a, share in zip(lengths.tolist(), shares.tolist(), strict=True)]
    return ClipReport(overall, after.names, torch.tensor(rows, dtype=torch.float64))


def report_units(
    after: FlatGradients, rows: Sequence[int], lengths: Tensor, factors: Tensor, changed: Array, *, layers: bool
) -> ClipReport:
    """The report of multiplying units of L2 norms ``lengths`` by ``factors``; layer i is ``rows[i]`` of the units."""
    a, by = lengths.double().numpy(), factors.float().double().numpy()  # float32, as the entries were multiplied
    with np.errstate(invalid="ignore"):  # inf · 0
        sums = np.column_stack([a * a, (a * by) ** 2, a * a * by, changed])
    if len(sums) > len(rows):
        sums = np.add.reduceat(sums, np.cumsum((0, *rows[:-1])))
    return report_sums(sums, after, layers=layers)


def compare(before: Tensor, after: Tensor) -> Tensor:
    """Norm before, norm after, share changed, cosine: (4,) float64 on the tensors' device, of two vectors (n,)."""
    return _compare_looking(before, after) if before.is_cpu else _compare_waiting_for_nothing(before, after)


def _compare_looking(before: Tensor, after: Tensor) -> Tensor:
    """On the CPU a number costs nothing to look at, and looking spares most of the work where nothing changed."""
    # numpy compares and counts 266,610 entries in 36 µs; torch takes 220
    a, different = _length(before), int(np.count_nonzero(before.numpy() != after.numpy()))
    b, changed, cosine = a, different / max(before.numel(), 1), 1.0
    if different:
        b = _length(after)
        cosine = _cosine(before, after, a, b) if b else 0.0
    if not math.isfinite(a + b):
        cosine = math.nan
    return _tensor(a, b, changed, cosine)


def _cosine(before: Tensor, after: Tensor, a: float, b: float) -> float:
    if in_range(a) and in_range(b):
        cosine = float(torch.dot(before, after)) / (a * b)
    else:
        cosine = float(torch.dot(before.double() / a, after.double() / b))
    return min(max(cosine, -1.0), 1.0)


def _compare_waiting_for_nothing(before: Tensor, after: Tensor) -> Tensor:
    """The same without a number leaving the device."""
    a, b = norm(before), norm(after)
    changed = torch.count_nonzero(before != after).double() / max(before.numel(), 1)
    # one of them is brought to length 1 first: then no sum on the way is longer than the other, and none overflows
    turned = (torch.dot(before, (after / b).to(after.dtype)) / a).clamp(-1, 1)
    cosine = torch.where(changed == 0, 1.0, torch.where(b == 0, 0.0, turned)) + 0 * (a + b)  # nan where not finite
    return torch.stack([a, b, changed, cosine])


def _scaled(values: Tensor, length: Tensor, factor: Tensor | None) -> Tensor:
    return (_scaled_looking if values.is_cpu else _scaled_waiting_for_nothing)(values, length, factor)


def _scaled_looking(values: Tensor, length: Tensor, factor: Tensor | None) -> Tensor:
    a, by = float(length), 1.0 if factor is None else float(factor)
    changed = np.count_nonzero(values.numpy() != 0) / values.numel() if by < 1 else 0.0
    return _tensor(*_shortened(a, by, changed))


def _shortened(a: float, by: float, changed: float) -> tuple[float, ...]:
    return a, a * by, changed, 1.0 if math.isfinite(a) else math.nan


def _scaled_waiting_for_nothing(values: Tensor, length: Tensor, factor: Tensor | None) -> Tensor:
    a = length.double()
    by = torch.ones_like(a) if factor is None else factor.double()
    changed = (by < 1) * (values.count_nonzero().double() / max(values.numel(), 1))
    return torch.stack([a, a * by, changed, 1 + 0 * a])


def _tensor(*values: float) -> Tensor:
    return torch.from_numpy(np.array(values))  # float64, in a third of torch.tensor's time


def norm(values: Tensor) -> Tensor:
    """L2 norm of a vector (n,), 0-dim float64; float32 squares that overflow or vanish are summed again in float64."""
    return torch.tensor(_length(values), dtype=torch.float64) if values.is_cpu else safe_norm(values)


def _length(values: Tensor) -> float:
    length = math.sqrt(float(torch.dot(values, values)))  # a quarter of the time of a sum in float64
    return length if in_range(length) else float(safe_norm(values))
