"""The cliff: the derivatives are autograd's, descents do what the strategies of their names do, and it is steep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import prune_core as pc
from prune_core.clipping import cliff


def by_torch(w: float, b: float) -> tuple[float, float, float]:
    """Loss and derivatives of the same network by autograd, in float64."""
    at = torch.tensor([w, b], dtype=torch.float64, requires_grad=True)
    x = torch.zeros((), dtype=torch.float64)
    for _ in range(cliff.LENGTH):
        x = at[0] * torch.sigmoid(x) + at[1]
    loss = (torch.sigmoid(x) - cliff.TARGET) ** 2
    loss.backward()
    return loss.item(), *at.grad.tolist()


@pytest.mark.parametrize("point", [cliff.START, (4.0, -2.0), (5.8, -2.9), (3.3, -1.1), (4.68, -2.2), (100.0, 50.0)])
def test_the_slope_is_autograds(point):
    assert cliff.loss_and_slope(*point) == pytest.approx(by_torch(*point), rel=1e-9, abs=1e-15)
    assert float(cliff.loss(*point)) == pytest.approx(by_torch(*point)[0], rel=1e-9)


def test_there_is_a_wall():
    """At w = 5.2 the loss falls from a third to a thirtieth within 0.002 of b, and the slope there is huge."""
    b = np.linspace(-2.7, -2.5, 40_001)
    loss = cliff.loss(5.2, b)
    jump = int(np.argmax(np.abs(np.diff(loss))))
    assert loss[jump - 200] > 0.33 and loss[jump + 200] < 0.032
    steep = max(abs(cliff.loss_and_slope(5.2, float(v))[2]) for v in b[jump - 5 : jump + 6])
    assert steep > 10_000 * abs(cliff.loss_and_slope(*cliff.START)[2])


@pytest.mark.parametrize("way", cliff.WAYS)
def test_a_descent_is_the_strategys(way):
    """Step by step what SGD does with torch's gradient and our own strategy."""
    strategy = {"none": None, "norm": pc.NormClip(max_norm=0.1), "value": pc.ValueClip(threshold=0.1)}[way]
    path = cliff.descend(way, 0.5, 0.1, updates=12)
    at = nn.Parameter(torch.tensor(cliff.START, dtype=torch.float64))
    for k in range(12):
        loss, *slope = by_torch(*at.detach().tolist())
        assert path.losses[k] == pytest.approx(loss, rel=1e-6)
        at.grad = torch.tensor(slope, dtype=torch.float64)
        if strategy is not None:
            strategy.clip_(at)
        with torch.no_grad():
            at -= 0.5 * at.grad
        assert path.points[k + 1] == pytest.approx(at.tolist(), rel=1e-5)


def test_clipping_saves_what_the_wall_throws_away():
    """What the page shows first."""
    plain, norm, value = (cliff.descend(way, 1.0, 0.25) for way in cliff.WAYS)
    assert plain.points[-1][1] > cliff.B[1] and plain.losses[-1] == pytest.approx(0.09, abs=1e-3)
    assert norm.losses[-1] < 0.01 and value.losses[-1] < 0.05
    longest = np.linalg.norm(np.diff(norm.points, axis=0), axis=1).max()
    assert longest <= 0.25 * 1.0 * (1 + 1e-9), "no step is longer than learning rate times threshold"


def test_a_path_that_leaves_for_good_ends():
    path = cliff.descend("none", 1e30, 1.0)
    assert len(path.norms) < cliff.UPDATES and len(path.points) == len(path.losses) == len(path.norms) + 1
    assert np.isfinite(path.losses).all()


def test_the_surface_is_the_loss():
    w, b, loss = cliff.surface(21)
    assert loss.shape == (21, 21)
    assert loss[3, 17] == pytest.approx(cliff.loss_and_slope(float(w[17]), float(b[3]))[0])
