"""Tiny files in the formats of the published data sets."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np

TRAIN, TEST = 60, 30


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_mnist(root: Path, name: str = "MNIST") -> Path:
    """Four IDX files of random pixels, labels 0..9 in turn; returns their folder."""
    rng, folder = np.random.default_rng(0), root / name / "raw"
    for split, n in (("train", TRAIN), ("t10k", TEST)):
        write_idx(folder / f"{split}-images-idx3-ubyte", rng.integers(0, 256, (n, 28, 28)))
        write_idx(folder / f"{split}-labels-idx1-ubyte", np.arange(n) % 10)
    return folder


def write_cifar10(root: Path) -> Path:
    folder = root / "cifar-10-batches-py"
    for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
        _batch(folder / name, "labels", TEST if name == "test_batch" else TRAIN // 5, 10, seed=i)
    return folder


def write_cifar100(root: Path) -> Path:
    folder = root / "cifar-100-python"
    _batch(folder / "train", "fine_labels", TRAIN, 100, seed=0)
    _batch(folder / "test", "fine_labels", TEST, 100, seed=1)
    return folder


def write_all(root: Path) -> None:
    write_mnist(root)
    write_mnist(root, "FashionMNIST")
    write_cifar10(root)
    write_cifar100(root)


def _batch(path: Path, key: str, n: int, classes: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    batch = {"data": rng.integers(0, 256, (n, 3072)).astype(np.uint8), key: [i % classes for i in range(n)]}
    path.write_bytes(pickle.dumps(batch, protocol=2))  # as old as the published files
