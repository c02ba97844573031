"""Every strategy in a run: with masks, with each optimizer, in half precision, stopped and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import prune_core as pc
from prune_core.training.state import RunState

STRATEGIES = [entry.cls for entry in pc.ClipStrategy.registry]
NESTED = pc.Chain(first=pc.AutoClip(percentile=30), second=pc.Chain(first=pc.ZClip(warmup=5), second=pc.ValueClip()))
NOISY = pc.PerSampleClip(noise_multiplier=0.5)
REMEMBER = [pc.AutoClip(percentile=30), pc.ZClip(z_threshold=0.5, warmup=5), NESTED, NOISY]

every = pytest.mark.parametrize("clip", STRATEGIES, ids=lambda cls: cls.kind)
of_the_mean = pytest.mark.parametrize("clip", [c for c in STRATEGIES if not c.per_sample], ids=lambda cls: cls.kind)


def experiment(clip: pc.ClipStrategy, **train: object) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Moons(samples=400),
        model=pc.MLP(),
        clip=clip,
        prune=pc.Pruning(schedule=pc.Cubic(final=0.8, start=5, stop=20)),
        train=pc.Training(**{"steps": 40, "batch_size": 32, "seed": 3, **train}),
    )


def weights(result: pc.Result) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in result.model.parameters()])


@of_the_mean  # test_clipping_per_sample.py has the other one
def test_the_gradient_of_removed_weights_counts_in_no_norm(clip):
    values = []
    for poison in (0.0, 1e4):
        state = RunState(experiment(clip()).with_(**{"prune.schedule": pc.OneShot(final=0.5, at=0)}))
        state.follow_schedule()
        gone = torch.cat([(~state.masks.masks[n]).flatten() if n in state.masks.masks else torch.zeros(p.numel()).bool()
                          for n, p in state.flat.model.named_parameters()])  # fmt: skip
        assert gone.any()
        gather_ = state.flat.gather_

        def poisoned(gather_=gather_, state=state, gone=gone, poison=poison):
            gather_()
            state.flat.gradients.values[gone] += poison

        state.flat.gather_ = poisoned
        row = state.gradient(1, look=True)
        values.append((state.flat.gradients.values.clone(), row.clone(), state._report.by_layer))
        assert not state.flat.gradients.values[gone].any()
    for a, b in zip(*values, strict=True):
        assert torch.equal(a, b)


@every
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_it_works_with_every_optimizer_and_removed_weights_stay_removed(clip, optimizer):
    exp = experiment(clip(), optimizer=optimizer, weight_decay=0.01, lr=0.01)
    first, second = pc.run(exp, progress=False), pc.run(exp, progress=False)
    assert first.status == "finished" and first.sparsity == pytest.approx(0.8, abs=0.01)
    assert torch.equal(weights(first), weights(second)) and first.history.equals(second.history)
    for name, mask in first.masks.items():
        assert not first.model.get_parameter(name)[~mask].any()
    if not clip.per_sample:
        assert (first.history.grad_norm_after <= first.history.grad_norm_before * (1 + 1e-6)).all()


@every
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_works_in_half_precision(clip, precision):
    if clip.per_sample and precision == "float16":
        with pytest.raises(pc.ConfigError, match=r"precision must be 'float32' or 'bfloat16' with PerSampleClip"):
            experiment(clip(), precision=precision)
        return
    result = pc.run(experiment(clip(), precision=precision), progress=False)
    assert result.status == "finished" and weights(result).isfinite().all()
    norms = result.history.grad_norm_before
    assert norms[norms.notna()].lt(100).all()  # unscaled: the scaler's factor of 65,536 is gone before clipping


@pytest.mark.parametrize("clip", REMEMBER, ids=lambda clip: clip.kind)
def test_stopped_and_resumed_equals_one_run(clip, tmp_path: Path):
    exp, control = experiment(clip, steps=100), pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "c.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 71:  # AutoClip's history has grown once
            control.stop()
    resumed = pc.run(exp, checkpoint=tmp_path / "c.pt", progress=False)
    whole = pc.run(exp, progress=False)
    assert resumed.step == 100 and torch.equal(weights(resumed), weights(whole))
    assert resumed.history.equals(whole.history)
    assert whole.history.clipped.between(0, 1).all() and whole.history.clipped.max() > 0


def test_the_threshold_moves_in_mid_run_whatever_it_is_called():
    for entry in pc.ClipStrategy.registry:
        clip, control = entry.cls(), pc.Control()
        wanted = clip.threshold / 2
        marks = []
        for event in pc.stream(experiment(clip), control):
            if isinstance(event, pc.StepEvent) and event.step == 30:
                control.set(clip_threshold=wanted)
            marks += [event] if isinstance(event, pc.InterventionEvent) else []
        assert [(m.field, m.value) for m in marks] == [("clip_threshold", wanted)], entry.name
