from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models as peer

from prune_core.measuring import macs
from prune_core.models import LeNet5, LeNet300, ModelSource, ResNet20, RowLSTM, SeedNet, SmallCNN


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (nn.Linear(4, 3), (4,), 12),
        (nn.Linear(4, 3), (5, 4), 60),  # five rows
        (nn.Conv2d(2, 6, 3, padding=1), (2, 4, 4), 4 * 4 * 6 * 2 * 9),
        (nn.Conv2d(2, 6, 3, stride=2), (2, 5, 7), 2 * 3 * 6 * 2 * 9),
        (nn.Conv2d(4, 8, 3, groups=4), (4, 5, 5), 3 * 3 * 8 * 1 * 9),  # depthwise: one input channel each
        (nn.Conv2d(1, 1, 3, dilation=2), (1, 7, 7), 3 * 3 * 9),
        (nn.Conv1d(2, 3, 5), (2, 10), 6 * 3 * 2 * 5),
        (nn.Conv3d(1, 2, 2), (1, 3, 3, 3), 8 * 2 * 8),
        (nn.ConvTranspose2d(3, 2, 2, stride=2), (3, 4, 4), 16 * 3 * 2 * 4),  # each input pixel meets each weight
        (nn.LSTM(3, 5, batch_first=True), (7, 3), 7 * 20 * (3 + 5)),
        (nn.LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True), (7, 3), 7 * 2 * 20 * (8 + 15)),
        (nn.GRU(3, 5, batch_first=True), (7, 3), 7 * 15 * 8),
        (nn.RNN(3, 5, batch_first=True), (7, 3), 7 * 5 * 8),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), (3, 4, 4), 0),
    ],
)
def test_worked_by_hand(model, shape, expected):
    count = macs(model, shape)
    assert (count.dense, count.effective) == (expected, expected)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_layers_without_inputs_or_outputs_cost_nothing():
    assert macs(nn.Linear(0, 3), (5, 0)).dense == 0, "nothing goes in, the bias comes out"
    count = macs(nn.Sequential(nn.Linear(4, 0), nn.Linear(0, 3), nn.Linear(3, 2)), (5, 4))
    assert [(layer.layer, layer.dense, layer.effective) for layer in count.layers] == [
        ("0", 0, 0),
        ("1", 0, 0),
        ("2", 30, 30),
    ]
    q = torch.zeros(1, 5, 0)
    assert macs(_Attends(q), (1,)).dense == 0


class _Attends(nn.Module):
    """Attention over ``q`` with itself, whatever comes in."""

    def __init__(self, q: torch.Tensor) -> None:
        super().__init__()
        self.q = q

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(self.q, self.q, self.q)


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x):
        return self.attention(x, x[:, :3], x[:, :3], need_weights=False)[0]


def test_cross_attention_worked_by_hand():
    # 5 queries, 3 keys, width 8: query and output projection 5·64 each, keys and values 3·64 each, scores and sum 5·3·8
    assert macs(Attention(), (5, 8)).dense == 2 * 5 * 64 + 2 * 3 * 64 + 2 * 5 * 3 * 8


def test_masks_of_packed_attention_weights_count():
    model = Attention()
    mask = torch.ones(24, 8, dtype=torch.bool)
    mask[:8] = False  # no query weight is left
    mask[8:, 0] = False  # nor an eighth of the others
    count = macs(model, (5, 8), {"attention.in_proj_weight": mask})
    assert count.dense - count.effective == 5 * 64 + 2 * 3 * 8


def test_self_attention_is_not_lost_in_evaluation_mode():
    encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    n = 9
    assert macs(encoder, (n, 16)).dense == n * 4 * 256 + 2 * n * n * 16 + 2 * n * 16 * 32


@pytest.mark.parametrize(
    ("name", "size", "published"),
    [
        # torchvision's own table ("GFLOPS" there are multiply-accumulates)
        ("resnet18", 224, 1.814),
        ("mobilenet_v3_small", 224, 0.057),
        ("squeezenet1_1", 224, 0.349),
        ("efficientnet_b0", 224, 0.386),
        ("shufflenet_v2_x0_5", 224, 0.04),
        ("swin_t", 224, 4.491),  # calls F.linear on weights of submodules that never run themselves
    ],
)
def test_published_figures(name, size, published):
    assert macs(peer.get_model(name), (3, size, size)).dense / 1e9 == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize("source", [SmallCNN(), SeedNet(), LeNet300(), LeNet5(), ResNet20()])
def test_equals_torchs_counter_on_convolutions_and_linear_layers(source):
    model = source.build((1, 16, 16), 10, seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 1, 16, 16))
    assert 2 * macs(model, (1, 16, 16)).dense == counter.get_total_flops()


def test_layers_worked_by_hand():
    table = macs(LeNet5().build((1, 28, 28), 10, seed=0), (1, 28, 28)).table()
    assert list(table["layer"]) == ["0", "3", "7", "9"]
    assert list(table["dense"]) == [24 * 24 * 20 * 25, 8 * 8 * 50 * 20 * 25, 800 * 500, 500 * 10]


def test_effective_macs_follow_the_zeros_or_the_masks():
    model = LeNet300().build((1, 28, 28), 10, seed=0)
    mask = torch.zeros(300, 784, dtype=torch.bool)
    mask[:, :84] = True
    masked = macs(model, (1, 28, 28), {"1.weight": mask})
    assert (masked.dense, masked.effective) == (266_200, 266_200 - 300 * 700)
    with torch.no_grad():
        model.get_submodule("1").weight[:, 84:] = 0
    assert macs(model, (1, 28, 28)) == masked


def test_recurrent_masks_count_at_every_step():
    model = RowLSTM(hidden=16).build((1, 28, 28), 10, seed=0)
    mask = torch.zeros(64, 16, dtype=torch.bool)
    full, pruned = macs(model, (1, 28, 28)), macs(model, (1, 28, 28), {"lstm.weight_hh_l0": mask})
    assert full.dense == 28 * 64 * (28 + 16) + 160
    assert full.dense == pruned.dense and full.dense - pruned.effective == 28 * 64 * 16


@pytest.mark.parametrize("name", [entry.name for entry in ModelSource.registry])
def test_counting_leaves_the_model_as_it_was(name):
    shape = (3, 32, 32) if name == "torchvision" else (1, 8, 8)
    model = ModelSource.registry[name].cls().build(shape, 10, seed=0).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert macs(model, shape).dense > 0
    assert all(m.training for m in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_hooks_go_away_when_the_pass_fails():
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(RuntimeError):
        macs(model, (5,))
    assert not model._forward_hooks and not model._forward_pre_hooks


def test_products_of_activations_count():
    class Products(nn.Module):
        def forward(self, x):  # (1, 3, 4)
            a = x @ x.transpose(1, 2)  # 3·3·4
            b = torch.einsum("bij,bkj->bik", x, x)  # 3·3·4
            c = torch.bmm(a, b)  # 3·3·3
            return nn.functional.scaled_dot_product_attention(x, x, x) + c.sum()  # 2·3·3·4

    assert macs(Products(), (3, 4)).dense == 36 + 36 + 27 + 72
