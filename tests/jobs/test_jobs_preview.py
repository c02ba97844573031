from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import prune_core as pc
from prune_core import measuring
from prune_core.jobs import PreviewReply, PreviewRequest
from prune_core.jobs.bench import preview
from prune_core.pruning import WeightIndex, prunable, prune_
from prune_core.training import evaluate

STORE = "sqlite:///not-looked-at-for-models.db"
DATA, MODEL = pc.Digits(), pc.MLP()


def ask(**fields: object) -> PreviewReply:
    """The worker's answer, in this process."""
    reply = preview(STORE, PreviewRequest(**{"model": MODEL, "data": DATA, "budget_s": 30.0, **fields}))
    if isinstance(reply, pc.LabError):
        raise reply
    return pickle.loads(pickle.dumps(reply))  # as it travels


def fresh() -> torch.nn.Module:
    info = DATA.info
    return MODEL.build(info.shape, info.classes, 0)


@pytest.mark.parametrize("criterion", [pc.Magnitude(), pc.Random()], ids=["magnitude", "random"])
@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.93])
def test_it_is_what_prune_does(sparsity, scope, criterion):
    model = fresh()
    masks = prune_(model, sparsity, criterion, scope)
    reply = ask(sparsity=sparsity, scope=scope, criterion=criterion)
    assert {v.name: v.kept for v in reply.layers} == {name: int(m.sum()) for name, m in masks.items()}
    assert reply.sparsity == pytest.approx(pc.sparsity_of(masks))
    here = evaluate(model, DATA.load())
    assert reply.accuracy == here
    assert reply.accuracy is not None and reply.accuracy.n == reply.accuracy.of == DATA.info.test


def test_the_unpruned_model_is_the_measure_and_stays_unpruned():
    dense = evaluate(fresh(), DATA.load())
    assert ask(sparsity=0.95).dense == dense
    assert ask(sparsity=0.0).accuracy == dense, "weights are back after each answer"


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_threshold_and_sparsity_are_one_truth(scope):
    by_sparsity = ask(sparsity=0.7, scope=scope)
    by_threshold = ask(threshold=by_sparsity.threshold, scope=scope)
    assert by_threshold.layers == by_sparsity.layers
    assert by_threshold.threshold == by_sparsity.threshold
    assert by_threshold.accuracy == by_sparsity.accuracy


def test_by_shape_the_threshold_of_the_layer_shown_leads():
    by_sparsity = ask(sparsity=0.7, scope="erk")
    by_threshold = ask(threshold=by_sparsity.threshold, scope="erk")
    assert by_threshold.threshold == by_sparsity.threshold
    # several sparsities have the same count in that layer: the others follow to within a weight or two
    for there, back in zip(by_sparsity.layers, by_threshold.layers, strict=True):
        assert abs(there.kept - back.kept) <= 2


def test_a_threshold_above_every_weight_removes_all():
    reply = ask(threshold=1e6)
    assert reply.sparsity == 1
    assert all(v.kept == 0 for v in reply.layers)
    assert reply.picture is not None and reply.picture.weights.sum() == 0


def test_nothing_asked_is_the_model_as_it_is():
    reply = ask()
    assert reply.sparsity == 0
    assert reply.threshold is None
    assert reply.accuracy == reply.dense


def test_the_picture_is_of_the_layer_asked_for():
    model = fresh()
    names = list(prunable(model))
    masks = prune_(model, 0.5)
    reply = ask(sparsity=0.5, layer=names[0])
    picture = reply.picture
    assert picture is not None and picture.name == names[0]
    mask = masks[names[0]]
    assert picture.mask.shape == tuple(min(64, n) for n in mask.reshape(mask.shape[0], -1).shape)
    assert picture.mask.dtype == np.uint8
    assert picture.mask.mean() / 255 == pytest.approx(float(mask.float().mean()), abs=0.01)
    assert picture.weights.sum() == mask.sum()
    assert picture.removed.sum() == (~mask).sum()
    # magnitude takes from the middle: no weight was removed outside the threshold
    centres = np.linspace(*picture.edges, 81)
    assert reply.threshold is not None
    width = centres[1] - centres[0]
    assert not picture.removed[np.abs(centres[:-1] + width / 2) > reply.threshold + width].any()


