"""Where data files are, and how their formats are read: in bulk, with a sentence when they are not whole."""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_core.errors import DataCorruptError

Bytes = npt.NDArray[np.uint8]


def data_root() -> Path:
    """The folder of downloaded data: the environment's PRUNE_LAB_DATA, or else the user's cache folder."""
    if chosen := os.environ.get("PRUNE_LAB_DATA"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "prune-lab" / "data"


def read_idx(path: Path, published: tuple[int, ...]) -> Bytes:
    """An IDX file of unsigned bytes (plain, or gzip where ``path`` ends in .gz), shaped as its header says.

    ``published`` is the shape of the published file; the number of examples may differ, the rest may not. Raises
    DataCorruptError naming the file and both sizes. Format: http://yann.lecun.com/exdb/mnist/.
    """
    raw = _unzip(path) if path.suffix == ".gz" else np.fromfile(path, np.uint8)
    header = 4 * (1 + len(published))
    shape = published
    if len(raw) >= header:
        magic, *sizes = struct.unpack(f">{1 + len(published)}I", raw[:header].tobytes())
        if magic != 0x0800 + len(published) or tuple(sizes[1:]) != published[1:]:
            raise DataCorruptError(
                f"{path} is not an IDX file of {'×'.join(map(str, published[1:])) or 'single'} bytes an example; "
                "delete it, and it is downloaded again."
            )
        shape = tuple(sizes)
    expected = header + math.prod(shape)
    if len(raw) != expected:
        raise DataCorruptError(
            f"{path} should hold {expected:,} bytes and holds {len(raw):,}; delete it, and it is downloaded again."
        )
    return raw[header:].reshape(shape)


def read_cifar(path: Path, label_key: str) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Images (n, 3, 32, 32) and labels (n,) of one CIFAR batch file.

    The format is a pickle; only numpy arrays are let through, so a file from elsewhere cannot run code.
    Raises DataCorruptError naming the file and its size. Format: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    size = path.stat().st_size
    try:
        batch = _Arrays(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        images = np.array(batch["data"], dtype=np.uint8)
        labels = np.array(batch[label_key], dtype=np.int64)
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataCorruptError(
            f"{path} ({size:,} bytes) cannot be read as a CIFAR batch ({error}); delete its folder, "
            "and it is downloaded again."
        ) from error
    if images.shape != (len(labels), 3072):
        raise DataCorruptError(
            f"{path} ({size:,} bytes) should hold {len(labels):,}×3072 pixels for its labels and holds "
            f"{'×'.join(map(str, images.shape))}; delete its folder, and it is downloaded again."
        )
    return images.reshape(-1, 3, 32, 32), labels


def _unzip(path: Path) -> Bytes:
    try:
        return np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise DataCorruptError(
            f"{path} ({path.stat().st_size:,} bytes) cannot be unpacked ({error}); "
            "delete it, and it is downloaded again."
        ) from error


class _Arrays(pickle.Unpickler):
    """Reads numpy arrays, lists and texts; refuses every other class or function."""

    allowed = frozenset(
        {("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module.rpartition(".")[2], name) not in self.allowed:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}")
        # numpy 2 moved numpy.core to numpy._core; the files are older
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
