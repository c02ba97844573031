from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
import torch
from torch import nn

from prune_core.measuring import sizes
from prune_core.measuring.size import _csr, pack, unpack
from prune_core.models import LeNet300, ModelSource


@pytest.fixture(scope="module")
def lenet():
    model = LeNet300().build((1, 28, 28), 10, seed=0)
    masks = {}
    for name, p in model.named_parameters():
        if p.dim() > 1:
            masks[name] = torch.rand(p.shape, generator=torch.Generator().manual_seed(0)) < 0.1
    return model, masks


def test_dense_is_what_torch_saves(lenet):
    model, masks = lenet
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    assert sizes(model, compress=False).dense_bytes == len(file.getvalue())
    assert sizes(model, masks, compress=False).dense_bytes == len(file.getvalue())  # masks alone save nothing


def test_sparse_files_against_arithmetic(lenet):
    model, masks = lenet
    kept = sum(int(m.sum()) for m in masks.values())
    found = sizes(model, masks)
    # a bit an entry, four bytes a value and a bias, and a header of names
    assert found.bitmask_bytes == pytest.approx(266_200 / 8 + 4 * kept + 4 * 410, abs=400)
    # a 4-byte column and a 4-byte value each, row starts, and torch's container
    assert found.csr_bytes == pytest.approx(8 * kept + 4 * (410 + 3) + 4 * 410, rel=0.05)
    assert found.bitmask_bytes < found.csr_bytes < found.dense_bytes
    assert found.gzip_bytes < found.dense_bytes / 3


def test_gzip_can_be_left_out(lenet):
    assert sizes(*lenet, compress=False).gzip_bytes is None


def test_the_gzip_figure_is_of_the_dense_file_with_zeros(lenet):
    model, masks = lenet
    state = model.state_dict()
    for name, mask in masks.items():
        state[name] = state[name].masked_fill(~mask, 0)  # not times the mask: that gives -0.0, which gzip tells apart
    file = io.BytesIO()
    torch.save(state, file)
    assert sizes(model, masks).gzip_bytes == len(gzip.compress(file.getvalue(), 6, mtime=0))


def test_without_masks_zeros_are_left_out(lenet):
    model, masks = lenet
    zeroed = LeNet300().build((1, 28, 28), 10, seed=0)
    with torch.no_grad():
        for name, p in zeroed.named_parameters():
            if name in masks:
                p.mul_(masks[name])
    assert sizes(zeroed, compress=False) == sizes(model, masks, compress=False)


@pytest.mark.parametrize("name", [entry.name for entry in ModelSource.registry])
def test_what_is_packed_comes_back_bit_for_bit(name):
    shape = (3, 32, 32) if name == "torchvision" else (1, 8, 8)
    model = ModelSource.registry[name].cls().build(shape, 10, seed=0)
    with torch.no_grad():
        for p in model.parameters():
            p.masked_fill_(torch.rand(p.shape, generator=torch.Generator().manual_seed(1)) < 0.8, 0)
    state = model.state_dict()
    back = unpack(pack(state, {n for n, p in model.named_parameters() if p.dim() > 1}))
    assert list(back) == list(state)
    for key, tensor in state.items():
        assert back[key].dtype == tensor.dtype and torch.equal(back[key], tensor), key


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_other_kinds_of_numbers_can_be_packed(dtype):
    state = {"a": torch.tensor([[1, 0, 0], [0, 1, 1]]).to(dtype), "empty": torch.zeros(0, 3, dtype=dtype)}
    back = unpack(pack(state, {"a", "empty"}))
    assert all(back[k].dtype == dtype and torch.equal(back[k], v) for k, v in state.items())


def test_rows_are_compressed_as_torch_does():
    x = torch.randn(6, 2, 3) * (torch.rand(6, 2, 3) < 0.4)
    starts, columns, values, shape = _csr(x)
    back = torch.zeros(6, 6)
    for i in range(6):
        cells = slice(int(starts[i]), int(starts[i + 1]))
        back[i, columns[cells].long()] = values[cells]
    assert torch.equal(back.view(*shape.tolist()), x)


def test_an_all_zero_layer_costs_its_bits_only():
    model = nn.Linear(800, 100, bias=False)
    nn.init.zeros_(model.weight)
    assert sizes(model, compress=False).bitmask_bytes == pytest.approx(80_000 / 8, abs=100)
    assert np.isclose(sizes(model, compress=False).dense_bytes, 320_000, rtol=0.02)
