"""Each criterion against its paper's own definition: worked by hand on two layers, or made another way in float64."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import prune_core as pc
from prune_core.pruning import Evidence, one_batch, prunable

X = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
Y = torch.tensor([0])


def two_layers() -> nn.Module:
    """W1 = [[1, -2], [3, 1]], ReLU, W2 = [[1, 1], [2, -1]], no biases."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    model[0].weight.data = torch.tensor([[1.0, -2.0], [3.0, 1.0]])
    model[2].weight.data = torch.tensor([[1.0, 1.0], [2.0, -1.0]])
    return model.double()


def look(model: nn.Module, x: Tensor = X, y: Tensor = Y, **more: object) -> Evidence:
    weights = {n: w.detach() for n, w in prunable(model).items()}
    return Evidence(weights, model=model, batches=one_batch(x, y), **more)  # type: ignore[arg-type]


# For x = (1, 2): the hidden layer sees (1 - 4, 3 + 2) = (-3, 5), after ReLU (0, 5); the scores are (5, -5). The softmax
# of those is (1 - e, e) with e = 1 / (1 + exp(10)); the gradient at the scores for class 0 is (-e, e).
#   dL/dW2 = (-e, e) outer (0, 5)                 = [[0, -5e], [0, 5e]]
#   dL/dhidden = W2^T (-e, e) = (-e + 2e, -e - e) = (e, -2e); behind ReLU (0, -2e)
#   dL/dW1 = (0, -2e) outer (1, 2)                = [[0, 0], [-2e, -4e]]
E = 1 / (1 + math.exp(10))
G1 = torch.tensor([[0.0, 0.0], [-2 * E, -4 * E]])
G2 = torch.tensor([[0.0, -5 * E], [0.0, 5 * E]])


def close(found: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(found.double(), want.double(), rtol=1e-4, atol=1e-12)


def test_gradients_by_hand():
    found = look(two_layers()).gradients(1)
    close(found["0.weight"], G1)
    close(found["2.weight"], G2)


def test_gradient_magnitude_taylor_and_snip_by_hand():
    at = look(two_layers())
    w1, w2 = at.weights.values()
    sized, felt, snip = pc.GradientMagnitude().score(at), pc.Taylor().score(at), pc.SNIP().score(at)
    close(sized["0.weight"], G1.abs())
    # |w g|: W1 [[0, 0], [6e, 4e]], W2 [[0, 5e], [0, 5e]]; all together 20e
    close(felt["0.weight"], torch.tensor([[0, 0], [6 * E, 4 * E]]))
    close(felt["2.weight"], torch.tensor([[0, 5 * E], [0, 5 * E]]))
    close(snip["0.weight"], torch.tensor([[0, 0], [0.3, 0.2]]))
    close(snip["2.weight"], torch.tensor([[0, 0.25], [0, 0.25]]))
    close(felt["0.weight"], (w1 * G1).abs())
    close(felt["2.weight"], (w2 * G2).abs())


def test_fisher_is_the_mean_square_of_each_examples_own_gradient():
    # the second example is the first with the other label: its gradient is (1 - e) / -e times the first's, and the
    # gradient of the mean would nearly be that of the second alone; squares do not cancel
    x, y = X.repeat(2, 1), torch.tensor([0, 1])
    at = look(two_layers(), x, y)
    other = -(1 - E) / E
    for name, g, w in (("0.weight", G1, at.weights["0.weight"]), ("2.weight", G2, at.weights["2.weight"])):
        close(pc.Fisher().score(at)[name], 0.5 * w**2 * (g.square() + (other * g).square()) / 2)


def test_fisher_is_a_plain_loop_in_float64():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5))
    x, y = torch.randn(70, 1, 6, 6), torch.arange(70) % 5
    found = pc.Fisher().score(look(model, x, y))
    twin = model.double().eval()
    want = {n: torch.zeros_like(w) for n, w in prunable(twin).items()}
    for i in range(70):
        loss = F.cross_entropy(twin(x[i : i + 1].double()), y[i : i + 1])
        for total, g in zip(want.values(), torch.autograd.grad(loss, list(prunable(twin).values())), strict=True):
            total += g.detach() ** 2 / 70
    for name, w in prunable(twin).items():
        torch.testing.assert_close(found[name].double(), 0.5 * w.detach() ** 2 * want[name], rtol=1e-3, atol=1e-9)


def test_gradients_do_not_depend_on_how_the_examples_are_dealt_out():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
    x, y = torch.randn(30, 16), torch.arange(30) % 4
    whole = look(model, x, y).gradients(30)
    weights = {n: w.detach() for n, w in prunable(model).items()}
    parts = Evidence(weights, model=model, batches=lambda n: zip(x.split(7), y.split(7), strict=True)).gradients(30)
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-4, atol=1e-7)


