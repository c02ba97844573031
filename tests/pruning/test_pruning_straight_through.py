"""Straight-through pruning against a plain loop; and all that looks at a run sees the masked network, not the dense."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import prune_core as pc
from prune_core.events import WEIGHT_BINS
from prune_core.training.batches import Batches
from prune_core.training.binning import bin_counts
from prune_core.training.state import RunState
from prune_core.training.stream import events

OPTIMIZERS = {
    "sgd": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
    "adam": {"lr": 0.01, "weight_decay": 0.01},
    "adamw": {"lr": 0.01, "weight_decay": 0.1},
}


def experiment(every: int = 1, final: float = 0.7, at: int = 3, clip: object = None, **more: object) -> pc.Experiment:
    train = {"steps": 20, "batch_size": 32, "seed": 3, "snapshot_every": 5, "eval_every": 10} | more
    return pc.Experiment(
        data=pc.Moons(samples=400), model=pc.MLP(), clip=clip,
        prune=pc.Pruning(schedule=pc.OneShot(final=final, at=at), regrow=pc.StraightThrough(every=every, until=1.0)),
        train=pc.Training(**train),
    )  # fmt: skip


def gone(masks: dict[str, torch.Tensor]) -> int:
    return sum(int((~m).sum()) for m in masks.values())


def same(a: pc.Result, b: pc.Result) -> bool:
    one, other = a.model.state_dict(), b.model.state_dict()
    return (
        all(torch.equal(one[k], other[k]) for k in one)
        and all(torch.equal(a.masks[k], b.masks[k]) for k in a.masks)
        and a.history.equals(b.history)
    )


def plain(exp: pc.Experiment, every: int, max_norm: float | None):
    """The method in ordinary pieces: dense values, their masks, and a network that is given the product."""
    data, schedule, masks, norms = exp.data.load(seed=3), exp.prune.schedule, {}, []
    model = exp.model.build(data.info.shape, data.info.classes, 3).train()
    dense = {n: p.detach().clone() for n, p in model.named_parameters()}
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[exp.train.optimizer]
    optimizer = kind(dense.values(), **OPTIMIZERS[exp.train.optimizer])
    batches = Batches(data.info.train, exp.train.batch_size, 3, torch.device("cpu"))

    def use(step: int) -> None:
        if step == schedule.at or (schedule.at < step < exp.train.steps and step % every == 0):
            size = torch.cat([dense[n].abs().reshape(-1) for n in pc.prunable(model)])
            keep = torch.ones(len(size), dtype=torch.bool)
            keep[size.argsort(stable=True)[: round(schedule.final * len(size))]] = False
            parts = keep.split([dense[n].numel() for n in pc.prunable(model)])
            masks.update({n: k.view_as(dense[n]) for n, k in zip(pc.prunable(model), parts, strict=True)})
        for n, p in model.named_parameters():
            p.data.copy_(dense[n] * masks[n] if n in masks else dense[n])

    use(0)
    for step in range(1, exp.train.steps + 1):
        x, y = data.train_batch(batches.next())
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm or math.inf)))
        for n, p in model.named_parameters():
            dense[n].grad = p.grad
        optimizer.step()
        use(step)
    return model, masks, norms


@pytest.mark.parametrize("max_norm", [None, 0.2])
@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_is_the_plain_loop(optimizer, every, max_norm):
    clip = None if max_norm is None else pc.NormClip(max_norm=max_norm)
    exp = experiment(every, clip=clip, optimizer=optimizer, **OPTIMIZERS[optimizer])
    model, masks, norms = plain(exp, every, max_norm)
    result = pc.run(exp)
    assert all(torch.equal(result.masks[n], masks[n]) for n in masks)
    for name, value in model.named_parameters():
        assert torch.allclose(result.model.get_parameter(name), value, rtol=1e-4, atol=1e-6), name
    # over all gradients, those of removed weights included: they are part of the update
    assert result.history["grad_norm_before"].tolist() == pytest.approx(norms, rel=1e-4)


def test_masks_are_exact_and_change_where_they_should():
    exp = experiment(every=4)
    happened = list(pc.stream(exp))
    changes = [e for e in happened if isinstance(e, pc.MaskEvent)]
    steps = [e.step for e in changes]
    assert steps[0] == 3 and set(steps) <= {3, 4, 8, 12, 16} and len(steps) > 3
    assert changes[0].returned == 0 and sum(e.returned for e in changes) > 0
    result = pc.run(exp)
    total = sum(m.numel() for m in result.masks.values())
    assert {sum(e.kept.values()) for e in changes} == {total - round(0.7 * total)}
    assert gone(result.masks) == round(0.7 * total) and result.sparsity == gone(result.masks) / total
    for name, mask in result.masks.items():
        weight = result.model.get_parameter(name)
        assert not weight[~mask].any() and not torch.signbit(weight[~mask]).any()
    assert same(result, pc.run(exp))


def test_masks_rest_in_the_last_part():
    exp = experiment(every=2).with_(**{"prune.regrow.until": 0.5})
    steps = [e.step for e in pc.stream(exp) if isinstance(e, pc.MaskEvent)]
    assert steps and set(steps) <= {3, 4, 6, 8}


def test_who_looks_sees_the_masked_network_and_the_removed_values_of_now():
    state = RunState(experiment(every=3, steps=15, snapshot_every=3))
    looks = 0
    for event in events(state, pc.Control()):
        if not isinstance(event, pc.SnapshotEvent) or not state.masks.active:
            continue
        looks += 1
        dense, used = state.flat.moved.detach(), state.flat.weights.detach()
        assert not torch.equal(dense, used)
        for layer in event.layers:
            span, keep = state.flat.span(layer.name), state.masks.masks[layer.name].reshape(-1)
            assert torch.equal(used[span], dense[span] * keep)
            behind = dense[span][~keep]
            assert behind.any()
            assert layer.removed.tolist() == bin_counts(behind, *layer.edges, WEIGHT_BINS).tolist()
            assert int(layer.removed.sum()) == layer.numel - layer.kept and int(layer.weights.sum()) == layer.kept
        if event.step < 15:  # masks were chosen with these very values
            assert max(x.threshold for x in event.layers) == float(
                max(dense[state.flat.span(n)][~m.reshape(-1)].abs().max() for n, m in state.masks.masks.items())
            )
    assert looks == 5
    seen = pc.evaluate(state.model, state.data)
    assert (seen.accuracy, seen.loss) == (state.evals[-1].accuracy, state.evals[-1].loss)


@pytest.mark.parametrize("clip", [pc.ValueClip(threshold=0.01), pc.PerSampleClip(), pc.AdaptiveClip()])
def test_the_gradient_of_removed_weights_is_clipped_and_counted(clip):
    state = RunState(experiment(at=0, clip=clip))
    state.follow_schedule()
    row = state.gradient(1, look=True)
    gradient = state.flat.gradients.values
    removed = torch.cat([state.flat.moved[state.flat.span(n)][~m.reshape(-1)] for n, m in state.masks.masks.items()])
    assert removed.abs().max() > 0
    assert all(gradient[state.flat.span(n)][~m.reshape(-1)].any() for n, m in state.masks.masks.items())
    assert float(row[2]) == pytest.approx(float(torch.linalg.vector_norm(gradient)), rel=1e-5)
    # a strategy that compares with weights compares with those that the update moves
    state.update()
    seen = torch.cat([p.reshape(-1) for p in state.flat.gradients.parameters])
    assert torch.equal(seen, state.flat.moved) and not torch.equal(seen, state.flat.weights)


@pytest.mark.parametrize("stop", [2, 9])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_resumes_bitwise(optimizer, stop, tmp_path: Path):
    exp = experiment(every=2, optimizer=optimizer, **OPTIMIZERS[optimizer])
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == stop:
            control.stop()
    saved = pc.load_checkpoint(tmp_path / "run.pt")
    assert saved.step == stop
    assert all(not saved.model_state[n][~m].any() for n, m in saved.masks.items())  # a file holds the masked network
    assert same(pc.run(exp, checkpoint=tmp_path / "run.pt"), pc.run(exp))


def test_a_run_that_diverges_keeps_a_masked_network():
    result = pc.run(experiment(at=0, final=0.3, lr=1000.0, steps=40))
    assert result.status == "diverged" and result.step < 40
    assert all(torch.isfinite(p).all() for p in result.model.parameters())
    assert all(not result.model.get_parameter(n)[~m].any() for n, m in result.masks.items())
    assert result.sparsity == pytest.approx(0.3, abs=0.01)


def test_a_good_state_is_one_of_dense_values():
    state = RunState(experiment(at=0))
    state.follow_schedule()
    state.gradient(1, look=False)
    state.update()
    state.keep_good()
    dense, used = state.flat.moved.detach().clone(), state.flat.weights.detach().clone()
    state.gradient(2, look=False)
    state.update()
    assert not torch.equal(state.flat.moved, dense)
    state.fall_back()
    assert torch.equal(state.flat.moved, dense) and torch.equal(state.flat.weights, used)


def test_a_lower_sparsity_in_mid_run_brings_weights_back():
    exp = experiment(every=100)
    control, marks, seen = pc.Control(), [], {}
    for event in pc.stream(exp, control):
        if isinstance(event, pc.StepEvent):
            seen[event.step] = event.sparsity
            if event.step == 10:
                control.set(sparsity=0.3)
        elif isinstance(event, pc.MaskEvent):
            marks.append(event)
    assert [round(e.sparsity, 1) for e in marks] == [0.7, 0.3] and marks[1].returned > 0
    assert (round(seen[10], 1), round(seen[11], 1)) == (0.7, 0.3)


def test_from_a_pruned_checkpoint_others_may_go_but_not_fewer(tmp_path: Path):
    first = pc.run(experiment(final=0.2).with_(**{"prune.regrow": None}), checkpoint=tmp_path / "run.pt")
    start = pc.FromCheckpoint(path=str(tmp_path / "run.pt"))
    result = pc.run(experiment(final=0.4, at=15, lr=0.3).with_(start=start))
    assert result.history["sparsity"].round(1).tolist() == [0.2] * 15 + [0.4] * 5
    assert any((result.masks[n] & ~m).any() for n, m in first.masks.items())


def test_layers_keep_shares_of_their_own():
    exp = experiment(at=0).with_(prune=pc.Pruning(
        scope="layer", schedule=pc.OneShot(final=0.5, at=0), layer_sparsity=("3=0.25",), regrow=pc.StraightThrough()
    ))  # fmt: skip
    result = pc.run(exp)
    wanted = exp.prune.ratios(result.masks, 0.5)
    assert wanted
    for name, mask in result.masks.items():
        assert int((~mask).sum()) == round(wanted.get(name, 0.5) * mask.numel())


def test_until_something_is_removed_it_is_a_run_without():
    nothing = experiment(final=0.0, optimizer="adam", lr=0.01)
    result, dense = pc.run(nothing), pc.run(nothing.with_(prune=None))
    assert result.history.equals(dense.history)
    assert all(torch.equal(v, dense.model.state_dict()[k]) for k, v in result.model.state_dict().items())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_works_in_half_precision(precision):
    result = pc.run(experiment(precision=precision, clip=pc.NormClip(max_norm=1.0)))
    assert result.status == "finished" and result.sparsity == pytest.approx(0.7, abs=0.01)
    assert result.history["loss"].map(math.isfinite).all() and same(result, pc.run(result.experiment))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"criterion": pc.SNIP(), "schedule": pc.OneShot(at=0)},
            "SNIP, which is defined before training; got Straight",
        ),
        ({"criterion": pc.Movement()}, "Movement, which follows weights only while they are there; got Straight"),
        ({"rewind": "weights"}, "rewind 'weights', which goes back after removals that last; got StraightThrough"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(changes, sentence):
    exp = experiment()
    with pytest.raises(pc.ConfigError, match=rf"Pruning.regrow must be None or an exchange .* with {sentence}"):
        exp.with_(prune=exp.prune.replace(**changes))


def test_settings_out_of_bounds_are_refused():
    with pytest.raises(pc.ConfigError, match=r"StraightThrough.every must be a whole number at least 1 .* got 0"):
        pc.StraightThrough(every=0)
