"""The order that LAMP and Wanda rank by: as torch sorts, ties and ends included."""

from __future__ import annotations

import math

import pytest
import torch

from prune_core.pruning.order import rising


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0,), (1,), (1000,), (7, 33), (3, 0)])
def test_it_sorts_as_torch_does(shape, dtype):
    torch.manual_seed(0)
    scores = torch.randn(shape).abs().mul(5).round().div(5).to(dtype)  # many are equal, many are 0
    values, places = rising(scores)
    want = scores.sort(dim=-1, stable=True)
    assert torch.equal(values, want.values) and torch.equal(places, want.indices)
    assert values.dtype == dtype and places.dtype == torch.int64


def test_by_hand_with_both_ends():
    scores = torch.tensor([2.0, math.inf, 0.0, 1e-45, 2.0, math.nan, 0.0])
    values, places = rising(scores)
    assert places.tolist() == [2, 6, 3, 0, 4, 1, 5]
    assert values[:6].tolist() == [0.0, 0.0, scores[3].item(), 2.0, 2.0, math.inf] and values[6].isnan()


def test_it_leaves_what_it_was_given():
    scores = torch.rand(8, 5).t()  # not contiguous
    before = scores.clone()
    values, places = rising(scores)
    assert torch.equal(scores, before) and torch.equal(scores.gather(1, places), values)
