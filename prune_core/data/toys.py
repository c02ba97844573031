"""Points in the plane, drawn from the run's seed: small enough to see a whole decision boundary.

Their defaults are chosen so that a small network needs most of its weights: accuracy falls as it is pruned instead of
staying at 100 %. The test split has always 2,000 points, so that one point is a twentieth of a percent.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from prune_core.data.base import DataInfo, DataSource, Splits
from prune_core.registry import register
from prune_core.seeding import generator
from prune_core.settings import setting

TEST_POINTS = 2000


class _Toy(DataSource):
    """``samples`` training points and 2,000 test points from one distribution, classes as equal in size as can be."""

    seeded: ClassVar[bool] = True
    names: ClassVar[tuple[str, ...]]

    samples: int = setting(2000, ge=16, le=200_000, unit="points", help="Points in the training split.", log=True)

    @property
    def info(self) -> DataInfo:
        return DataInfo((2,), len(self.names), self.samples, TEST_POINTS, self.names)

    def _read(self, seed: int) -> Splits:
        rng = generator(seed, "data")
        train = self._draw(self.samples, rng)
        return Splits(*train, *self._draw(TEST_POINTS, rng))

    def _draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        y = torch.arange(n) % len(self.names)
        return self._points(y, rng), y

    def _points(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """One point (n, 2) for each label (n,)."""
        raise NotImplementedError


@register("moons", label="Moons (2-D)", formula=r"(\cos t, \sin t),\ (1 - \cos t, \tfrac12 - \sin t),\ t \in [0, \pi]")
class Moons(_Toy):
    """Two interleaving half circles."""

    names: ClassVar[tuple[str, ...]] = ("upper", "lower")
    noise: float = setting(0.2, ge=0, le=1, help="Standard deviation added to each coordinate; the radius is 1.")

    def _points(self, y: Tensor, rng: torch.Generator) -> Tensor:
        t = math.pi * torch.rand(len(y), generator=rng)
        lower = y == 1
        x0 = torch.where(lower, 1 - t.cos(), t.cos())
        x1 = torch.where(lower, 0.5 - t.sin(), t.sin())
        return torch.stack([x0, x1], 1) + self.noise * torch.randn(len(y), 2, generator=rng)


@register("circles", label="Circles (2-D)")
class Circles(_Toy):
    """Three rings around one centre, of radius 1, 2 and 3; inner and outer ring are one class."""

    names: ClassVar[tuple[str, ...]] = ("inner and outer", "middle")
    noise: float = setting(0.2, ge=0, le=1, help="Standard deviation added to each coordinate; rings are 1 apart.")

    def _points(self, y: Tensor, rng: torch.Generator) -> Tensor:
        t = 2 * math.pi * torch.rand(len(y), generator=rng)
        outer = torch.rand(len(y), generator=rng) < 0.5
        radius = torch.where(y == 1, 2.0, torch.where(outer, 3.0, 1.0))
        circle = torch.stack([radius * t.cos(), radius * t.sin()], 1)
        return circle + self.noise * torch.randn(len(y), 2, generator=rng)


@register("blobs", label="Blobs (2-D)")
class Blobs(_Toy):
    """Sixteen round clouds on a 4×4 grid, four classes laid so that no class lies next to itself."""

    names: ClassVar[tuple[str, ...]] = ("a", "b", "c", "d")
    noise: float = setting(0.2, ge=0, le=1, help="Standard deviation of a cloud; centres are 1 apart.")

    def _points(self, y: Tensor, rng: torch.Generator) -> Tensor:
        row = torch.randint(0, 4, y.shape, generator=rng)
        column = (y + 2 * row) % 4  # each class once a row, two columns further in the next
        centres = torch.stack([column, row], 1).float()
        return centres + self.noise * torch.randn(len(y), 2, generator=rng)


@register("spirals", label="Spirals (2-D)", formula=r"r = t,\ \varphi = 2\pi\,\mathrm{turns}\,t + 2\pi k / 3")
class Spirals(_Toy):
    """Three arms wound around each other: the hardest of the four."""

    names: ClassVar[tuple[str, ...]] = ("first arm", "second arm", "third arm")
    noise: float = setting(0.02, ge=0, le=1, help="Standard deviation added to each coordinate; an arm is 1 long.")
    turns: float = setting(1.25, gt=0, le=4, unit="turns", help="How often an arm winds around the centre.")

    def _points(self, y: Tensor, rng: torch.Generator) -> Tensor:
        t = torch.rand(len(y), generator=rng).sqrt()  # sqrt: points are as dense outside as inside
        angle = 2 * math.pi * (self.turns * t + y / len(self.names))
        arm = torch.stack([t * angle.cos(), t * angle.sin()], 1)
        return arm + self.noise * torch.randn(len(y), 2, generator=rng)
