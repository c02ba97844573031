"""Any module: which parameters are weights, which stay dense, and that training goes on as before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from prune_core.errors import ConfigError
from prune_core.pruning import Criterion, Cubic, Magnitude, OneShot, Pruning, Random, apply_masks_, prunable, prune_


class Everything(nn.Module):
    """One of each kind of layer, a shared weight and a free parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 8)
        self.conv = nn.ConvTranspose1d(2, 3, 3)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, kdim=4, vdim=6)
        self.rnn = nn.LSTM(8, 4, num_layers=2, proj_size=2)
        self.head = nn.Linear(8, 8)
        self.twin = self.head
        self.tied = nn.Linear(8, 5, bias=False)
        self.tied.weight = self.embed.weight
        self.token = nn.Parameter(torch.zeros(8))


def test_weights_are_prunable_and_nothing_else():
    assert list(prunable(Everything())) == [
        "conv.weight",
        "attention.q_proj_weight",
        "attention.k_proj_weight",
        "attention.v_proj_weight",
        "attention.out_proj.weight",
        *(f"rnn.weight_{kind}_l{i}" for i in range(2) for kind in ("ih", "hh", "hr")),
        "head.weight",
    ]


def test_prunable_are_the_parameters_themselves():
    model = nn.Sequential(nn.Linear(3, 2))
    assert prunable(model)["0.weight"] is model[0].weight
    assert list(prunable(model[0])) == ["weight"]


def test_a_model_without_weights_is_said():
    with pytest.raises(ConfigError, match="LayerNorm has no prunable weights"):
        prune_(nn.LayerNorm(3), 0.5)


def test_it_can_be_copied_saved_and_trained(tmp_path):
    model = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 2))
    masks = prune_(model, 0.9)
    assert copy.deepcopy(model).state_dict().keys() == model.state_dict().keys()
    torch.save({"model": model.state_dict(), "masks": masks}, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(loaded["masks"][n], m) for n, m in masks.items())
    fresh = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 2))
    fresh.load_state_dict(loaded["model"])
    optimizer = torch.optim.AdamW(fresh.parameters(), lr=0.1)
    for _ in range(5):
        fresh(torch.randn(8, 20)).square().sum().backward()
        optimizer.step()
        apply_masks_(dict(fresh.named_parameters()), masks)
    assert all(not fresh.get_parameter(n)[~m].any() for n, m in masks.items())
    assert (fresh[0].weight[masks["0.weight"]] != model[0].weight[masks["0.weight"]]).any()


def test_gradients_are_given_to_a_criterion_that_asks():
    class Seen(Criterion):
        needs = frozenset({"model", "data"})

        def score(self, at):
            grads = at.gradients(100)
            for name in at.weights:
                torch.testing.assert_close(grads[name], want[name])
            return {n: (w * grads[n]).abs() for n, w in at.weights.items()}

    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    x, y = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    nn.functional.cross_entropy(model(x), y).backward()
    want = {n: w.grad.clone() for n, w in prunable(model).items()}
    model.zero_grad(set_to_none=True)
    prune_(model, 0.5, Seen(), batch=(x, y))
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ConfigError, match=r"looks at data: give batch"):
        prune_(model, 0.5, Seen())


# --- the settings of a run -------------------------------------------------------------------------------------------
def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 2))


def test_layers_stay_dense_by_place_and_by_name():
    def names(**settings) -> list[str]:
        return list(Pruning(**settings).select(net()))

    assert names() == ["0.weight", "1.0.weight", "1.1.weight", "2.weight"]
    assert names(keep_first=True, keep_last=True) == ["1.0.weight", "1.1.weight"]
    assert names(keep_dense=("1.*",)) == ["0.weight", "2.weight"]
    assert names(keep_dense=("1.0", "2.weight")) == ["0.weight", "1.1.weight"]


def test_a_name_that_fits_nothing_is_said():
    with pytest.raises(
        ConfigError, match=r"keep_dense names 'fc', but no prunable weight is called so; there are: 0\.w"
    ):
        Pruning(keep_dense=("fc",)).select(net())
    with pytest.raises(ConfigError, match="of 4 prunable weights 4 are kept dense"):
        Pruning(keep_dense=("*",)).select(net())
    with pytest.raises(ConfigError, match="of 0 prunable weights"):
        Pruning().select(nn.LayerNorm(2))


def test_settings_go_through_json():
    for pruning in (
        Pruning(),
        Pruning(criterion=Random(), scope="layer", schedule=OneShot(final=0.5), keep_dense=("a",)),
    ):
        assert Pruning.model_validate_json(pruning.model_dump_json()) == pruning
    assert Pruning().criterion == Magnitude() and isinstance(Pruning().schedule, Cubic)


def test_a_wrong_scope_names_the_choices():
    with pytest.raises(
        ConfigError, match=r"Pruning\.scope must be one of 'global', 'layer', 'erk', 'sensitivity', got 'row'"
    ):
        Pruning(scope="row")
