"""Questions to the preview worker beyond a slider's: the same as in one process, progressive, cancelled, refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import prune_core as pc
from prune_core.jobs import AgreementProbe, AnswersProbe, ExamplesProbe, NoiseProbe, PreviewRequest, prober
from prune_core.jobs.prober import answer
from prune_core.probing import overlaps
from prune_core.training import evaluate

STORE = "sqlite:///not-looked-at-for-models.db"
DATA, MODEL = pc.Digits(), pc.SmallCNN(width=4)
OF = PreviewRequest(model=MODEL, data=DATA, sparsity=0.8, budget_s=30.0)
BUDGET = OF.replace(scope="layer", layer_sparsity=("0.weight=0.5",))
PUBLISHED = pc.Torchvision(architecture="squeezenet1_1")


def ask(question):
    reply = answer(STORE, question)
    if isinstance(reply, pc.LabError):
        raise reply
    return pickle.loads(pickle.dumps(reply))  # as it travels


def pair() -> tuple[torch.nn.Module, torch.nn.Module]:
    before = MODEL.build(DATA.info.shape, DATA.info.classes, 0).eval()
    after = copy.deepcopy(before)
    pc.prune_(after, 0.8)
    return before, after


def test_criteria_agree_as_they_do_in_one_process():
    criteria = (pc.Magnitude(), pc.Random(), pc.LAMP())
    found = ask(AgreementProbe(of=OF, criteria=criteria))
    here = pc.compare_criteria(pair()[0], DATA, criteria, (0.8,), at=0.8, examples=10)
    assert found.correlation == pytest.approx(here.correlation.to_numpy())
    assert found.overlap == pytest.approx(here.overlap.to_numpy()) and found.chance == pytest.approx(here.chance)
    masks = [pc.prune_(pair()[0], 0.8, criterion) for criterion in criteria]
    assert found.overlap == pytest.approx(overlaps(masks))


@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_of_a_large_model_a_part_is_compared(monkeypatch, scope):
    of = OF.replace(model=pc.MLP(width=256), scope=scope)
    probe = AgreementProbe(of=of, criteria=(pc.Magnitude(), pc.Random(), pc.LAMP()))
    whole = ask(probe)
    monkeypatch.setattr(prober, "MANY", 1000)
    monkeypatch.setattr(prober, "SAMPLE", 20_000)
    part = ask(probe.replace(of=of.replace(budget_s=29.0)))
    assert 19_990 < part.weights < 20_010 < whole.weights
    assert part.correlation == pytest.approx(whole.correlation, abs=0.03)
    assert part.overlap == pytest.approx(whole.overlap, abs=0.03) and part.chance == pytest.approx(
        whole.chance, abs=0.01
    )


def test_answers_in_parts_are_those_of_plain_predictions():
    parts = [ask(AnswersProbe(of=OF, start=start, stop=start + 200)) for start in (0, 200)]
    found = pc.forgotten(*pair(), DATA).answers
    for name in found:
        assert np.concatenate([getattr(part, name) for part in parts]) == pytest.approx(found[name].to_numpy())
    assert parts[1].total == 355 and parts[1].shape == (1, 8, 8) and parts[0].sparsity == pytest.approx(0.8, abs=1e-3)


def test_noise_is_measured_as_in_one_process():
    found = ask(NoiseProbe(of=OF, level=0.5, examples=200, seed=3))
    table = pc.robustness(dict(zip(("before", "after"), pair(), strict=True)), DATA, (0.5,), examples=200, seed=3)
    assert [found.before.accuracy, found.after.accuracy] == list(table["accuracy"])


def test_examples_are_what_the_split_holds():
    found = ask(ExamplesProbe(of=OF, index=(7, 3)))
    data = DATA.load()
    assert found.y.tolist() == data.test_y[[7, 3]].tolist() and found.x.dtype == np.uint8
    assert found.x == pytest.approx(data.test_x[[7, 3]].numpy() * (255 / 16), abs=0.51), "as bright as can be"
    points = ask(ExamplesProbe(of=OF.replace(model=pc.MLP(), data=pc.Moons()), index=(0,)))
    assert points.x.shape == (1, 2) and points.x.dtype == np.float32


def test_the_model_is_bitwise_what_it_was_after_any_probe():
    dense = ask(OF.replace(sparsity=0.0)).accuracy
    for question in (AnswersProbe(of=OF), NoiseProbe(of=OF), AgreementProbe(of=OF, criteria=(pc.SNIP(), pc.Random()))):
        ask(question)
        assert ask(OF.replace(sparsity=0.0, seed=0, budget_s=29.0)).accuracy == dense
        assert evaluate(pair()[0], DATA.load()) == dense


def test_a_budget_prunes_each_layer_by_its_share():
    budget = ("0.weight=0.25", "3.*=0.5", "*9=0.1")
    reply = ask(OF.replace(scope="layer", sparsity=0.8, layer_sparsity=budget, tiles=True))
    model = pair()[0]
    weights = {name: p.detach().abs() for name, p in pc.prunable(model).items()}
    ratios = {"0.weight": 0.25, "3.weight": 0.5, "9.weight": 0.1}
    masks = pc.make_masks(weights, 0.8, "layer", ratios=ratios)
    assert {v.name: v.kept for v in reply.layers} == {name: int(m.sum()) for name, m in masks.items()}
    for view in reply.layers:
        gone = weights[view.name][~masks[view.name]]
        assert view.threshold == pytest.approx(float(gone.max()))
    pc.apply_masks_({name: p.data for name, p in pc.prunable(model).items()}, masks)
    assert reply.accuracy == evaluate(model, DATA.load())
    assert reply.picture.tiles is not None and reply.picture.tiles.shape == reply.layers[2].shape


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (lambda: AgreementProbe(of=OF, criteria=(pc.Magnitude(),)), "at least 2"),
        (lambda: AgreementProbe(of=OF, criteria=(pc.Magnitude(), pc.SynFlow())), "in rounds"),
        (lambda: AnswersProbe(of=OF, start=400, stop=500), "less than 355, got 400"),
        (lambda: ExamplesProbe(of=OF, index=(355,)), "less than 355, got 355"),
        (lambda: NoiseProbe(of=OF.replace(data=None, model=PUBLISHED)), "No test data"),
        (lambda: NoiseProbe(of=OF, level=-1.0), "at least 0"),
        (lambda: OF.replace(layer_sparsity=("0.weight=0.5",)), "needs scope 'layer'"),
        (lambda: OF.replace(scope="layer", layer_sparsity=("nolayer=0.5",)), "nolayer"),
        (lambda: BUDGET.replace(granularity=pc.Filters()), "single weights"),
        (lambda: BUDGET.replace(sparsity=None, threshold=0.1), "not with a threshold"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_a_sentence(question, sentence):
    with pytest.raises(pc.LabError, match=sentence):
        ask(question())


def test_the_worker_answers_in_turn_and_is_stopped(lab):
    levels = [NoiseProbe(of=OF, level=level, examples=100) for level in (0.0, 0.5, 1.0)]
    asked = lab.ask(levels)
    replies = list(asked)
    assert asked.done and asked.wait(0) and [r.level for r in replies] == [0.0, 0.5, 1.0]
    assert asked.replies() == {i: ask(q) for i, q in enumerate(levels)}
    many = lab.ask([NoiseProbe(of=OF.replace(sparsity=i / 1000), level=1.0) for i in range(200)])
    many.cancel()
    assert many.wait(10) and len(many.replies()) < 200
    wrong = lab.ask([AnswersProbe(of=OF, start=999, stop=1000)])
    with pytest.raises(pc.ConfigError, match="less than 355"):
        list(wrong)
    with pytest.raises(pc.ConfigError, match="less than 355"):
        wrong.replies()
