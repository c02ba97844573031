"""So many of every few neighbours."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator
from torch import nn

from prune_core.errors import ConfigError
from prune_core.pruning.granularity.base import Granularity
from prune_core.pruning.granularity.groups import Part
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "n_of_m",
    label="N of M",
    formula=r"\sum_{j=1}^{M} m_{Mk+j} \ge N \;\text{ in every group of } M \text{ inputs}",
    reference="Mishra et al. 2021, arXiv:2104.08378 (2:4); Zhou et al. 2021, arXiv:2102.04010 (N:M)",
)
class NofM(Granularity):
    """Keeps at least N of every M neighbouring inputs of an output: 2 of 4 is what sparse tensor cores compute.

    Neighbours are along the inputs, of a convolution at the same place of its kernel. At sparsity 1 − N/M exactly N of
    M are kept everywhere; below that the lowest of those that may go have gone. Layers whose inputs are no multiple of
    M stay dense.
    """

    n: int = setting(2, ge=1, le=63, label="N", help="How many of every M inputs are kept at least.", unit="weights")
    m: int = setting(4, ge=2, le=64, label="M", help="How many neighbouring inputs make a group.", unit="weights")

    wants: ClassVar[str] = "layers whose number of inputs is a multiple of M"

    @model_validator(mode="after")
    def _agree(self) -> NofM:
        if self.n >= self.m:
            raise ConfigError(f"NofM.n must be less than m ({self.m}), got {self.n}.")
        return self

    @property
    def most(self) -> float:
        return 1 - self.n / self.m

    @property
    def at_most(self) -> int | None:
        return self.m - self.n

    def cut(self, name: str, shape: tuple[int, ...], layer: nn.Module) -> Part | None:
        along = 0 if getattr(layer, "transposed", False) else 1
        if shape[along] % self.m:
            return None
        view = (*shape[:along], shape[along] // self.m, self.m, *shape[along + 1 :])
        lead = tuple(axis for axis in range(len(view)) if axis != along + 1)
        return Part(name, shape, view, (*lead, along + 1), len(lead))
