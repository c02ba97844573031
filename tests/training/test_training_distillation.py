"""Distillation: the loss by hand and by torch, who the teacher is, and that it changes nothing else."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import prune_core as pc
from prune_core.training.batches import Batches
from prune_core.training.state import RunState


class Noisy(pc.ModelSource):
    """Normalises, and drops half of what passes: in training it is another network than in eval mode."""

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        pass

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        first, second = nn.Linear(math.prod(shape), 24), nn.Linear(24, classes)
        return nn.Sequential(first, nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.5), second)


def experiment(
    at: int = 6, distill: object = "default", model: object = None, start: object = None, **more: object
) -> pc.Experiment:
    train = {"steps": 16, "batch_size": 32, "seed": 3} | more
    given = pc.Distillation() if distill == "default" else distill
    return pc.Experiment(
        data=pc.Moons(samples=400), model=model or pc.MLP(), start=start,
        prune=pc.Pruning(schedule=pc.OneShot(final=0.9, at=at), distill=given), train=pc.Training(**train),
    )  # fmt: skip


def same(a: pc.Result, b: pc.Result) -> bool:
    one, other = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(one[k], other[k]) for k in one) and a.history.equals(b.history)


def test_the_loss_by_hand():
    # T = 2: the student's scores (0, 0) are shares (1/2, 1/2); the teacher's (2 ln 3, 0) become (ln 3, 0), shares
    # (3/4, 1/4). KL = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812; cross entropy of class 0 = ln 2 = 0.693147.
    # 1/2 · 0.693147 + 1/2 · 4 · 0.130812 = 0.608198
    scores, wanted = torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]])
    found = pc.Distillation(temperature=2.0, weight=0.5).loss(scores, wanted, torch.tensor([0]))
    assert float(found) == pytest.approx(0.608198, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_loss_and_its_gradient_are_torchs(temperature, weight):
    draw = torch.Generator().manual_seed(0)
    scores, wanted = (5 * torch.randn(12, 7, generator=draw) for _ in range(2))
    classes = torch.randint(0, 7, (12,), generator=draw)
    scores.requires_grad_(True)
    found = pc.Distillation(temperature=temperature, weight=weight).loss(scores, wanted, classes)
    soft = F.kl_div(F.log_softmax(scores / temperature, 1), F.softmax(wanted / temperature, 1), reduction="batchmean")
    reference = (1 - weight) * F.cross_entropy(scores, classes) + weight * temperature**2 * soft
    assert found.item() == pytest.approx(reference.item(), rel=1e-5)
    one, other = (torch.autograd.grad(x, scores, retain_graph=True)[0] for x in (found, reference))
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_run_is_the_plain_loop_with_a_copy_of_the_dense_network():
    exp = experiment(lr=0.05, momentum=0.9)
    result = pc.run(exp)
    data, teacher, losses = exp.data.load(seed=3), None, []
    model = exp.model.build(data.info.shape, data.info.classes, 3).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    batches = Batches(data.info.train, 32, 3, torch.device("cpu"))
    for step in range(1, 17):
        x, y = data.train_batch(batches.next())
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        if teacher is not None:
            with torch.no_grad():
                wanted = F.softmax(teacher(x) / 4, 1)
            loss = 0.5 * loss + 0.5 * 16 * F.kl_div(F.log_softmax(scores / 4, 1), wanted, reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        for name, mask in result.masks.items() if teacher is not None else ():
            model.get_parameter(name).grad.mul_(mask)
        optimizer.step()
        losses.append(loss.item())
        if step == 6:
            teacher = copy.deepcopy(model).eval()
        if step >= 6:
            pc.apply_masks_(dict(model.named_parameters()), result.masks)
    assert result.history["loss"].tolist() == pytest.approx(losses, rel=1e-4)
    for name, value in model.named_parameters():
        assert torch.allclose(result.model.get_parameter(name), value, rtol=1e-4, atol=1e-6)
    # evaluations are of cross entropy alone
    assert result.loss == pc.evaluate(result.model, data).loss


def test_without_weight_it_is_the_run_without():
    plain, none = pc.run(experiment(distill=None)), pc.run(experiment(distill=pc.Distillation(weight=0.0)))
    assert same(plain, none)
    assert not pc.run(experiment()).history["loss"].equals(plain.history["loss"])


def test_the_teacher_shifts_no_random_number():
    """A weight too small for float32 to see: the same dropout, and so the same losses, as without a teacher."""
    plain = experiment(at=2, distill=None, model=Noisy(), steps=8)
    taught = pc.run(plain.with_(**{"prune.distill": pc.Distillation(weight=1e-30)}))
    assert taught.history["loss"].equals(pc.run(plain).history["loss"])


def test_before_the_first_removal_the_loss_is_cross_entropy():
    plain, taught = pc.run(experiment(distill=None)), pc.run(experiment())
    assert taught.history[:6].equals(plain.history[:6])  # the first removal is after step 6
    assert taught.history["loss"][6] != plain.history["loss"][6]


@pytest.mark.parametrize("pruned", [False, True])
def test_a_run_from_a_checkpoint_learns_from_the_network_in_it(pruned, tmp_path: Path):
    first = experiment(distill=None, at=10) if pruned else experiment().with_(prune=None)
    earlier = pc.run(first, checkpoint=tmp_path / "run.pt")
    start = pc.FromCheckpoint(path=str(tmp_path / "run.pt"))
    exp = experiment(at=8 if pruned else 0, start=start).with_(**{"prune.schedule.final": 0.95})
    state = RunState(exp)
    state.follow_schedule()
    teacher = state.teaching.state_dict()
    assert all(torch.equal(teacher[n], v) for n, v in earlier.model.state_dict().items())
    x, y = state.data.train_batch(Batches(state.batches.n, 32, 3, torch.device("cpu")).next())
    with torch.no_grad():
        expected = exp.prune.distill.loss(state.model(x), earlier.model(x), y)
    assert float(state.gradient(1, look=False)[0]) == pytest.approx(float(expected), rel=1e-6)


def test_the_teacher_is_in_eval_mode_and_stays_as_it_was():
    exp = experiment(at=1, model=Noisy(), steps=3)
    state = RunState(exp)
    for step in (1, 2, 3):
        state.gradient(step, look=False)
        state.update()
        before = {n: v.clone() for n, v in (state.teaching.state_dict() or state.model.state_dict()).items()}
        state.follow_schedule()
        after = state.teaching.state_dict()
        assert all(torch.equal(after[n], v) for n, v in before.items())
    assert not state.teaching._teacher.training and state.model.training


@pytest.mark.parametrize("regrow", [None, pc.StraightThrough(), pc.RigL(every=3)])
@pytest.mark.parametrize("stop", [3, 11])
def test_it_resumes_bitwise(stop, regrow, tmp_path: Path):
    exp = experiment(optimizer="adam", lr=0.01).with_(**{"prune.regrow": regrow})
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == stop:
            control.stop()
    assert (pc.load_checkpoint(tmp_path / "run.pt").rest["teacher"] is None) == (stop == 3)
    assert same(pc.run(exp, checkpoint=tmp_path / "run.pt"), pc.run(exp))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_it_works_in_half_precision_and_with_clipping(precision):
    exp = experiment(precision=precision).with_(clip=pc.NormClip(max_norm=0.5))
    result = pc.run(exp)
    assert result.status == "finished" and same(result, pc.run(exp))
    assert (result.history["grad_norm_after"] <= 0.5 * (1 + 1e-6)).all()


def test_what_makes_no_sense_is_a_sentence():
    with pytest.raises(
        pc.ConfigError, match=r"Pruning.distill needs .* at step 1 or later; got sparsity 0.9 at step 0"
    ):
        experiment(at=0)
    with pytest.raises(pc.ConfigError, match=r"Pruning.distill must be None with PerSampleClip, .*; got Distillation"):
        experiment().with_(clip=pc.PerSampleClip())
    for field, value, bound in [("temperature", 0, "greater than 0"), ("weight", 1.5, "at most 1")]:
        with pytest.raises(pc.ConfigError, match=rf"Distillation.{field} .*{bound}.* got {value}"):
            pc.Distillation(**{field: value})


def test_it_is_written_down_and_read_back():
    exp = experiment(distill=pc.Distillation(temperature=2.0))
    assert pc.Experiment.from_yaml(exp.to_yaml()) == exp
    assert exp.digest != experiment().digest != experiment(distill=None).digest
    assert exp.with_(**{"prune.distill.weight": 0.2}).prune.distill == pc.Distillation(temperature=2.0, weight=0.2)
