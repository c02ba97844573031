"""Clipping each example's gradient: equal to a loop over the examples, and refused where there is no such gradient."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import prune_core as pc
from prune_core.clipping import FlatGradients, per_sample
from prune_core.training.state import RunState


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))


def batch(n: int = 7, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, 6, 6, generator=g), torch.randint(0, 4, (n,), generator=g)


def by_a_loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor, limit: float, keep: torch.Tensor | float = 1.0):
    """The mean of the clipped gradients (n,), one backward pass an example, in float64."""
    twin = copy.deepcopy(model).double()
    total = 0.0
    for a, b in zip(x.double(), y, strict=True):
        loss = F.cross_entropy(twin(a[None]), b[None])
        g = torch.cat([p.reshape(-1) for p in torch.autograd.grad(loss, list(twin.parameters()))]) * keep
        total = total + g / max(1.0, float(g.norm()) / limit)
    return total / len(x)


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()])


@settings(max_examples=30)
@given(st.integers(0, 4), st.floats(1e-3, 1e2))
def test_it_equals_a_loop_over_the_examples(seed, limit):
    model, (x, y) = network(seed), batch()
    expected = by_a_loop(model, x, y, limit)
    report = pc.PerSampleClip(max_norm=limit).clip_model_(model, x, y)
    torch.testing.assert_close(gradients(model).double(), expected, rtol=1e-4, atol=1e-7 * limit)
    assert float(report.norm_after) == pytest.approx(float(expected.norm()), rel=1e-5)
    assert float(report.norm_after) <= limit * (1 + 1e-6)
    assert float(report.norm_before) == pytest.approx(float(by_a_loop(model, x, y, 1e9).norm()), rel=1e-5)


def test_worked_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    x, y = torch.tensor([[3.0], [1.0], [-1.0]]), torch.tensor([[1.0], [1.0], [2.0]])
    report = pc.PerSampleClip(max_norm=2).clip_model_(model, x, y, loss=lambda o, t: ((o - t) ** 2 / 2).sum())
    # at w = 0 the gradient of (w·x − y)²/2 is −x·y: −3, −1, 2; clipped to 2: −2, −1, 2; means −2/3 and −1/3
    assert model.weight.grad.item() == pytest.approx(-1 / 3)
    assert report.overall.tolist() == pytest.approx([2 / 3, 1 / 3, 1, 1])


def test_a_limit_that_nothing_reaches_leaves_the_plain_gradient():
    model, (x, y) = network(), batch()
    report = pc.PerSampleClip(max_norm=1e6).clip_model_(model, x, y)
    ours = gradients(model)
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    torch.testing.assert_close(ours, gradients(model))
    assert float(report.changed) == 0 and float(report.cosine) == 1


def test_a_mean_of_clipped_gradients_can_be_longer_than_the_plain_one():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    x, y = torch.tensor([[10.0], [-5.0], [-5.0]]), torch.ones(3, 1)
    report = pc.PerSampleClip(max_norm=1).clip_model_(model, x, y, loss=lambda o, t: -(o * t).sum())
    assert report.overall[:2].tolist() == pytest.approx([0, 1 / 3])  # −10 + 5 + 5 = 0; −1 + 1 + 1 = 1


def test_chunks_change_nothing(monkeypatch):
    whole, parts, (x, y) = network(), network(), batch(16)
    pc.PerSampleClip(max_norm=0.5).clip_model_(whole, x, y)
    entries = sum(p.numel() for p in whole.parameters())
    sizes = []
    by_example = per_sample._by_example
    monkeypatch.setattr(per_sample, "ENTRIES", 5 * entries)
    monkeypatch.setattr(per_sample, "_by_example", lambda *a: sizes.append(len(a[2])) or by_example(*a))
    pc.PerSampleClip(max_norm=0.5).clip_model_(parts, x, y)
    assert sizes == [2, 5, 5, 5, 1]  # the first is the trial
    torch.testing.assert_close(gradients(parts), gradients(whole))


def test_removed_weights_count_in_no_examples_norm():
    model, (x, y) = network(), batch()
    masks = {"0.weight": torch.rand(3, 1, 3, 3) > 0.5, "4.weight": torch.rand(4, 48) > 0.9}
    keep = torch.cat(
        [(masks[n] if n in masks else torch.ones_like(p)).reshape(-1) for n, p in model.named_parameters()]
    )
    expected = by_a_loop(model, x, y, 0.3, keep.double())
    assert not torch.allclose(expected, by_a_loop(model, x, y, 0.3) * keep, rtol=0.01)  # masked after: another result
    report = pc.PerSampleClip(max_norm=0.3, noise_multiplier=1e-9).clip_model_(
        model, x, y, masks=masks, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(gradients(model).double(), expected, rtol=1e-4, atol=1e-7)
    assert not gradients(model)[keep == 0].any(), "no noise on removed weights"
    plain = by_a_loop(model, x, y, 1e9, keep.double())
    assert float(report.norm_before) == pytest.approx(float(plain.norm()), rel=1e-5)


def test_in_a_run_the_gradient_of_removed_weights_changes_nothing(monkeypatch):
    exp = pc.Experiment(
        data=pc.Moons(samples=400), model=pc.MLP(), clip=pc.PerSampleClip(max_norm=0.1),
        prune=pc.Pruning(schedule=pc.OneShot(final=0.5, at=0)), train=pc.Training(steps=9, batch_size=32, seed=3),
    )  # fmt: skip
    by_example, rows, found = per_sample._by_example, [], []
    for poison in (0.0, 1e4):
        state = RunState(exp)
        state.follow_schedule()

        def poisoned(*args, state=state, poison=poison):
            g, losses = by_example(*args)
            return {
                n: v + poison * ~state.masks.masks[n] if n in state.masks.masks else v for n, v in g.items()
            }, losses

        monkeypatch.setattr(per_sample, "_by_example", poisoned)
        rows.append(state.gradient(1, look=True).clone())
        found.append(state.flat.gradients.values.clone())
        assert not found[-1][state.masks.keep == 0].any()
    assert torch.equal(*rows) and torch.equal(*found)


def test_noise_is_what_the_generator_draws_and_added_once_to_the_mean():
    quiet, noisy, again, (x, y) = network(), network(), network(), batch(8)
    pc.PerSampleClip(max_norm=0.5).clip_model_(quiet, x, y)
    clip = pc.PerSampleClip(max_norm=0.5, noise_multiplier=3)
    for model in (noisy, again):
        clip.clip_model_(model, x, y, generator=torch.Generator().manual_seed(4))
    drawn = torch.randn(gradients(quiet).shape, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(gradients(noisy) - gradients(quiet), drawn * 3 * 0.5 / 8, rtol=1e-4, atol=1e-6)
    assert torch.equal(gradients(noisy), gradients(again))
    with pytest.raises(pc.ConfigError, match="noise_multiplier 3 needs a generator"):
        clip.clip_model_(network(), x, y)


def test_noise_differs_from_step_to_step_and_not_from_run_to_run():
    exp = pc.Experiment(
        data=pc.Moons(samples=400),
        model=pc.MLP(),
        clip=pc.PerSampleClip(noise_multiplier=2),
        train=pc.Training(steps=20),
    )
    first, second = pc.run(exp, progress=False), pc.run(exp, progress=False)
    assert first.history.equals(second.history) and first.history.grad_norm_after.nunique() == 20
    assert not first.history.equals(pc.run(exp.with_(**{"train.seed": 1}), progress=False).history)


# --- in runs ----------------------------------------------------------------------------------------------------------
def test_a_run_reports_the_same_loss_and_norm_as_one_that_does_not_clip():
    plain = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), train=pc.Training(steps=5, batch_size=32))
    a = pc.run(plain, progress=False).history
    b = pc.run(plain.with_(clip=pc.PerSampleClip(max_norm=1e6)), progress=False).history
    for column in ("loss", "grad_norm_before", "grad_norm_after"):
        assert b[column].tolist() == pytest.approx(a[column].tolist(), rel=1e-4)
    assert (b.clipped == 0).all() and (b.cosine == 1).all()


@pytest.mark.parametrize("model", [pc.TinyViT(dim=16, depth=1, heads=2, dropout=0.3), pc.RowLSTM(hidden=8)])
def test_dropout_and_recurrence_work_and_before_and_after_saw_the_same(model):
    exp = pc.Experiment(
        data=pc.Digits(),
        model=model,
        clip=pc.PerSampleClip(max_norm=1e6),
        train=pc.Training(steps=4, batch_size=16, lr=0.01),
    )
    first, second = pc.run(exp, progress=False), pc.run(exp, progress=False)
    assert first.history.equals(second.history) and (first.history.clipped == 0).all()


# --- what is refused --------------------------------------------------------------------------------------------------
def test_parameters_alone_are_not_enough():
    model, (x, y) = network(), batch()
    F.cross_entropy(model(x), y).backward()
    with pytest.raises(pc.ConfigError, match=r"call clip_model_\(model, inputs, targets\) instead"):
        pc.PerSampleClip().clip_(model.parameters())
    with pytest.raises(pc.ConfigError, match="clip_model_"):
        pc.PerSampleClip().clip_flat_(FlatGradients.gather(model.parameters()), {})


def test_batch_normalisation_is_refused_when_the_run_starts():
    exp = pc.Experiment(data=pc.Digits(), model=pc.ResNet20(), clip=pc.PerSampleClip(), train=pc.Training(steps=5))
    with pytest.raises(pc.ConfigError, match=r"1 \(BatchNorm2d\) mixes the examples of a batch"):
        pc.stream(exp)
    frozen = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 4)).eval()
    assert float(pc.PerSampleClip().clip_model_(frozen, *batch()).norm_after) > 0


def test_a_model_that_torch_cannot_take_apart_is_refused_in_a_sentence():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(36, 4)

        def forward(self, x):
            y = self.layer(x.flatten(1))
            return y if y.sum() > 0 else -y  # a number of one example decides the way

    with pytest.raises(pc.ConfigError, match=r"cannot take its gradient example by example .*Clip by norm instead\."):
        pc.PerSampleClip().clip_model_(Branching(), *batch())


def test_a_chain_of_it_is_refused():
    for place in ("first", "second"):
        with pytest.raises(pc.ConfigError, match=rf"Chain\.{place} must clip the gradient of the whole batch"):
            pc.Chain(**{place: pc.PerSampleClip()})
