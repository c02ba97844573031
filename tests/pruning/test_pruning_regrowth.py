"""Dynamic sparsity: what goes and comes back is what the papers say, and a run keeps its density."""

from __future__ import annotations

import math

import pytest
import torch

import prune_core as pc
from prune_core.pruning import Regrowth
from prune_core.pruning.regrowth import Exchange, exchange
from prune_core.seeding import generator

ENTRIES = list(Regrowth.registry)


@pytest.fixture(params=[e for e in ENTRIES if issubclass(e.cls, Exchange)], ids=lambda entry: entry.name)
def regrowth(request) -> Exchange:
    return request.param.cls(every=5, share=0.3, until=0.75)


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def any_regrowth(request) -> Regrowth:
    return request.param.cls(every=5)


def experiment(regrow: Regrowth | None, **more: object) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(), clip=pc.NormClip(max_norm=1.0),
        prune=pc.Pruning(criterion=pc.Random(), scope="layer", schedule=pc.OneShot(final=0.8, at=0), regrow=regrow),
        train=pc.Training(steps=40, batch_size=32, **more),
    )  # fmt: skip


def test_the_exchange_by_hand():
    # kept 0.1, 0.5, 0.9, 0.2 at places 0 to 3: half of them go, the smallest, 0 and 3; of what is not there then (0, 3,
    # 4, 5) the two with the largest gradients grow: 5 and the one just dropped at 3
    weights = {"w": torch.tensor([0.1, -0.5, 0.9, 0.2, 0.0, 0.0])}
    masks = {"w": torch.tensor([True, True, True, True, False, False])}
    gradient = torch.tensor([1.0, 9.0, 9.0, -3.0, 2.0, 4.0])
    grow = pc.RigL().grow(weights["w"], gradient, generator(0, "masks"))
    found = exchange(weights, masks, 0.5, lambda name: grow)
    assert found["w"].tolist() == [False, True, True, True, False, True]
    assert masks["w"].tolist() == [True] * 4 + [False] * 2


def test_ties_are_taken_in_their_order():
    weights, masks = {"w": torch.ones(6)}, {"w": torch.tensor([True] * 4 + [False] * 2)}
    found = exchange(weights, masks, 0.5, lambda name: torch.zeros(6))
    assert found["w"].tolist() == [True] * 4 + [False] * 2  # 0 and 1 go, and are the first to come back


def test_no_more_is_exchanged_than_is_missing():
    weights, masks = {"w": torch.arange(6.0)}, {"w": torch.tensor([True] * 5 + [False])}
    found = exchange(weights, masks, 0.9, lambda name: torch.arange(6.0))
    assert int(found["w"].sum()) == 5


def test_the_share_falls_along_half_a_cosine(regrowth):
    # 100 steps, until 75: after 50 of 75 steps (1 + cos(2/3 pi)) / 2 = 1/4 of the share is left
    assert [regrowth.share_at(t, 100) for t in (0, 1, 4, 75, 80, 100)] == [0] * 6
    assert regrowth.share_at(50, 100) == pytest.approx(0.3 / 4)
    assert regrowth.share_at(5, 100) == pytest.approx(0.15 * (1 + math.cos(math.pi * 5 / 75)))
    found = [regrowth.share_at(t, 100) for t in range(5, 75, 5)]
    assert found == sorted(found, reverse=True) and min(found) > 0