def test_grasp_is_the_hessian_computed_whole():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, y = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    parameters = prunable(model)
    sizes = [p.numel() for p in parameters.values()]

    def loss(flat: Tensor) -> Tensor:
        given = {n: part.view(p.shape) for (n, p), part in zip(parameters.items(), flat.split(sizes), strict=True)}
        return F.cross_entropy(torch.func.functional_call(model, given, (x,)) / 200.0, y)

    flat = torch.cat([p.detach().reshape(-1) for p in parameters.values()])
    hessian = torch.autograd.functional.hessian(loss, flat)
    gradient = torch.autograd.functional.jacobian(loss, flat)
    want = (flat * (hessian @ gradient)).split(sizes)
    found = pc.GraSP(temperature=200.0).score(look(model, x, y))
    for (name, score), part in zip(found.items(), want, strict=True):
        torch.testing.assert_close(score, part.view(parameters[name].shape), rtol=1e-9, atol=1e-15)


def test_grasp_of_one_batch_and_of_several_are_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, y = torch.randn(9, 3, dtype=torch.float64), torch.arange(9) % 3
    whole = look(model, x, y).hessian_gradient(9, 200.0)  # one batch makes its gradient once, several make it twice
    weights = {n: w.detach() for n, w in prunable(model).items()}

    def batches(n: int) -> Any:
        return zip(x.split(4), y.split(4), strict=True)

    parts = Evidence(weights, model=model, batches=batches).hessian_gradient(9, 200.0)
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-9, atol=1e-15)


def test_grasp_differentiates_attention_twice():
    """H·g of a network with attention is the change of the gradient along g, by finite differences in float64."""
    model = pc.TinyViT(depth=1, dim=8, heads=2).build((1, 4, 4), 3, 0).double()
    at = look(model, torch.randn(6, 1, 4, 4, dtype=torch.float64), torch.arange(6) % 3)
    found, first = at.hessian_gradient(6, 1.0), at.gradients(6)
    step = 1e-5
    sides = []
    for sign in (1, -1):
        moved = copy.deepcopy(model)
        for name, w in prunable(moved).items():
            w.data.add_(first[name], alpha=sign * step)
        x, y = next(iter(at.batches(6)))
        sides.append(look(moved, x, y).gradients(6))
    for name, curved in found.items():
        torch.testing.assert_close(curved, (sides[0][name] - sides[1][name]) / (2 * step), rtol=1e-5, atol=1e-9)


def test_grasp_removes_the_highest_of_what_the_paper_scores():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    x, y = torch.randn(12, 6), torch.arange(12) % 3
    curved = look(model, x, y).hessian_gradient(12, 200.0)
    paper = torch.cat([-(w.detach() * curved[n]).reshape(-1) for n, w in prunable(model).items()])
    masks = pc.prune_(model, 0.5, pc.GraSP(), batch=(x, y))
    gone = ~torch.cat([m.reshape(-1) for m in masks.values()])
    assert float(paper[gone].min()) >= float(paper[~gone].max())


def test_synflow_by_hand():
    # |W1| = [[1, 2], [3, 1]], |W2| = [[1, 1], [2, 1]]; ones in give (3, 4) hidden, R = (3 + 4) + (6 + 4) = 17
    # dR/dW2 = (3, 4) for every output; dR/dhidden = (1 + 2, 1 + 1) = (3, 2); dR/dW1 = [[3, 3], [2, 2]]
    found = pc.SynFlow().score(look(two_layers()))
    close(found["0.weight"], torch.tensor([[3.0, 6.0], [6.0, 2.0]]))
    close(found["2.weight"], torch.tensor([[3.0, 4.0], [6.0, 4.0]]))


def test_synflow_conserves_flow_from_layer_to_layer():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(7, 9, bias=False), nn.ReLU(), nn.Linear(9, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)
    )
    model(torch.ones(1, 7))
    totals = [float(s.sum()) for s in pc.SynFlow().score(look(model, torch.ones(1, 7))).values()]
    assert totals == pytest.approx([totals[0]] * 3, rel=1e-12)  # theorem 1 of the paper: every layer carries R


