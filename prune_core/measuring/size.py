"""Bytes of a model's weights, each way of storing them written out and its length taken.

A mask alone saves nothing: a zero costs four bytes like any other number. The figures differ in how they leave
zeros out.
"""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from prune_core.measuring.weights import Masks, describe

MAGIC = b"PRBM1\n"


@dataclass(frozen=True)
class Sizes:
    """Bytes on disk of parameters and buffers, the removed weights set to zero in all of them."""

    dense_bytes: int
    """``torch.save`` of the state dict: what people have on disk; the same at any sparsity."""
    gzip_bytes: int | None
    """The same file through gzip (level 6); None where it was not asked for."""
    csr_bytes: int
    """Prunable tensors as compressed rows (a row an output unit, 32-bit indices), the rest dense."""
    bitmask_bytes: int
    """Prunable tensors as one bit an entry and the values of those left, the rest dense."""


def sizes(model: nn.Module, masks: Masks | None = None, *, compress: bool = True) -> Sizes:
    """Store ``model`` four ways in memory and measure. gzip takes about 4 s for 100 MB: ``compress=False`` skips it."""
    state, sparse = _masked(model, masks or {})
    dense = _saved(state)
    return Sizes(
        dense_bytes=len(dense),
        gzip_bytes=len(gzip.compress(dense, 6, mtime=0)) if compress else None,
        csr_bytes=len(_saved({n: _csr(t) if n in sparse else t for n, t in state.items()})),
        bitmask_bytes=len(pack(state, sparse)),
    )


def stored_bytes(model: nn.Module, masks: Masks | None = None) -> tuple[int, int]:
    """``dense_bytes`` and ``bitmask_bytes`` of ``sizes`` alone, which take a tenth of the time."""
    state, sparse = _masked(model, masks or {})
    return len(_saved(state)), len(pack(state, sparse))


def pack(state: dict[str, Tensor], sparse: set[str]) -> bytes:
    """``state`` as bytes: a JSON header, then each tensor; of those in ``sparse`` a bitmask and the non-zeros."""
    header, body = [], []
    for name, tensor in state.items():
        array = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        array = array.reshape(tensor.numel(), tensor.element_size())
        present = np.ones(len(array), bool)
        if name in sparse:
            present = (tensor.detach().cpu().reshape(-1) != 0).numpy()
            body.append(np.packbits(present).tobytes())
        body.append(array[present].tobytes())
        dtype = str(tensor.dtype).removeprefix("torch.")
        header.append([name, dtype, list(tensor.shape), int(present.sum()) if name in sparse else None])
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([MAGIC, len(text).to_bytes(4, "big"), text, *body])


def unpack(data: bytes) -> dict[str, Tensor]:
    """The state dict that ``pack`` wrote, bit for bit (-0.0, which compares equal to zero, comes back as 0.0)."""
    assert data.startswith(MAGIC)
    start = len(MAGIC) + 4
    end = start + int.from_bytes(data[start - 4 : start], "big")
    state = {}
    for name, dtype_name, shape, kept in json.loads(data[start:end]):
        dtype: torch.dtype = getattr(torch, dtype_name)
        n = int(np.prod(shape, dtype=np.int64))
        present = np.ones(n, bool)
        if kept is not None:
            packed = -(-n // 8)
            present = np.unpackbits(np.frombuffer(data, np.uint8, packed, end), count=n).astype(bool)
            end += packed
        array = np.zeros((n, dtype.itemsize), np.uint8)
        size = int(present.sum()) * dtype.itemsize
        array[present] = np.frombuffer(data, np.uint8, size, end).reshape(-1, dtype.itemsize)
        end += size
        state[name] = torch.from_numpy(array).view(-1).view(dtype).reshape(shape)
    return state


def _masked(model: nn.Module, masks: Masks) -> tuple[dict[str, Tensor], set[str]]:
    """The state dict with removed weights at zero, and the names of its prunable tensors."""
    sparse = {name for name, info in describe(model).items() if info.prunable} | set(masks)
    state = model.state_dict()  # an ordered dictionary with versions, as people save it
    for name, tensor in state.items():
        own = tensor.detach().cpu()
        part = own.untyped_storage().nbytes() > own.nbytes  # of a larger one, all of which would be written
        state[name] = own.clone() if part else own
    for name, mask in masks.items():
        state[name] = torch.where(mask.cpu(), state[name], torch.zeros((), dtype=state[name].dtype))
    return state, sparse & set(state)


def _csr(tensor: Tensor) -> tuple[Tensor, ...]:
    """Row starts, columns, values and shape. By hand: torch's own are 64-bit, and twice the bytes."""
    rows = tensor.reshape(len(tensor), -1)
    kept = rows != 0
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), kept.sum(1).cumsum(0)])
    return starts.int(), kept.nonzero()[:, 1].int(), rows[kept], torch.tensor(tensor.shape)


def _saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
