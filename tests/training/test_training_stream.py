"""The loop: what it emits, that it repeats bitwise, and that removed weights stay removed."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

import prune_core as pc
from prune_core.events import StateEvent, WarningEvent
from prune_core.training.optim import lr_at


def same(a: pc.Result, b: pc.Result) -> bool:
    """Bitwise the same weights, masks and history."""
    one, other = a.model.state_dict(), b.model.state_dict()
    return (
        list(one) == list(other)
        and all(torch.equal(one[k], other[k]) for k in one)
        and all(torch.equal(a.masks[k], b.masks[k]) for k in a.masks)
        and a.history.equals(b.history)
        and a.accuracy == b.accuracy
    )


def test_events_come_in_order_and_end_with_done(experiment: pc.Experiment) -> None:
    events = list(pc.stream(experiment))
    steps = [e.step for e in events if isinstance(e, pc.StepEvent)]
    assert steps == list(range(1, 61))
    assert [e.step for e in events if isinstance(e, pc.SnapshotEvent)] == [0, 20, 40, 60]
    assert [e.step for e in events if isinstance(e, pc.EvalEvent)] == [20, 40, 60]
    assert isinstance(events[-1], pc.DoneEvent)
    assert events[-1].status == "finished"
    masks = [e for e in events if isinstance(e, pc.MaskEvent)]
    assert all(a.sparsity <= b.sparsity for a, b in itertools.pairwise(masks))


def test_twice_the_same_and_watching_changes_nothing(experiment: pc.Experiment) -> None:
    first = pc.run(experiment, progress=False)
    for event in pc.stream(experiment):  # a watcher that looks at everything and draws random numbers
        torch.rand(3)
        if isinstance(event, pc.SnapshotEvent):
            event.to_bytes()
    assert same(first, pc.run(experiment, progress=False))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_removed_weights_stay_exactly_zero(experiment: pc.Experiment, optimizer: str) -> None:
    exp = experiment.with_(
        **{
            "train.optimizer": optimizer,
            "train.weight_decay": 0.01,
            "train.lr": 0.05 if optimizer == "sgd" else 0.001,
            "train.steps": 150,
        }
    )
    result = pc.run(exp, progress=False)
    weights = dict(result.model.named_parameters())
    removed = sum(int((~m).sum()) for m in result.masks.values())
    total = sum(m.numel() for m in result.masks.values())
    assert removed == round(0.8 * total)
    for name, mask in result.masks.items():
        assert torch.count_nonzero(weights[name][~mask]) == 0


def test_equals_an_ordinary_loop_bitwise_in_value_clipping() -> None:
    exp = pc.Experiment(
        data=pc.Digits(),
        model=pc.MLP(),
        clip=pc.ValueClip(threshold=0.005),
        train=pc.Training(steps=30, batch_size=50, lr=0.1, momentum=0.9, seed=1),
    )
    result = pc.run(exp, progress=False)
    # the same by hand with torch's own pieces
    from prune_core.training.batches import Batches

    data = exp.data.load(seed=1)
    model = exp.model.build(data.info.shape, data.info.classes, 1).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    batches = Batches(data.info.train, 50, 1, torch.device("cpu"))
    losses = []
    for _ in range(30):
        x, y = data.train_batch(batches.next())
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 0.005)
        optimizer.step()
        losses.append(loss.item())
    assert result.history["loss"].tolist() == pytest.approx(losses, rel=1e-6)
    for name, value in model.named_parameters():
        assert torch.allclose(value, dict(result.model.named_parameters())[name], rtol=1e-5, atol=1e-7)


def test_clipping_keeps_every_parameter(experiment: pc.Experiment) -> None:
    clipped = pc.run(experiment.with_(prune=None), progress=False)
    plain = pc.run(experiment.with_(prune=None, clip=None), progress=False)
    count = [sum(int(torch.count_nonzero(p)) for p in r.model.parameters()) for r in (clipped, plain)]
    assert count[0] == count[1]
    assert clipped.history["clipped"].mean() > 0
    assert plain.history["clipped"].max() == 0
    assert plain.history["cosine"].min() == 1


def test_divergence_is_a_result(experiment: pc.Experiment) -> None:
    result = pc.run(experiment.with_(clip=None, prune=None, **{"train.lr": 1000.0}), progress=False)
    assert result.status == "diverged"
    assert "at step" in result.reason
    assert result.step < len(result.history) + 1
    assert all(torch.isfinite(p).all() for p in result.model.parameters())
    assert math.isfinite(result.accuracy)
    assert result.history["loss"].map(math.isfinite).all()


def test_interventions_are_recorded_and_replay_bitwise(experiment: pc.Experiment) -> None:
    control = pc.Control()
    marks = []
    weights = {}
    for event in pc.stream(experiment, control):
        if isinstance(event, pc.StepEvent) and event.step == 15:
            control.set(clip_threshold=0.5, lr=0.02, sender="test")
        if isinstance(event, pc.StepEvent) and event.step == 45:
            control.set(sparsity=0.9)
        if isinstance(event, pc.InterventionEvent):
            marks.append(event)
        if isinstance(event, pc.EvalEvent):
            weights[event.step] = event
    assert [(m.step, m.field, m.value) for m in marks] == [
        (16, "clip_threshold", 0.5),
        (16, "lr", 0.02),
        (46, "sparsity", 0.9),
    ]
    replayed = pc.run(experiment, interventions=marks, progress=False)
    assert replayed.interventions == tuple(marks)
    assert replayed.accuracy == weights[60].accuracy
    assert replayed.loss == weights[60].loss
    assert replayed.sparsity == pytest.approx(0.9, abs=0.001)
    assert same(replayed, pc.run(experiment, interventions=marks, progress=False))


def test_a_wrong_intervention_is_a_sentence_and_changes_nothing(experiment: pc.Experiment) -> None:
    control = pc.Control()
    control.set(clip_threshold=-1.0)
    events = list(pc.stream(experiment, control))
    warnings = [e.message for e in events if isinstance(e, WarningEvent)]
    assert len(warnings) == 1
    assert "threshold" in warnings[0]
    assert "-1" in warnings[0]
    assert not [e for e in events if isinstance(e, pc.InterventionEvent)]
    with pytest.raises(pc.ConfigError, match="does not clip"):
        pc.run(experiment.with_(clip=None), interventions=[pc.InterventionEvent(3, "clip_threshold", 0.1)])


def test_pause_step_and_stop(experiment: pc.Experiment) -> None:
    control = pc.Control()
    control.step(2)  # pauses, but lets two steps through
    seen = []
    for event in pc.stream(experiment, control):
        seen.append(event)
        if isinstance(event, StateEvent) and event.state == "paused":
            assert event.step == 2
            control.stop("enough")
    assert [e.step for e in seen if isinstance(e, pc.StepEvent)] == [1, 2]
    done = seen[-1]
    assert isinstance(done, pc.DoneEvent)
    assert (done.status, done.reason, done.step) == ("stopped", "enough", 2)


def test_snapshots_have_fixed_edges_and_count_every_weight(experiment: pc.Experiment) -> None:
    shots = [e for e in pc.stream(experiment) if isinstance(e, pc.SnapshotEvent)]
    for shot in shots:
        again = pc.SnapshotEvent.from_bytes(shot.to_bytes())
        assert again.step == shot.step
        assert again.boundary is not None
        for layer, read, first in zip(shot.layers, again.layers, shots[0].layers, strict=True):
            assert layer.edges == first.edges
            assert layer.weights.sum() == layer.kept
            assert layer.removed.sum() == layer.numel - layer.kept
            assert (read.weights == layer.weights).all()
            assert read.threshold == layer.threshold
            if shot.step:
                assert layer.gradients.sum() + layer.zero_gradients == layer.numel


def test_learning_rates_by_hand() -> None:
    train = pc.Training(steps=11, lr=1.0, batch_size=1)
    assert lr_at(train, 7) == 1.0
    cosine = train.replace(lr_schedule="cosine")
    assert [lr_at(cosine, s) for s in (1, 6, 11)] == pytest.approx([1.0, 0.5, 0.0])  # cos of 0, pi/2, pi
    steps = train.replace(lr_schedule="step", lr_step_every=5, lr_step_factor=0.1)
    assert [lr_at(steps, s) for s in (5, 6, 11)] == pytest.approx([1.0, 0.1, 0.01])
    warm = train.replace(warmup=3)
    assert [lr_at(warm, s) for s in (1, 2, 3, 4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    cycle = train.replace(lr_schedule="one_cycle")
    assert lr_at(cycle, 4) == pytest.approx(1.0)  # 3 of 10 intervals done: the top
    assert lr_at(cycle, 11) == pytest.approx(1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_clips_the_true_gradient(experiment: pc.Experiment, precision: str) -> None:
    exp = experiment.with_(prune=None, **{"train.precision": precision, "clip": pc.NormClip(max_norm=0.05)})
    history = pc.run(exp, progress=False).history
    exact = pc.run(exp.with_(**{"train.precision": "float32"}), progress=False).history
    # were the gradient still scaled by 65,536 when clipped, its norm before would be far off
    assert history["grad_norm_before"][0] == pytest.approx(exact["grad_norm_before"][0], rel=0.05)
    assert history["grad_norm_after"].max() <= 0.05 * 1.001


def test_sweep_validates_before_the_first_run(experiment: pc.Experiment) -> None:
    with pytest.raises(pc.ConfigError, match="final"):
        pc.sweep(experiment, {"prune.schedule.final": [0.5, 1.5]})
    results = list(pc.sweep(experiment, {"prune.schedule.final": [0.5, 0.8], "train.seed": range(2)}, progress=False))
    assert [round(r.sparsity, 2) for r in results] == [0.5, 0.5, 0.8, 0.8]