@pytest.mark.parametrize("seed", range(3))
def test_synflow_keeps_a_path_where_the_others_cut_the_network_in_two(seed):
    """Layer collapse (Tanaka et al. 2020): with 50 of 33,408 weights left, nine layers deep."""

    def deep() -> nn.Module:
        torch.manual_seed(seed)
        widths = [64, *[64] * 8, 10]
        return nn.Sequential(
            *(m for a, b in itertools.pairwise(widths) for m in (nn.Linear(a, b, bias=False), nn.ReLU()))
        )

    x, y = torch.randn(64, 64), torch.arange(64) % 10
    connected = {}
    for criterion in (pc.SynFlow(), pc.SNIP(), pc.Magnitude(), pc.Random()):
        model = deep()
        pc.prune_(model, 0.9985, criterion, batch=(x, y))
        paths = model.double().apply(lambda m: m.weight.data.abs_() if isinstance(m, nn.Linear) else None)
        connected[criterion.kind] = bool((paths(torch.ones(1, 64, dtype=torch.float64)) > 0).any())
    assert connected == {"synflow": True, "snip": False, "magnitude": False, "random": False}


def test_synflow_goes_down_to_one_weight_a_layer_whatever_the_biases_are():
    """The axiom of the paper, maximal critical compression: 3 of 4,160 weights, of a network as torch draws it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 50), nn.ReLU(), nn.Linear(50, 16), nn.ReLU(), nn.Linear(16, 10))
    assert all(bool(layer.bias.any()) for layer in model if isinstance(layer, nn.Linear))
    total = sum(w.numel() for w in prunable(model).values())
    masks = pc.prune_(model, 1 - 3 / total, pc.SynFlow(), batch=(torch.ones(1, 64), torch.zeros(1).long()))
    assert [int(mask.sum()) for mask in masks.values()] == [1, 1, 1]


def test_synflow_does_not_overflow_where_float32_would():
    model = nn.Sequential(*(nn.Linear(50, 50) for _ in range(30)))
    for layer in model:
        layer.weight.data.fill_(30.0)
    found = pc.SynFlow().score(look(model, torch.ones(1, 50)))
    assert all(bool(s.isfinite().all()) and float(s.max()) > 3e38 for s in found.values())


def test_lamp_by_hand():
    # layer 1: squares 1, 4, 9, 1 ascending 1 (first), 1 (last), 4, 9: 1/15, 1/14, 4/13, 9/9
    # layer 2: squares 1, 1, 4, 1 ascending: 1/7, 1/6, 1/5, 4/4
    found = pc.LAMP().score(look(two_layers()))
    close(found["0.weight"], torch.tensor([[1 / 15, 4 / 13], [1.0, 1 / 14]]))
    close(found["2.weight"], torch.tensor([[1 / 7, 1 / 6], [1.0, 1 / 5]]))


def test_relative_magnitude_by_hand():
    # the means of |w| are 7/4 and 5/4
    found = pc.RelativeMagnitude().score(look(two_layers()))
    close(found["0.weight"], torch.tensor([[4.0, 8.0], [12.0, 4.0]]) / 7)
    close(found["2.weight"], torch.tensor([[4.0, 4.0], [8.0, 4.0]]) / 5)
    # once 3 and 2 of the first layer are gone, the mean of what is left there is 1
    gone = {"0.weight": torch.tensor([[True, False], [False, True]])}
    close(pc.RelativeMagnitude().score(look(two_layers(), masks=gone))["0.weight"][0, 0], torch.tensor(1.0))


def test_wanda_by_hand():
    # two examples in: (1, 2) and (3, 0); the norms of the inputs are sqrt(10) and 2
    x = torch.tensor([[1.0, 2.0], [3.0, 0.0]], dtype=torch.float64)
    at = look(two_layers(), x, torch.tensor([0, 1]))
    norms = at.input_norms(2)
    close(norms["0.weight"], torch.tensor([[10**0.5, 2.0]]).expand(2, 2))
    # hidden after ReLU: (0, 5) and (3, 9): norms 3 and sqrt(106)
    close(norms["2.weight"], torch.tensor([[3.0, 106**0.5]]).expand(2, 2))
    # row 1: 1·3.16 < 2·2; row 2: 3·3.16 > 1·2
    assert pc.Wanda().score(at)["0.weight"].tolist() == [[0.0, 0.5], [0.5, 0.0]]


def test_wanda_takes_the_same_share_of_every_row():
    model = nn.Linear(10, 7)
    masks = pc.prune_(model, 0.3, pc.Wanda(), "layer", batch=(torch.randn(5, 10), torch.arange(5)))
    assert masks["weight"].sum(1).tolist() == [7] * 7


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2, "padding": 2}])
def test_the_inputs_of_a_convolution_are_what_its_kernel_meets(settings):
    layer = nn.Conv2d(4, 6, 3, **settings)
    model = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.randn(5, 4, 9, 9)
    found = look(model, x, torch.arange(5)).input_norms(5)["0.weight"]
    patches = F.unfold(x, 3, layer.dilation, layer.padding, layer.stride)  # (5, 4·9, places)
    want = patches.double().square().sum((0, 2)).sqrt().view(layer.groups, 4 // layer.groups, 3, 3)
    torch.testing.assert_close(found.double(), want.repeat_interleave(6 // layer.groups, 0), rtol=1e-5, atol=1e-5)


def test_an_input_that_cannot_be_seen_is_a_sentence():
    with pytest.raises(pc.ConfigError, match=r"inputs of weight_ih_l0 cannot be seen"):
        pc.prune_(nn.LSTM(4, 4), 0.5, pc.Wanda(), batch=(torch.randn(2, 3, 4), torch.arange(2)))
    both = nn.ModuleList([nn.Linear(4, 4), nn.LSTM(4, 4)])
    with pytest.raises(pc.ConfigError, match=r"inputs of 1.weight_ih_l0 cannot be seen"):
        pc.prune_(both, 0.5, pc.Wanda(), batch=(torch.randn(2, 4), torch.arange(2)))
    assert not both[0]._forward_pre_hooks  # of those that could be


def test_movement_is_minus_the_sum_of_weight_times_gradient():
    settings = {"data": pc.Digits(), "model": pc.MLP(width=16, depth=1)}
    train = pc.Training(steps=6, batch_size=32, lr=0.05, momentum=0.0)
    prune = pc.Pruning(criterion=pc.Movement(), schedule=pc.OneShot(final=0.5, at=6))
    pruned = pc.run(pc.Experiment(**settings, prune=prune, train=train))
    # the same steps without pruning: plain SGD without momentum moves by -lr·g, so w·g can be read off the weights
    total: dict[str, Tensor] = {}
    states = [pc.Experiment(**settings, train=train.replace(steps=k)) for k in range(1, 7)]
    before = {n: w.detach().clone() for n, w in prunable(settings["model"].build((1, 8, 8), 10, 0)).items()}
    for exp in states:
        after = {n: w.detach().double() for n, w in prunable(pc.run(exp).model).items()}
        for n, w in before.items():
            total[n] = total.get(n, 0) + w.double() * (after[n] - w.double()) / 0.05  # = -w·g
        before = after
    everything = torch.cat([s.reshape(-1) for s in total.values()])
    kept = torch.cat([m.reshape(-1) for m in pruned.masks.values()])
    # all but those at the very threshold, where float32 and float64 may disagree
    border = everything.sort().values[len(everything) // 2]
    clear = (everything - border).abs() > 1e-3 * everything.abs().max()
    assert torch.equal(kept[clear], (everything > border)[clear]) and float(clear.double().mean()) > 0.5


def test_a_run_that_follows_movement_resumes_bitwise(tmp_path):
    exp = pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(),
        prune=pc.Pruning(criterion=pc.Movement(), schedule=pc.Cubic(final=0.8, start=4, stop=20, every=4)),
        train=pc.Training(steps=24, batch_size=32),
    )  # fmt: skip
    whole = pc.run(exp)
    control = pc.Control()
    for event in pc.stream(exp, control, checkpoint=tmp_path / "run.pt"):
        if isinstance(event, pc.StepEvent) and event.step == 11:
            control.stop()
    rest = [e for e in pc.stream(exp, checkpoint=tmp_path / "run.pt") if isinstance(e, pc.StepEvent)]
    assert [e.step for e in rest] == list(range(12, 25))
    assert [e.loss for e in rest] == whole.history["loss"].tolist()[11:]


@pytest.mark.parametrize("criterion", [pc.SNIP(), pc.GraSP(), pc.SynFlow()], ids=lambda c: c.kind)
def test_what_is_defined_before_training_is_refused_later(criterion):
    with pytest.raises(pc.ConfigError, match=r"Pruning.schedule must end at step 0 .* before training; got 300"):
        pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), prune=pc.Pruning(criterion=criterion, schedule=pc.Cubic()))


def test_movement_must_have_seen_steps():
    with pytest.raises(
        pc.ConfigError, match=r"must remove nothing at step 0, because Movement follows training first; got 0.9"
    ):
        pc.Experiment(
            data=pc.Digits(), model=pc.SmallCNN(), prune=pc.Pruning(criterion=pc.Movement(), schedule=pc.OneShot())
        )


def test_movement_without_a_run_is_a_sentence():
    with pytest.raises(pc.ConfigError, match="through training: use it in an Experiment"):
        pc.prune_(two_layers(), 0.5, pc.Movement(), batch=(X, Y))
