"""What every registered clipping strategy keeps, whatever it does: a new one is held to it without a line here."""

from __future__ import annotations

import io
from operator import attrgetter

import pytest
import torch
from torch import nn

from prune_core.clipping import ClipReport, ClipStrategy, FlatGradients
from prune_core.errors import ConfigError
from prune_core.formulas import ClipNumbers, LayerNumbers, tex

ENTRIES = list(ClipStrategy.registry)
SCALES = [1e-30, 1e-6, 1.0, 1e6, 1e25]  # 1e25: squares overflow float32


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def strategy(request) -> ClipStrategy:
    return request.param.cls()


def network(seed: int = 0, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    model.batch = torch.randn(8, 1, 8, 8), torch.zeros(8)
    model(model.batch[0]).square().sum().backward()
    peak = max(float(p.grad.abs().max()) for p in model.parameters())
    for p in model.parameters():
        p.grad.mul_(scale / peak)
    model.loss = lambda output, _: 8 * scale / peak * output.square().sum()  # of one example; the mean over 8 is that
    return model


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()])


def flat(strategy: ClipStrategy, model: nn.Module) -> FlatGradients:
    grads = FlatGradients.gather(model.named_parameters())
    if strategy.per_sample:
        strategy.gradient_(grads, model, *model.batch, loss=model.loss)
    return grads


def clip(strategy: ClipStrategy, model: nn.Module, state: dict | None = None) -> ClipReport:
    """As ``clip_`` does; a strategy that clips the gradient of each example is given the examples."""
    if not strategy.per_sample:
        return strategy.clip_(model.named_parameters(), state)
    grads = flat(strategy, model)
    report = strategy.clip_flat_(grads, strategy.init_state() if state is None else state)
    grads.scatter_()
    return report


@pytest.mark.parametrize("scale", SCALES)
def test_the_report_says_what_happened(strategy, scale):
    model = network(scale=scale)
    before = flat(strategy, model).values.double()
    report = clip(strategy, model)
    after = gradients(model).double()
    assert float(report.norm_before) == pytest.approx(float(before.norm()), rel=2e-6)
    assert float(report.norm_after) == pytest.approx(float(after.norm()), rel=2e-6)
    assert float(report.changed) == float((before != after).double().mean())
    assert float(report.cosine) == pytest.approx(float(before @ after / before.norm() / after.norm()), abs=2e-6)
    assert report.names == tuple(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("scale", SCALES)
def test_the_report_by_layer_says_what_happened(strategy, scale):
    model = network(scale=scale)
    before = [layer.double().clone() for layer in flat(strategy, model).layers]
    report = clip(strategy, model)
    for i, (a, p) in enumerate(zip(before, model.parameters(), strict=True)):
        b = p.grad.double().reshape(-1)
        assert float(report.layer_norm_before[i]) == pytest.approx(float(a.norm()), rel=2e-6)
        assert float(report.layer_norm_after[i]) == pytest.approx(float(b.norm()), rel=2e-6)
        assert float(report.layer_changed[i]) == float((a != b).double().mean())
        assert float(report.layer_cosine[i]) == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=2e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_it_never_lengthens_and_the_cosine_is_one(strategy, scale):
    """A mean of clipped gradients may be longer than the plain mean in which examples cancel; never than the limit."""
    report = clip(strategy, network(scale=scale))
    limit = strategy.threshold if strategy.per_sample else float(report.norm_before)
    assert float(report.norm_after) <= limit * (1 + 1e-6)
    assert -1 <= float(report.cosine) <= 1 and 0 <= float(report.changed) <= 1
    assert bool((report.layer_cosine.abs() <= 1).all())


def test_parameters_keep_number_shape_and_values(strategy):
    model = network()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    clip(strategy, model)
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in before.items()}
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad.shape == p.shape for p in model.parameters())


def test_twice_from_the_same_start_is_bitwise_equal(strategy):
    first, second = network(scale=3.0), network(scale=3.0)
    a, b = clip(strategy, first), clip(strategy, second)
    assert torch.equal(gradients(first), gradients(second))
    assert torch.equal(a.overall, b.overall) and torch.equal(a.by_layer, b.by_layer)


def test_the_flat_form_does_the_same(strategy):
    model = network(scale=3.0)
    grads = flat(strategy, model)
    strategy.clip_flat_(grads, strategy.init_state(), layers=False)
    clip(strategy, model)
    assert torch.equal(grads.values, gradients(model))


