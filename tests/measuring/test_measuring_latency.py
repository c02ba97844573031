from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from prune_core.measuring import latency, median_interval
from prune_core.models import SmallCNN


def test_interval_holds_its_median_and_says_what_it_measured():
    model = SmallCNN().build((1, 8, 8), 10, seed=0).train()
    found = latency(model, (1, 8, 8), batch=2, repeats=20)
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms
    assert (found.n, found.batch, found.threads, found.device) == (20, 2, 1, "cpu")
    assert found.denormal == 0
    assert model.training and not any(m._forward_hooks for m in model.modules())


def test_threads_are_set_while_measuring_and_restored():
    before = torch.get_num_threads()
    seen = []

    class Look(nn.Module):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return x

    latency(Look(), (1,), threads=2, repeats=6)
    assert set(seen) == {2} and torch.get_num_threads() == before


def test_a_budget_ends_it_but_not_before_an_interval_exists():
    assert latency(nn.Linear(4, 4), (4,), repeats=1000, budget_s=0).n == 6


def test_batch_norm_statistics_do_not_move():
    model = nn.Sequential(nn.BatchNorm1d(4)).train()
    latency(model, (4,), batch=8, repeats=6)
    assert torch.equal(model[0].running_mean, torch.zeros(4)) and model[0].num_batches_tracked == 0


def test_denormal_activations_are_noticed():
    model = nn.Linear(4, 4, bias=False)
    nn.init.constant_(model.weight, 1e-39)
    assert latency(model, (4,), repeats=6).denormal == 1


@pytest.mark.parametrize(
    ("n", "k"),
    [(6, 1), (10, 2), (20, 6), (25, 8), (50, 18), (100, 40)],  # tables of the sign test at 95 %
)
def test_ranks_of_the_interval(n, k):
    values = [float(i) for i in range(1, n + 1)]
    assert median_interval(values[::-1]) == (k, n + 1 - k)
    outside = 2 * sum(math.comb(n, i) for i in range(k)) / 2**n
    assert outside <= 0.05


def test_few_values_give_their_whole_range():
    assert median_interval([3.0]) == (3, 3)
    assert median_interval([3.0, 1.0, 2.0]) == (1, 3)
