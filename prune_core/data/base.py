"""What a data set is: settings that name it, and tensors that hold it.

A ``DataSource`` is a frozen setting; ``load`` turns it into a ``Dataset`` whose tensors stay resident. Loaded data
sets are kept in one process-wide cache, so that all runs of a worker share the same memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from pydantic import model_validator
from torch import Tensor

from prune_core.data.cache import Cache
from prune_core.errors import ConfigError
from prune_core.registry import Registered, Registry
from prune_core.seeding import generator
from prune_core.settings import setting

Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set without reading it. ``shape`` is (channels, height, width), or (2,) for points."""

    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    class_names: tuple[str, ...]


class Splits(NamedTuple):
    """Both splits as they were published: x uint8 or float32 of shape (n, *shape), y int64 of shape (n,)."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


@dataclass(frozen=True, eq=False)
class Dataset:
    """A loaded data set, resident on one device. Shared by every run that uses it: never write to its tensors.

    ``mean`` and ``std`` are per channel (shape (C, 1, 1), or (2,) for points), in the units of ``train_x``, taken over
    the whole published training split: a subset or noisy labels leave them as they are.
    ``extent`` is (x0, x1, y0, y1) in normalised units, a little wider than the points; None for images.
    """

    info: DataInfo
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    mean: Tensor
    std: Tensor
    extent: Extent | None = None

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.train_x.device

    def normalise(self, x: Tensor) -> Tensor:
        """(x - mean) / std as float32, for a whole batch at once."""
        return torch.sub(x, self.mean).div_(self.std)  # uint8 - float32 is float32: no separate cast

    def train_batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The training examples at ``index`` (int64, on this device): normalised x and labels y."""
        return self.normalise(self.train_x.index_select(0, index)), self.train_y.index_select(0, index)

    def drawn(self, n: int, rng: torch.Generator, batch_size: int = 256) -> Iterator[tuple[Tensor, Tensor]]:
        """``n`` training examples without repetition, or all, drawn by ``rng`` (on the CPU), in batches."""
        chosen = torch.randperm(len(self.train_y), generator=rng)[:n].to(self.device)
        for index in chosen.split(batch_size):
            yield self.train_batch(index)

    def test_batches(self, batch_size: int, limit: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The test split in order, in batches; with ``limit`` only so many examples, spread evenly over the split.

        Evenly, because published test splits are not always shuffled (the first half of MNIST's is the easier one).
        """
        n = len(self.test_y)
        if limit is None or limit >= n:
            for start in range(0, n, batch_size):
                yield self.normalise(self.test_x[start : start + batch_size]), self.test_y[start : start + batch_size]
            return
        chosen = torch.arange(limit, device=self.device) * n // limit
        for index in torch.split(chosen, batch_size):
            yield self.normalise(self.test_x.index_select(0, index)), self.test_y.index_select(0, index)


class DataSource(Registered):
    """A data set that people choose by name. Members give ``info``, ``_read`` and perhaps ``_place``."""

    registry: ClassVar[Registry[DataSource]] = Registry("data set")
    seeded: ClassVar[bool] = False
    """Whether the examples themselves depend on the run's seed."""

    label_noise: float = setting(
        0.0, ge=0, le=1, unit="share", help="Share of training labels replaced by another class.", advanced=True
    )
    train_size: int | None = setting(
        None, ge=1, unit="examples", help="Train on a random subset of this size; empty: on all.", advanced=True
    )

    @model_validator(mode="after")
    def _subset_fits(self) -> DataSource:
        _check_subset(self, self.info)
        return self

    @property
    def info(self) -> DataInfo:
        """Shape, classes and sizes; cheap, reads no file."""
        raise NotImplementedError

    def load(self, seed: int = 0, device: torch.device | str = "cpu") -> Dataset:
        """The data set on ``device``, from the process-wide cache where it was loaded before.

        ``seed`` decides the subset, the noisy labels and the points of generated sets, and nothing else.
        Raises DataMissingError or DataCorruptError with a sentence that says what to do.
        """
        seeded = self.seeded or self.label_noise > 0 or self.train_size is not None
        place = torch.empty(0, device=device).device  # "cuda" and "cuda:0" are one place
        key = (self.model_dump_json(), self._place(), seed if seeded else 0, str(place))
        return _datasets.get(key, lambda: self._load(seed, place))

    def _read(self, seed: int) -> Splits:
        """Both splits on the CPU. Raises DataMissingError or DataCorruptError."""
        raise NotImplementedError

    def _place(self) -> str:
        """Where the files are, if there are any: the same settings may mean other files in another place."""
        return ""

    def _resident(self, seed: int, device: torch.device) -> tuple[Splits, Tensor, Tensor]:
        """Both splits, and their mean and std, on ``device``."""
        # cached apart from the data set: subsets and noisy labels share one copy of the images
        bare = self.replace(label_noise=0.0, train_size=None)
        key = (bare.model_dump_json(), self._place(), seed if self.seeded else 0, str(device))

        def read() -> tuple[Splits, Tensor, Tensor]:
            splits = self._read(seed)
            mean, std = channel_statistics(splits.train_x)  # on the CPU: the same bits for every device
            return Splits(*(t.to(device) for t in splits)), mean.to(device), std.to(device)

        return _splits.get(key, read)

    def _load(self, seed: int, device: torch.device) -> Dataset:
        splits, mean, std = self._resident(seed, device)
        info = replace(self.info, train=len(splits.train_y), test=len(splits.test_y))
        x, y = splits.train_x, splits.train_y
        if self.train_size is not None:
            _check_subset(self, info)
            # the first n of one permutation, so that a smaller subset lies within every larger one
            kept = torch.randperm(info.train, generator=generator(seed, "subset"))[: self.train_size]
            kept = kept.sort().values.to(device)
            x, y = x[kept], y[kept]
            info = replace(info, train=self.train_size)
        if self.label_noise > 0:
            y = noisy_labels(y, info.classes, self.label_noise, generator(seed, "labels"))
        dataset = Dataset(info, x, y, splits.test_x, splits.test_y, mean, std)
        return dataset if x.dim() > 2 else replace(dataset, extent=_extent(dataset))


def noisy_labels(y: Tensor, classes: int, share: float, rng: torch.Generator) -> Tensor:
    """A copy of ``y`` (n,) in which exactly ``round(share * n)`` labels are another class, each equally likely."""
    changed = torch.randperm(len(y), generator=rng)[: round(share * len(y))]
    shift = torch.randint(1, classes, changed.shape, generator=rng)
    noisy = y.clone()
    noisy[changed.to(y.device)] = (y[changed.to(y.device)] + shift.to(y.device)) % classes
    return noisy


def channel_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (population) per channel, float32, exact sums for uint8.

    x (n, C, H, W) gives shape (C, 1, 1), x (n, d) gives (d,). A constant channel has std 1, so that it normalises to 0.
    """
    if x.dtype == torch.uint8:
        # 256 counts a channel: exact, and without a float copy of the images
        counts = torch.stack([x[:, c].flatten().bincount(minlength=256) for c in range(x.shape[1])]).double()
        values = torch.arange(256, dtype=torch.float64)
        mean = counts @ values / counts.sum(1)
        variance = counts @ values.square() / counts.sum(1) - mean.square()
    else:
        axes = [0, *range(2, x.dim())]
        mean = x.double().mean(axes)
        variance = x.double().var(axes, correction=0)
    std = variance.clamp_min(0).sqrt()
    std = torch.where(std > 0, std, torch.ones_like(std))
    shape = (-1, *[1] * (x.dim() - 2))
    return mean.float().view(shape), std.float().view(shape)


def _extent(data: Dataset) -> Extent:
    points = data.normalise(torch.cat([data.train_x, data.test_x])).cpu()
    (x0, y0), (x1, y1) = points.amin(0).tolist(), points.amax(0).tolist()
    margin_x, margin_y = 0.08 * (x1 - x0), 0.08 * (y1 - y0)
    return x0 - margin_x, x1 + margin_x, y0 - margin_y, y1 + margin_y


def _check_subset(source: DataSource, info: DataInfo) -> None:
    if source.train_size is not None and source.train_size > info.train:
        raise ConfigError(
            f"{type(source).__name__}.train_size must be at most {info.train}, the size of the training split, "
            f"got {source.train_size}; leave it empty to train on all."
        )


_datasets: Cache[Dataset] = Cache(8)
_splits: Cache[tuple[Splits, Tensor, Tensor]] = Cache(4)


def clear_cache() -> None:
    """Forget every loaded data set."""
    _datasets.clear()
    _splits.clear()