def test_the_largest_layer_is_shown_unless_one_is_asked_for():
    reply = ask(sparsity=0.5)
    assert reply.picture is not None
    assert reply.picture.name == max(reply.layers, key=lambda v: v.numel).name


def test_without_data_nothing_is_measured():
    reply = ask(data=None, model=pc.Torchvision(architecture="squeezenet1_1"), sparsity=0.8)
    assert reply.accuracy is None and reply.dense is None
    model = pc.Torchvision(architecture="squeezenet1_1").build((3, 224, 224), 1000, 0)
    index = WeightIndex({name: p.detach() for name, p in prunable(model).items()})
    assert reply.threshold == index.threshold_at(0.8)


def test_a_small_budget_takes_a_sample_and_says_so():
    reply = ask(budget_s=1e-6, sparsity=0.5)
    assert reply.accuracy is not None and reply.dense is not None
    assert reply.accuracy.n == reply.dense.n == 256 < reply.accuracy.of
    low, high = reply.accuracy.interval
    assert low < reply.accuracy.accuracy < high


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": None, "data": None}, "either run or model"),
        ({"run": "abc"}, "either run or model"),
        ({"sparsity": 1.0}, r"sparsity must be a number at least 0 and less than 1, got 1\.0"),
        ({"sparsity": float("nan")}, "finite"),
        ({"sparsity": 0.5, "threshold": 0.1}, "not both"),
        ({"layer": "nowhere"}, "no prunable layer named 'nowhere'"),
        ({"budget_s": 0.0}, "budget_s"),
        ({"model": pc.Torchvision()}, "colour"),
    ],
)
def test_a_wrong_request_is_a_sentence(fields, sentence):
    with pytest.raises(pc.LabError, match=sentence):
        ask(**fields)


# --- through the engine ----------------------------------------------------------------------------------------------
def test_the_worker_answers_the_same(lab):
    request = PreviewRequest(model=MODEL, data=DATA, sparsity=0.9, budget_s=30.0)
    there, here = lab.preview(request), ask(sparsity=0.9)
    assert (there.layers, there.accuracy, there.dense) == (here.layers, here.accuracy, here.dense)
    assert there.picture is not None and here.picture is not None
    assert np.array_equal(there.picture.mask, here.picture.mask)


def test_a_mistake_comes_back_as_a_sentence(lab):
    with pytest.raises(pc.UnknownNameError, match="no prunable layer"):
        lab.preview(PreviewRequest(model=MODEL, data=DATA, layer="nowhere"))
    with pytest.raises(pc.RunNotFoundError):
        lab.preview(PreviewRequest(run="nothing", sparsity=0.5))


def test_a_trained_run_is_pruned_from_its_checkpoint(lab):
    pruning = pc.Pruning(schedule=pc.OneShot(final=0.6, at=20))
    exp = pc.Experiment(data=DATA, model=MODEL, prune=pruning, train=pc.Training(steps=40, device="cpu"))
    handle = lab.launch(exp)
    assert handle.wait(60) == "finished"
    as_it_is = lab.preview(PreviewRequest(run=handle.id, budget_s=30.0))
    result = pc.run(exp, progress=False)
    assert as_it_is.step == 40
    assert as_it_is.sparsity == pytest.approx(0.6, abs=1e-4)
    assert as_it_is.accuracy is not None and as_it_is.accuracy.accuracy == result.accuracy
    # what the run has removed stays removed
    assert lab.preview(PreviewRequest(run=handle.id, sparsity=0.3)).layers == as_it_is.layers
    more = lab.preview(PreviewRequest(run=handle.id, sparsity=0.9, budget_s=30.0))
    masks = pc.make_masks(pc.Magnitude().score(pc.Evidence(prunable(result.model))), 0.9, keep=result.masks)
    assert {v.name: v.kept for v in more.layers} == {name: int(m.sum()) for name, m in masks.items()}


