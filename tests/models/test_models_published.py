"""Sizes against published numbers, and what each architecture promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prune_core.errors import ConfigError
from prune_core.models import MLP, LeNet5, LeNet300, ResNet20, RowLSTM, SeedNet, SmallCNN, TinyViT, Torchvision

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("source", "shape", "classes", "parameters"),
    [
        (LeNet300(), MNIST, 10, 266_610),  # Han et al. 2015: 267K
        (LeNet5(), MNIST, 10, 431_080),  # Han et al. 2015: 431K
        (ResNet20(), CIFAR, 10, 269_722),  # He et al. 2015: 0.27M
        (Torchvision(architecture="resnet18"), CIFAR, 1000, 11_689_512),  # torchvision's own table
        (Torchvision(architecture="mobilenet_v3_small"), CIFAR, 1000, 2_542_856),
        # 64·9+64, 128·64·9+128, 6272·1024+1024, 1024·10+10
        (SeedNet(), MNIST, 10, 640 + 73_856 + 6_423_552 + 10_250),
        # 784·64+64, 64·64+64, 64·10+10
        (MLP(), MNIST, 10, 50_240 + 4_160 + 650),
        (MLP(depth=0), (2,), 3, 9),
        # 16·9+16, 32·16·9+32, 2·2·32·64+64, 64·10+10
        (SmallCNN(), (1, 8, 8), 10, 160 + 4_640 + 8_256 + 650),
        # four gates of 128: (28 + 128)·512 and two biases of 512; then 128·10+10
        (RowLSTM(), MNIST, 10, 156 * 512 + 1_024 + 1_290),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "kind") else None,
)
def test_parameter_count(source, shape, classes, parameters):
    assert count(source.build(shape, classes, seed=0)) == parameters


def test_tiny_vit_has_torchvisions_parts():
    model = TinyViT(patch=4, dim=32, depth=2, heads=2).build(MNIST, 10, seed=0)
    block = (3 * 32 * 32 + 96) + (32 * 32 + 32) + (32 * 64 + 64) + (64 * 32 + 32) + 4 * 32
    embedding = (16 * 32 + 32) + 32 + 50 * 32  # patches, class token, 49 + 1 positions
    assert count(model) == embedding + 2 * block + 2 * 32 + (32 * 10 + 10)


def test_tiny_vits_classifier_does_not_start_at_zero():
    model = TinyViT().build(CIFAR, 10, seed=0)
    assert model.get_submodule("heads.head").weight.count_nonzero() == 640


@pytest.mark.parametrize(
    ("source", "shape", "message"),
    [
        (TinyViT(patch=5), CIFAR, "patch must divide the image's side of 32 pixels into at least 2 patches, got 5"),
        (TinyViT(patch=8), (1, 8, 8), "into at least 2 patches, got 8"),
        (TinyViT(), (1, 8, 16), "square images, got 8×16"),
        (SmallCNN(), (1, 3, 3), "at least 4×4 pixels, got 3×3"),
        (LeNet300(), (2,), "needs images .* got data of shape .2,.; choose MLP"),
    ],
)
def test_a_misfit_is_named(source, shape, message):
    with pytest.raises(ConfigError, match=message):
        source.check(shape, 10)


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match=r"TinyViT.dim must be a multiple of heads \(4\), got 30"):
        TinyViT(dim=30)


@pytest.mark.parametrize("source", [SmallCNN(), SeedNet(), LeNet5(), ResNet20()])
@pytest.mark.parametrize("side", [4, 5, 15, 16, 17])
def test_convolutional_networks_take_every_size_down_to_4(source, side):
    model = source.build((1, side, side + 1), 3, seed=0).eval()
    assert model(torch.zeros(1, 1, side, side + 1)).shape == (1, 3)


def test_resnets_shortcuts_have_no_parameters():
    model = ResNet20().build(CIFAR, 10, seed=0)
    kernels = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(kernels) == 19 and all(m.kernel_size == (3, 3) for m in kernels)  # and one linear layer: twenty


def test_a_resnet_block_without_its_branch_is_the_shortcut():
    from prune_core.models.resnet import Block

    block = Block(2, 4, stride=2).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 2, 4, 4)
    expected = torch.zeros(1, 4, 2, 2)
    expected[:, 1:3] = x[:, :, ::2, ::2]
    assert torch.equal(block(x), expected)


def first_gradient_norm(gain, rows):
    model = RowLSTM(gain=gain).build((1, rows, 28), 10, seed=0)
    x = torch.randn(32, 1, rows, 28, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(x), torch.arange(32) % 10).backward()
    return torch.stack([p.grad.norm() for p in model.parameters()]).norm().item()


def test_row_lstms_gradient_explodes_with_gain_and_with_rows():
    assert first_gradient_norm(1, 28) < 1
    assert first_gradient_norm(12, 28) > 1e4 * first_gradient_norm(1, 28)
    assert first_gradient_norm(12, 28) > 100 * first_gradient_norm(12, 8)


def test_row_lstm_reads_from_top_to_bottom():
    model = RowLSTM(gain=1).build(MNIST, 10, seed=0)
    x = torch.randn(1, *MNIST)
    states, _ = model.lstm(x[0])  # (1, rows, hidden)
    assert torch.allclose(model(x), model.classifier(states[:, -1]), atol=1e-6)


def test_recurrent_gates_start_orthogonal():
    model = RowLSTM(gain=3, hidden=16).build(MNIST, 10, seed=0)
    for gate in model.lstm.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, 9 * torch.eye(16), atol=1e-4, rtol=0)