def test_the_state_goes_through_a_checkpoint(strategy):
    state = strategy.init_state()
    grads = [flat(strategy, network(seed, scale=3.0)) for seed in range(4)]
    for g in grads[:2]:
        strategy.clip_flat_(g, state)
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    for g in grads[2:]:
        twin = FlatGradients(g.values.clone(), g.names, g.offsets, g.parameters)
        twin.clipped = g.clipped
        strategy.clip_flat_(g, state)
        strategy.clip_flat_(twin, loaded)
        assert torch.equal(g.values, twin.values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", [0, 17, -1])
def test_a_gradient_that_is_not_finite_is_never_hidden(strategy, bad, where):
    grads = flat(strategy, network())
    grads.values[where] = bad
    report = strategy.clip_flat_(grads, strategy.init_state())
    assert not torch.isfinite(report.norm_before) and not torch.isfinite(report.cosine)


def test_a_gradient_of_zeros_stays(strategy):
    model = network()
    for p in model.parameters():
        p.grad.zero_()
    model.loss = lambda output, _: 0 * output.sum()
    report = clip(strategy, model)
    assert report.overall.tolist() == [0, 0, 0, 1] and not gradients(model).any()


def test_the_threshold_can_be_moved_in_mid_run(strategy):
    moved = strategy.with_threshold(0.125)
    assert moved.threshold == 0.125 == attrgetter(strategy.threshold_field)(moved)
    assert type(moved) is type(strategy) and strategy.threshold != 0.125
    for bad in (0, -1, float("nan"), "much"):
        with pytest.raises(ConfigError, match=strategy.threshold_field.rpartition(".")[2]):
            strategy.with_threshold(bad)


def test_a_smaller_threshold_leaves_less(strategy):
    """After 30 other gradients: AutoClip's and ZClip's papers let the first ones pass, whatever the threshold."""
    left = []
    for threshold in (0.01, 0.1):
        moved, state = strategy.with_threshold(threshold), strategy.init_state()
        for step in range(30):
            clip(moved, network(step, scale=1 + step / 30), state)
        left.append(float(clip(moved, network(scale=9.0), state).norm_after))
    assert left[0] < left[1]


def test_it_can_be_written_down_and_read_back(strategy):
    assert ClipStrategy.model_validate(strategy.model_dump()) == strategy


def test_people_can_read_what_it_is(strategy):
    entry = ClipStrategy.registry[strategy.kind]
    assert entry.label and entry.formula and entry.reference and entry.summary.endswith(".")
    assert all(field.help for field in type(strategy).fields())


@pytest.mark.parametrize("known", ["all", "what a run records"])
def test_its_formula_has_the_numbers_of_a_clipping(strategy, known):
    model, moved, state = network(), strategy.with_threshold(0.07), strategy.init_state()
    entries = flat(strategy, model).values.numpy().copy()
    report = clip(moved, model, state)
    names = [n for n, _ in model.named_parameters()]
    layers = [LayerNumbers(n, 9, float(a), float(b)) for n, a, b in
              zip(names, report.layer_norm_before, report.layer_norm_after, strict=True)]  # fmt: skip
    norms = float(report.norm_before), float(report.norm_after)
    now = ClipNumbers(*norms, float(report.changed))
    if known == "all":
        now = ClipNumbers(*norms, float(report.changed), entries, layers, state, 1)
    pieces = moved.filled(now)
    assert any("0.07" in piece for piece in pieces)
    for piece in (*pieces, *now.measured):
        assert piece.count("{") == piece.count("}") and "nan" not in piece and "None" not in piece
    assert tex(norms[0]) in now.measured[0] and tex(norms[1]) in now.measured[0]


def test_a_strategy_that_says_nothing_of_its_formula_shows_its_threshold():
    class Own(ClipStrategy):
        threshold: float = 0.25

    assert Own().filled(ClipNumbers(2.0, 1.0, 0.5)) == (r"\text{threshold } 0.25",)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (12345.6, "12346"), (0.1, "0.1"), (2.0, "2"), (999.96, "1000"),
     (1.5e-7, r"1.5 \cdot 10^{-7}"),
     (2e12, r"2 \cdot 10^{12}"), (-0.5, "-0.5"), (float("inf"), r"\text{not finite}"), (0, "0")],
)  # fmt: skip
def test_numbers_in_formulas(value, text):
    assert tex(value) == text
