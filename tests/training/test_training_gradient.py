"""The gradient at a moment of training: autograd's own, of the run's own weights, and nothing moves by looking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import prune_core as pc
from prune_core.errors import ConfigError
from prune_core.seeding import generator
from prune_core.training import gradient
from prune_core.training.gradient import Moments, gradient_of, load_gradients, save_gradients

EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=200), model=pc.MLP(width=8), train=pc.Training(steps=12, batch_size=16, seed=3)
)


def reached(step: int, experiment: pc.Experiment = EXPERIMENT) -> Moments:
    found = Moments(experiment)
    while found.step < step and not found.ended:
        found.go_on()
    return found


def test_it_is_autograds_at_the_runs_own_weights():
    result = pc.run(EXPERIMENT.with_(**{"train.steps": 7}))
    found = reached(7).gradient(examples=32, seed=5)
    data = EXPERIMENT.data.load(seed=3)
    x, y = next(iter(data.drawn(32, generator(5, "batches", 1))))
    loss = F.cross_entropy(result.model(x), y)
    loss.backward()
    named = dict(result.model.named_parameters())
    assert found.names == tuple(named) and found.shapes == tuple(tuple(p.shape) for p in named.values())
    assert torch.equal(torch.from_numpy(found.weights), torch.cat([p.detach().reshape(-1) for p in named.values()]))
    assert found.values == pytest.approx(torch.cat([p.grad.reshape(-1) for p in named.values()]).numpy(), abs=1e-7)
    assert found.loss == pytest.approx(float(loss.detach())) and found.examples == 32 and found.step == 7
    assert found.norms == pytest.approx(result.history["grad_norm_before"].to_numpy(), rel=1e-6)


def test_looking_changes_nothing():
    model = pc.ResNet20()  # with running statistics
    experiment = pc.Experiment(data=pc.Digits(train_size=64), model=model, train=pc.Training(steps=2, batch_size=8))
    looked, left = reached(1, experiment), reached(1, experiment)
    before = {k: v.clone() for k, v in looked._state.model.state_dict().items()}
    looked.gradient(8, 0)
    assert all(torch.equal(v, before[k]) for k, v in looked._state.model.state_dict().items())
    for moments in (looked, left):
        while not moments.ended:
            moments.go_on()
    assert torch.equal(looked._state.flat.weights, left._state.flat.weights), "training goes on as if nobody had looked"


def test_twice_and_after_beginning_anew_it_is_the_same():
    moments = reached(9)
    first = moments.gradient(16, 0)
    moments.begin_anew()
    assert moments.step == 0 and moments.gradient(16, 0).step == 0
    while moments.step < 9:
        moments.go_on()
    again = moments.gradient(16, 0)
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, moments.gradient(16, 1).values), "other examples, another gradient"


def test_removed_weights_have_no_gradient():
    pruned = EXPERIMENT.replace(prune=pc.Pruning(schedule=pc.OneShot(final=0.75, at=2)))
    moments = reached(5, pruned)
    found = moments.gradient(16, 0)
    masks = moments._state.masks.masks
    sizes = np.cumsum([0, *found.sizes])
    for i, name in enumerate(found.names):
        part = found.values[sizes[i] : sizes[i + 1]]
        if name in masks:
            assert (part[~masks[name].reshape(-1).numpy()] == 0).all()
    assert (found.values == 0).mean() > 0.5


def test_flat_is_what_clipping_takes():
    found = reached(3).gradient(16, 0)
    flat = found.flat()
    assert flat.names == found.names and [tuple(p.shape) for p in flat.parameters] == list(found.shapes)
    flat.values.zero_()
    assert found.values.any(), "values of its own"


def test_through_a_file(tmp_path):
    found = {"3": reached(3).gradient(16, 0), "start": reached(0).gradient(16, 0)}
    save_gradients(tmp_path / "g.npz", found)
    back = load_gradients(tmp_path / "g.npz")
    assert list(back) == ["3", "start"]
    for key, one in found.items():
        assert np.array_equal(back[key].values, one.values) and np.array_equal(back[key].weights, one.weights)
        assert (back[key].names, back[key].shapes, back[key].step) == (one.names, one.shapes, one.step)
        assert np.array_equal(back[key].norms, one.norms) and back[key].loss == one.loss
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="holds no gradients"):
        load_gradients(tmp_path / "bad.npz")


def test_a_gradient_too_large_to_send_is_refused(monkeypatch):
    monkeypatch.setattr(gradient, "LARGEST", 5)
    data = EXPERIMENT.data.load(seed=0)
    with pytest.raises(ConfigError, match="at most 5 are shown"):
        gradient_of(nn.Linear(2, 2), data, examples=4, seed=0)