def test_a_run_keeps_every_layers_density_and_changes_its_masks(regrowth):
    exp = experiment(regrowth)
    events = list(pc.stream(exp))
    changes = [e for e in events if isinstance(e, pc.MaskEvent)]
    assert [e.step for e in changes] == [0, 5, 10, 15, 20, 25]  # until 75 % of 40 steps
    assert len({tuple(e.kept.items()) for e in changes}) == 1
    first, last = (pc.run(exp.with_(**{"train.steps": n})) for n in (1, 40))
    assert all(e.returned > 0 for e in changes[1:]) and changes[0].returned == 0
    assert all(int(first.masks[n].sum()) == int(last.masks[n].sum()) for n in first.masks)
    assert any(not torch.equal(first.masks[n], last.masks[n]) for n in first.masks)
    weights = dict(last.model.named_parameters())
    assert all(not weights[n][~m].any() for n, m in last.masks.items())
    assert any(weights[n][m & ~first.masks[n]].any() for n, m in last.masks.items())  # what grew learns
    # what the histograms call removed is what is removed, also after some came back
    shots = [e for e in events if isinstance(e, pc.SnapshotEvent)]
    for layer in shots[-1].layers:
        assert int(layer.removed.sum()) == layer.numel - layer.kept
        assert int(layer.weights.sum()) == layer.kept and (layer.removed >= 0).all()


def test_what_grows_starts_without_momentum(regrowth):
    """With a learning rate of 0 nothing learns: whatever grew is still exactly 0, whatever its momentum was."""
    last = pc.run(experiment(regrowth, lr=1e-30, optimizer="adam"))
    first = pc.run(experiment(regrowth, lr=1e-30, optimizer="adam").with_(**{"train.steps": 1}))
    weights = dict(last.model.named_parameters())
    grown = torch.cat([weights[n][m & ~first.masks[n]].reshape(-1) for n, m in last.masks.items()])
    assert len(grown) and float(grown.detach().abs().max()) < 1e-28


def test_rigl_grows_where_the_gradient_of_all_weights_is_largest():
    exp = experiment(pc.RigL(every=3, share=0.3, until=1.0), momentum=0.0).with_(**{"train.steps": 4, "clip": None})
    before = pc.run(exp.with_(**{"train.steps": 2}))  # where step 3 starts from
    after = pc.run(exp)
    state = pc.training.state.RunState(exp)  # for the batch of step 3 alone
    for _ in range(3):
        x, y = state.data.train_batch(state.batches.next())
    model = before.model.train()
    model.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    for name, mask in before.masks.items():
        gradient = model.get_parameter(name).grad.abs()
        grown = after.masks[name] & ~mask
        if grown.any():
            # every one that grew has a larger gradient than every one that was absent and stayed so
            stayed = ~after.masks[name] & ~mask
            assert float(gradient[grown].min()) >= float(gradient[stayed].max()) * (1 - 1e-5)


def test_it_resumes_bitwise(any_regrowth, tmp_path):
    exp = experiment(any_regrowth)
    whole = pc.run(exp)
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 17:
            control.stop()
    rest = list(pc.stream(exp, checkpoint=tmp_path / "run.pt"))
    assert [e.loss for e in rest if isinstance(e, pc.StepEvent)] == whole.history["loss"].tolist()[17:]
    last = next(e for e in reversed(rest) if isinstance(e, pc.SnapshotEvent))
    assert all(int(layer.removed.sum()) == layer.numel - layer.kept for layer in last.layers)


def test_the_gradient_of_what_is_gone_counts_in_no_norm(regrowth):
    """The rows of a run that only looks at dense gradients are those of one that does not, until masks differ."""
    plain, dynamic = pc.run(experiment(None)), pc.run(experiment(regrowth))
    assert dynamic.history[:5].equals(plain.history[:5])
    assert not dynamic.history["loss"].equals(plain.history["loss"])


def test_it_can_be_written_down_and_read_back(any_regrowth):
    exp = experiment(any_regrowth)
    assert pc.Experiment.from_yaml(exp.to_yaml()) == exp
    entry = Regrowth.registry[any_regrowth.kind]
    assert entry.label and entry.formula and entry.reference and entry.summary.endswith(".")


@pytest.mark.parametrize(("field", "value"), [("every", 0), ("share", 1.0), ("share", 0), ("until", 1.5)])
def test_settings_out_of_bounds_are_refused(field, value):
    with pytest.raises(pc.ConfigError, match=field):
        pc.SET(**{field: value})
