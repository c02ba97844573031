from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from prune_core.data import Blobs, Circles, Moons, Spirals
from prune_core.models import MLP

TOYS = [Moons, Circles, Blobs, Spirals]


def trained(data, model, steps=400):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rng = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x, y = data.train_batch(torch.randint(0, data.info.train, (64,), generator=rng))
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def accuracy(data, model):
    x, y = next(data.test_batches(data.info.test))
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


@pytest.mark.parametrize("cls", TOYS)
def test_a_small_network_learns_it_and_needs_its_weights(cls):
    data = cls().load()
    model = trained(data, MLP(width=32, depth=2).build(data.info.shape, data.info.classes, 0))
    dense = accuracy(data, model)
    curve = []
    for sparsity in (0.5, 0.8, 0.95):
        with torch.no_grad():
            weights = [p for p in model.parameters() if p.dim() > 1]
            size = torch.cat([w.abs().flatten() for w in weights])
            threshold = size.kthvalue(round(sparsity * len(size))).values
            for w in weights:
                w.mul_(w.abs() > threshold)
        curve.append(accuracy(data, model))
    assert dense > 0.95
    assert dense - curve[-1] > 0.1  # the curve bends
    straight = accuracy(data, trained(data, MLP(depth=0).build(data.info.shape, data.info.classes, 0)))
    assert dense - straight > 0.05  # no straight line does it


@pytest.mark.parametrize("cls", TOYS)
def test_classes_are_as_equal_as_can_be(cls):
    counts = cls(samples=100).load().train_y.bincount()
    assert counts.max() - counts.min() <= 1


def test_noise_is_the_distance_from_the_shape():
    for noise in (0.0, 0.1):
        x = Circles(noise=noise, samples=5000).load().train_x
        radius = x.norm(dim=1)
        off = (radius - radius.round().clamp(1, 3)).std()
        assert off.item() == pytest.approx(noise, abs=0.01)


def test_moons_are_half_circles():
    data = Moons(noise=0).load()
    upper, lower = data.train_x[data.train_y == 0], data.train_x[data.train_y == 1]
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(len(upper)))
    torch.testing.assert_close((lower - torch.tensor([1.0, 0.5])).norm(dim=1), torch.ones(len(lower)))
    assert (upper[:, 1] >= 0).all() and (lower[:, 1] <= 0.5).all()


def test_no_blob_lies_beside_one_of_its_class():
    data = Blobs(noise=0).load()
    cells = {tuple(map(int, x)): int(y) for x, y in zip(data.train_x.tolist(), data.train_y, strict=True)}
    assert len(cells) == 16
    for (a, b), c in cells.items():
        assert all(cells.get(n) != c for n in ((a + 1, b), (a, b + 1), (a + 1, b + 1), (a + 1, b - 1)))


def test_a_spiral_winds_as_often_as_asked():
    data = Spirals(noise=0, turns=2).load()
    arm = data.train_x[data.train_y == 0]
    radius = arm.norm(dim=1)
    angle = 2 * torch.pi * 2 * radius
    torch.testing.assert_close(arm, torch.stack([radius * angle.cos(), radius * angle.sin()], 1), atol=1e-5, rtol=0)
