"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, from the addresses and into the folders that torchvision uses."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prune_core.data.base import DataInfo, DataSource, Splits
from prune_core.data.files import data_root, read_cifar, read_idx
from prune_core.errors import DataCorruptError, DataMissingError
from prune_core.fetching import fetch
from prune_core.registry import register


class _Downloaded(DataSource):
    """Files under ``data_root()/folder``, fetched when some are missing."""

    folder: ClassVar[str]
    files: ClassVar[tuple[str, ...]]

    def _place(self) -> str:
        return str(data_root())

    def _missing(self) -> list[str]:
        return [name for name in self.files if not (data_root() / self.folder / name).exists()]

    def _ensure(self) -> Path:
        """The folder with every file in it. Raises DataMissingError."""
        folder = data_root() / self.folder
        if missing := self._missing():
            try:
                self._download(folder, missing)
            except (OSError, tarfile.TarError) as error:
                reason = getattr(error, "reason", None) or error
                raise DataMissingError(
                    f"{type(self).__name__} needs {', '.join(missing)} in {folder}, and the download failed "
                    f"({reason}); connect to the internet, or put the files there "
                    "(PRUNE_LAB_DATA names another folder); meanwhile choose Digits, which needs no files."
                ) from error
        return folder

    def _download(self, folder: Path, missing: list[str]) -> None:
        """Fetch the missing files into ``folder``, all or none. Raises OSError."""
        raise NotImplementedError

    def _paired(self, x: npt.NDArray[Any], y: npt.NDArray[Any], folder: Path) -> tuple[Tensor, Tensor]:
        if len(x) != len(y) or len(y) == 0 or int(y.max()) >= self.info.classes:
            raise DataCorruptError(
                f"The files in {folder} do not belong together: {len(x):,} images, {len(y):,} labels up to "
                f"{int(y.max(initial=0))} for {self.info.classes} classes; delete them, and they are downloaded again."
            )
        return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))


class _Idx(_Downloaded):
    """MNIST and its replacements: four IDX files."""

    files: ClassVar[tuple[str, ...]] = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )

    def _missing(self) -> list[str]:
        folder = data_root() / self.folder
        return [f for f in self.files if not (folder / f).exists() and not (folder / f"{f}.gz").exists()]

    def _read(self, seed: int) -> Splits:
        folder = self._ensure()
        shapes = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
        paths = [folder / f if (folder / f).exists() else folder / f"{f}.gz" for f in self.files]
        train_x, train_y, test_x, test_y = (read_idx(p, s) for p, s in zip(paths, shapes, strict=True))
        return Splits(*self._paired(train_x[:, None], train_y, folder), *self._paired(test_x[:, None], test_y, folder))

    def _download(self, folder: Path, missing: list[str]) -> None:
        from torchvision import datasets

        source = getattr(datasets, type(self).__name__)
        checksums = dict(source.resources)
        with _scratch(folder) as scratch:
            for name in missing:
                packed = scratch / f"{name}.gz"
                _fetch_any([f"{mirror}{name}.gz" for mirror in source.mirrors], packed, checksums[f"{name}.gz"])
                with gzip.open(packed) as source_file, (scratch / name).open("wb") as out:
                    shutil.copyfileobj(source_file, out)
            for name in missing:
                (scratch / name).replace(folder / name)


class _Cifar(_Downloaded):
    """Batch files of pickled arrays, one archive."""

    train_files: ClassVar[tuple[str, ...]]
    test_file: ClassVar[str]
    label_key: ClassVar[str]

    def _read(self, seed: int) -> Splits:
        folder = self._ensure()
        parts = [read_cifar(folder / name, self.label_key) for name in self.train_files]
        x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Splits(
            *self._paired(x, y, folder), *self._paired(*read_cifar(folder / self.test_file, self.label_key), folder)
        )

    def _download(self, folder: Path, missing: list[str]) -> None:
        from torchvision import datasets

        source = getattr(datasets, type(self).__name__)
        with _scratch(folder) as scratch:
            archive = scratch / source.filename
            _fetch_any([source.url], archive, source.tgz_md5)
            with tarfile.open(archive) as tar:
                tar.extractall(scratch, filter="data")
            for name in missing:
                (scratch / self.folder / name).replace(folder / name)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """The name of a folder inside ``folder`` that goes away afterwards; ``fetch`` makes it when bytes come."""
    path = folder / f".download-{uuid.uuid4().hex[:8]}"
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _fetch_any(urls: list[str], target: Path, md5: str) -> None:
    """Fetch from the first address that answers. Raises the last one's OSError."""
    for i, url in enumerate(urls):
        try:
            fetch(url, target, digest=md5)
            return
        except OSError:
            if i == len(urls) - 1:
                raise


_MNIST_REFERENCE = "LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition"
_CIFAR_REFERENCE = "Krizhevsky 2009, Learning multiple layers of features from tiny images"


@register("mnist", label="MNIST", reference=_MNIST_REFERENCE)
class MNIST(_Idx):
    """70,000 handwritten digits of 28×28 pixels, 256 grey levels."""

    folder: ClassVar[str] = "MNIST/raw"

    @property
    def info(self) -> DataInfo:
        return DataInfo((1, 28, 28), 10, 60000, 10000, tuple("0123456789"))


@register("fashion_mnist", label="Fashion-MNIST", reference="Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747")
class FashionMNIST(_Idx):
    """70,000 pictures of clothes in MNIST's format; harder than MNIST."""

    folder: ClassVar[str] = "FashionMNIST/raw"

    @property
    def info(self) -> DataInfo:
        names = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
        return DataInfo((1, 28, 28), 10, 60000, 10000, names)


@register("cifar10", label="CIFAR-10", reference=_CIFAR_REFERENCE)
class CIFAR10(_Cifar):
    """60,000 colour photographs of 32×32 pixels in 10 classes."""

    folder: ClassVar[str] = "cifar-10-batches-py"
    train_files: ClassVar[tuple[str, ...]] = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_file: ClassVar[str] = "test_batch"
    files: ClassVar[tuple[str, ...]] = (*train_files, test_file)
    label_key: ClassVar[str] = "labels"

    @property
    def info(self) -> DataInfo:
        names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
        return DataInfo((3, 32, 32), 10, 50000, 10000, names)


@register("cifar100", label="CIFAR-100", reference=_CIFAR_REFERENCE)
class CIFAR100(_Cifar):
    """60,000 colour photographs of 32×32 pixels in 100 classes."""

    folder: ClassVar[str] = "cifar-100-python"
    train_files: ClassVar[tuple[str, ...]] = ("train",)
    test_file: ClassVar[str] = "test"
    files: ClassVar[tuple[str, ...]] = (*train_files, test_file)
    label_key: ClassVar[str] = "fine_labels"

    @property
    def info(self) -> DataInfo:
        return DataInfo((3, 32, 32), 100, 50000, 10000, tuple(n.replace("_", " ") for n in _FINE.split()))


_FINE = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel
streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm"""