def test_a_curve_fills_in_and_a_slider_goes_first(lab):
    request = PreviewRequest(model=MODEL, data=DATA)
    curve = lab.curve(request, [0.0, 0.5, 0.9, 0.99])
    assert lab.preview(request.replace(sparsity=0.8), session="me").sparsity == pytest.approx(0.8, abs=1e-4)
    points = list(curve)
    assert [s for s, _ in points] == [0.0, 0.5, 0.9, 0.99]
    assert all(reply.accuracy is not None and reply.picture is None for _, reply in points)
    assert curve.done and len(curve.points()) == 4


def test_a_curve_out_of_bounds_measures_nothing(lab):
    with pytest.raises(pc.ConfigError, match="sparsity"):
        lab.curve(PreviewRequest(model=MODEL, data=DATA), [0.5, 1.5])


def test_a_killed_preview_worker_answers_again(lab):
    import psutil

    frame = lab.workers()
    psutil.Process(int(frame.loc[frame["role"] == "preview", "pid"].item())).kill()
    assert lab.preview(PreviewRequest(model=MODEL, data=DATA, sparsity=0.5)).sparsity == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("model", [pc.SmallCNN(), pc.TinyViT()], ids=["convolutions", "attention"])
def test_the_cost_is_what_is_measured_on_the_masked_model(model):
    reply = ask(model=model, sparsity=0.8)
    built = model.build(DATA.info.shape, DATA.info.classes, 0)
    masks = prune_(built, 0.8)
    sizes, macs = measuring.sizes(built, masks, compress=False), measuring.macs(built, DATA.info.shape, masks)
    assert reply.cost.dense_macs == macs.dense
    # in_proj's rows of queries, keys and values all work equally often in self-attention
    assert reply.cost.kept_macs == pytest.approx(macs.effective, rel=1e-3)
    assert reply.cost.kept_bytes == pytest.approx(sizes.bitmask_bytes, rel=0.03), "but for its header"
    assert reply.cost.dense_bytes == sum(t.numel() * t.element_size() for t in built.state_dict().values())


def test_at_the_largest_score_all_is_gone():
    for scope in ("global", "layer", "erk"):
        largest = ask(sparsity=0.1, scope=scope).largest
        reply = ask(threshold=largest, scope=scope)
        assert reply.threshold == largest
        assert reply.picture is not None and not reply.picture.weights.any()


def test_normalisation_is_measured_anew_and_put_back():
    of = {"model": pc.ResNet20(), "picture": False}
    with_it, without = (ask(**of, sparsity=0.6, recalibrate=r) for r in (True, False))
    assert with_it.normalised and with_it.accuracy != without.accuracy
    assert with_it.layers == without.layers and with_it.dense == without.dense
    # nothing of it stays for the next answer
    again = ask(**of, sparsity=0.6, recalibrate=False, layer=without.layers[0].name)
    assert again.accuracy == without.accuracy
    assert not ask().normalised


@pytest.mark.parametrize("granularity", [e.cls() for e in pc.Granularity.registry], ids=lambda g: g.kind)
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_groups_go_as_prune_takes_them_and_both_sliders_say_so(granularity, scope):
    source = pc.TinyViT(dim=16, depth=1) if isinstance(granularity, pc.Heads) else pc.SmallCNN()
    model = source.build(DATA.info.shape, DATA.info.classes, 0)
    masks = prune_(model, 0.4, scope=scope, granularity=granularity)
    asked = {"model": source, "scope": scope, "granularity": granularity}
    reply = ask(sparsity=0.4, recalibrate=False, **asked)
    assert {v.name: v.kept for v in reply.layers} == {name: int(m.sum()) for name, m in masks.items()}
    assert set(reply.uncut) == set(prunable(model)) - set(masks)
    assert reply.accuracy == evaluate(model, DATA.load())
    assert reply.picture is not None and reply.picture.weights.sum() == next(
        v.kept for v in reply.layers if v.name == reply.picture.name
    )
    if scope == "global":
        by_threshold = ask(threshold=reply.threshold, accuracy=False, **asked)
        assert by_threshold.layers == reply.layers
    assert ask(sparsity=0.99, accuracy=False, **asked).sparsity <= granularity.most


def test_what_does_not_go_together_is_refused():
    with pytest.raises(pc.ConfigError, match=r"must not remove whole outputs with Wanda"):
        ask(criterion=pc.Wanda(), granularity=pc.Neurons())
