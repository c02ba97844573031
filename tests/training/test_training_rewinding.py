"""Going back after a removal: the weights, learning rates and controls of lottery tickets and their kin."""

from __future__ import annotations

import pytest
import torch

import prune_core as pc
from prune_core.pruning import prunable
from prune_core.training.optim import lr_at


def experiment(rewind: str, to: int = 0, steps: int = 30, at: int = 20, **train: object) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(),
        prune=pc.Pruning(scope="layer", schedule=pc.OneShot(final=0.5, at=at), rewind=rewind, rewind_to=to),
        train=pc.Training(steps=steps, batch_size=32, **train),
    )  # fmt: skip


def weights_of(exp: pc.Experiment) -> dict[str, torch.Tensor]:
    return {n: w.detach().clone() for n, w in pc.run(exp).model.state_dict().items()}


def at_removal(exp: pc.Experiment) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights and masks right after the removal: the run ends there."""
    at = exp.prune.schedule.at
    result = pc.run(exp.with_(**{"train.steps": at}))
    return {n: w.detach() for n, w in result.model.state_dict().items()}, result.masks


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("to", [0, 7])
def test_the_kept_weights_are_those_of_the_early_step(to, optimizer):
    exp = experiment("weights", to, optimizer=optimizer, lr=0.01)
    trained, masks = at_removal(exp.with_(**{"prune.rewind": "no", "prune.rewind_to": 0}))
    back, same = at_removal(exp)
    if to:
        early = weights_of(exp.with_(**{"prune": None, "train.steps": to}))
    else:
        early = exp.model.build((1, 8, 8), 10, 0).state_dict()
    assert all(torch.equal(masks[n], same[n]) for n in masks)  # chosen by the trained weights
    for name, w in back.items():
        want = torch.where(masks[name], early[name], 0) if name in masks else early[name]
        assert torch.equal(w, want), name
    assert any(not torch.equal(back[n], trained[n]) for n in masks)


def test_a_ticket_starts_with_the_learning_rate_and_the_guesses_of_the_beginning():
    exp = experiment("weights", steps=40, at=20, lr_schedule="cosine", momentum=0.9)
    rows = pc.run(exp).history
    want = [lr_at(exp.train, s if s <= 20 else s - 20) for s in range(1, 41)]
    assert rows["lr"].tolist() == pytest.approx(want, rel=1e-6)
    assert float(rows["loss"][20]) == pytest.approx(2.30, abs=0.15)  # ten classes, untrained: ln 10


def test_the_learning_rate_alone_goes_back():
    exp = experiment("learning_rate", to=5, steps=40, at=20, lr_schedule="step", lr_step_every=10)
    plain = exp.with_(**{"prune.rewind": "no", "prune.rewind_to": 0})
    trained, _ = at_removal(plain)
    back, masks = at_removal(exp)
    assert all(torch.equal(back[n], trained[n]) for n in back)
    want = [lr_at(exp.train, s if s <= 20 else s - 20 + 5) for s in range(1, 41)]
    assert pc.run(exp).history["lr"].tolist() == pytest.approx(want, rel=1e-6)
    assert masks


def test_the_control_draws_other_weights_under_the_same_mask():
    back, masks = at_removal(experiment("random"))
    trained, same = at_removal(experiment("no"))
    first = experiment("no").model.build((1, 8, 8), 10, 0)
    assert all(torch.equal(masks[n], same[n]) for n in masks)
    for name in prunable(first):
        kept = masks[name]
        assert not torch.equal(back[name], trained[name])
        assert not torch.equal(back[name][kept], first.state_dict()[name][kept])
        assert not back[name][~kept].any()
    again, _ = at_removal(experiment("random"))
    assert all(torch.equal(back[n], again[n]) for n in back)


@pytest.mark.parametrize("rewind", ["weights", "learning_rate", "random"])
@pytest.mark.parametrize("stop", [6, 25])
def test_it_resumes_bitwise(rewind, stop, tmp_path):
    exp = experiment(rewind, to=4, optimizer="adam", lr=0.01, lr_schedule="cosine")
    whole = pc.run(exp)
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == stop:
            control.stop()
    rest = [e for e in pc.stream(exp, checkpoint=tmp_path / "run.pt") if isinstance(e, pc.StepEvent)]
    assert [e.loss for e in rest] == whole.history["loss"].tolist()[stop:]


def test_a_first_removal_before_training_goes_back_nowhere():
    exp = experiment("weights", at=0)
    assert pc.run(exp).history.equals(pc.run(exp.with_(**{"prune.rewind": "no"})).history)


def test_what_makes_no_sense_is_a_sentence():
    with pytest.raises(pc.ConfigError, match=r"Pruning.rewind goes back after every removal .* at most 100 .* got 201"):
        experiment("weights").with_(**{"prune.schedule": pc.Cubic(final=0.5, start=100, stop=300), "train.steps": 400})
    with pytest.raises(pc.ConfigError, match=r"Pruning.rewind_to must be at most 20, .* got 21"):
        experiment("weights", to=21)
    with pytest.raises(pc.ConfigError, match="rewind must be one of"):
        pc.Pruning(rewind="home")
