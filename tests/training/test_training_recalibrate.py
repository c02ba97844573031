"""Normalisation measured anew: what it becomes, what it leaves alone, and when a run does it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import prune_core as pc
from prune_core.training.recalibrate import recalibrate_

DATA = pc.Digits()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 10)
    )


def test_it_is_the_mean_and_variance_of_what_comes_in():
    data, model = DATA.load(seed=0), network().eval()
    n = recalibrate_(model, data, examples=512)
    assert n == 512
    # the same examples by another way: the layer's input in float64, each batch's unbiased variance, and their mean
    seen: list[torch.Tensor] = []
    hook = model[1].register_forward_pre_hook(lambda _, x: seen.append(x[0].double()))
    recalibrate_(model, data, examples=512)
    hook.remove()
    mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    variance = torch.stack([x.var((0, 2, 3), correction=1) for x in seen]).mean(0)
    assert len(seen) == 2
    torch.testing.assert_close(model[1].running_mean.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model[1].running_var.double(), variance, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_nothing_else_changes(training):
    model = network().train(training)
    before, chance = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    recalibrate_(model, DATA.load(seed=0))
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert all(m.training == training for m in model.modules())
    assert model[1].momentum == 0.1
    assert torch.equal(torch.get_rng_state(), chance)


def test_twice_is_the_same_and_a_model_without_it_is_left_alone():
    one, two = network(), network()
    data = DATA.load(seed=0)
    recalibrate_(one, data, seed=3)
    recalibrate_(two, data, seed=3)
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())
    assert recalibrate_(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), data) == 0


def experiment(at: int, **prune: object) -> pc.Experiment:
    return pc.Experiment(
        data=DATA, model=pc.ResNet20(), prune=pc.Pruning(schedule=pc.OneShot(final=0.7, at=at), **prune),
        train=pc.Training(steps=12, batch_size=32, lr=0.05, eval_every=1000),
    )  # fmt: skip


def warnings(exp: pc.Experiment) -> list[str]:
    return [e.message for e in pc.stream(exp) if isinstance(e, pc.events.WarningEvent)]


def test_a_run_does_it_where_nothing_is_trained_after_the_last_removal_and_says_so():
    assert ["measured anew on" in w for w in warnings(experiment(12))] == [True]
    assert warnings(experiment(11)) == []
    assert warnings(experiment(12, recalibrate=False)) == []
    assert warnings(experiment(12).with_(model=pc.SmallCNN())) == []  # no batch normalisation


def test_it_gives_back_accuracy_that_was_never_lost():
    with_it, without = pc.run(experiment(12)), pc.run(experiment(12, recalibrate=False))
    assert all(torch.equal(m, without.masks[n]) for n, m in with_it.masks.items())
    weights = dict(without.model.named_parameters())
    assert all(torch.equal(p, weights[n]) for n, p in with_it.model.named_parameters())
    assert with_it.accuracy > without.accuracy


def test_a_run_that_is_stopped_there_goes_on_as_if_it_had_not_been(tmp_path):
    exp = experiment(4)
    whole = pc.run(exp)
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 4:
            control.stop()
    rest = [e for e in pc.stream(exp, checkpoint=tmp_path / "run.pt") if isinstance(e, pc.StepEvent)]
    assert [e.loss for e in rest] == whole.history["loss"].tolist()[4:]
