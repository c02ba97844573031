"""Equal to torch's own clipping, bit for bit where torch is right, and right where torch is not."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prune_core.clipping import ClipReport, FlatGradients, NormClip, ValueClip, measure, report
from prune_core.errors import ConfigError


def with_gradients(seed: int, scale: float = 1.0, sizes: tuple[int, ...] = (3, 65, 1, 4097)) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Module()
    for i, n in enumerate(sizes):
        p = nn.Parameter(torch.zeros(n))
        p.grad = torch.randn(n) * scale
        model.register_parameter(f"w{i}", p)
    return model


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad) and a.grad.dtype == b.grad.dtype


@given(st.integers(0, 999), st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_value_equals_torch(seed, scale, threshold):
    ours, theirs = with_gradients(seed, scale), with_gradients(seed, scale)
    ValueClip(threshold=threshold).clip_(ours.parameters())
    nn.utils.clip_grad_value_(theirs.parameters(), threshold)
    assert_same(ours, theirs)


@pytest.mark.parametrize("order", [1, 2, math.inf])
@given(st.integers(0, 999), st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_norm_equals_torch(order, seed, scale, max_norm):
    ours, theirs = with_gradients(seed, scale), with_gradients(seed, scale)
    result = NormClip(max_norm=max_norm, norm_type=order).clip_(ours.parameters())
    total = nn.utils.clip_grad_norm_(theirs.parameters(), max_norm, norm_type=order)
    assert_same(ours, theirs)
    if order == 2:
        assert float(result.norm_before) == float(total)


def test_norm_equals_torch_on_a_network():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    ours(torch.randn(64, 784)).square().sum().backward()
    theirs = copy.deepcopy(ours)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        b.grad = a.grad.clone()
    NormClip(max_norm=0.5).clip_(ours.parameters())
    nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    assert_same(ours, theirs)


def test_worked_by_hand():
    p = nn.Parameter(torch.zeros(4))
    p.grad = torch.tensor([3.0, -4.0, 0.0, 0.0])
    result = ValueClip(threshold=3.5).clip_([p])
    assert p.grad.tolist() == [3.0, -3.5, 0.0, 0.0]
    # norms √(9+16) and √(9+12.25); one of four entries changed; cosine (9+14)/(5·√21.25)
    assert result.overall.tolist() == pytest.approx([5, 21.25**0.5, 0.25, 23 / (5 * 21.25**0.5)], rel=1e-6)

    p.grad = torch.tensor([3.0, -4.0, 0.0, 0.0])
    result = NormClip(max_norm=1).clip_([p])
    assert p.grad.tolist() == pytest.approx([0.6, -0.8, 0, 0], rel=1e-6)
    assert result.overall.tolist() == pytest.approx([5, 1, 0.5, 1], rel=1e-6)  # a zero that is scaled stays zero


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("clip", [ValueClip(threshold=0.1), NormClip(max_norm=0.1)])
def test_other_types_keep_their_type(clip, dtype):
    ours = with_gradients(0).to(dtype)
    theirs = with_gradients(0).to(dtype).double()
    clip.clip_(ours.parameters())
    clip.clip_(theirs.parameters())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.grad.dtype == dtype
        torch.testing.assert_close(a.grad, b.grad.to(dtype))


def test_types_may_be_mixed():
    model = with_gradients(0)
    model.w1 = nn.Parameter(torch.zeros(65, dtype=torch.float64))
    model.w1.grad = torch.full((65,), 2.0, dtype=torch.float64)
    model.w2 = nn.Parameter(torch.zeros(1, dtype=torch.float16))
    model.w2.grad = torch.ones(1, dtype=torch.float16)
    ValueClip(threshold=0.1).clip_(model.parameters())
    assert model.w1.grad.eq(0.1).all() and model.w2.grad.dtype == torch.float16
    assert float(model.w3.grad.abs().max()) == pytest.approx(0.1)


def test_memory_formats_are_kept():
    conv = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    conv(torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)).square().sum().backward()
    twin = conv.weight.grad.clone(memory_format=torch.contiguous_format)
    ValueClip(threshold=0.01).clip_(conv.parameters())
    assert torch.equal(conv.weight.grad, twin.clamp(-0.01, 0.01))


# --- where torch is not to be copied ---------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [1, 2, "inf"])
@pytest.mark.parametrize("scale", [1e25, 1e-30])
def test_squares_that_leave_float32_do_not_destroy_the_gradient(order, scale):
    model = with_gradients(0, scale)
    before = torch.cat([p.grad for p in model.parameters()]).double()
    result = NormClip(max_norm=1.0, norm_type=order).clip_(model.parameters())
    after = torch.cat([p.grad for p in model.parameters()]).double()
    assert float(result.norm_before) == pytest.approx(float(before.norm()), rel=1e-6)
    # torch's norm is inf at 1e25, and the gradient all zeros
    assert float(after.norm(p=float(order))) == pytest.approx(min(1.0, float(before.norm(p=float(order)))), rel=1e-5)


def test_half_precision_norms_do_not_overflow():
    p = nn.Parameter(torch.zeros(1000, dtype=torch.float16))
    p.grad = torch.full((1000,), 3e3, dtype=torch.float16)  # the norm, 9.5e4, is beyond float16
    result = NormClip(max_norm=1.0).clip_([p])
    assert float(result.norm_before) == pytest.approx(3e3 * 1000**0.5)
    assert float(p.grad.double().norm()) == pytest.approx(1, rel=1e-2)


# --- what may be given -----------------------------------------------------------------------------------------------
def test_a_generator_is_read_once_and_parameters_without_gradient_are_left_out():
    model = with_gradients(0, sizes=(5, 7))
    model.frozen = nn.Parameter(torch.zeros(3))
    result = ValueClip(threshold=0.1).clip_(p for p in model.parameters())
    assert float(result.norm_before) > 0 and len(result.names) == 2 and model.frozen.grad is None


def test_one_parameter_alone():
    p = nn.Parameter(torch.zeros(3))
    p.grad = torch.ones(3)
    ValueClip(threshold=0.5).clip_(p)
    assert p.grad.tolist() == [0.5] * 3


@pytest.mark.parametrize("parameters", [[], [nn.Parameter(torch.zeros(2))], (p for p in ())])
def test_nothing_to_clip_is_said(parameters):
    with pytest.raises(ConfigError, match=r"backward\(\)"):
        ValueClip().clip_(parameters)


def test_sparse_gradients_are_refused_by_name():
    embedding = nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(ConfigError, match="weight must be dense"):
        ValueClip().clip_(embedding.named_parameters())


def test_bad_settings_name_field_bound_and_value():
    for bad in (0, -0.5, float("nan"), float("inf"), "much"):
        with pytest.raises(ConfigError, match=r"ValueClip\.threshold must be a .*number greater than 0"):
            ValueClip(threshold=bad)
    with pytest.raises(ConfigError, match=r"norm_type must be one of 1, 2, 'inf', got 3"):
        NormClip(norm_type=3)


@pytest.mark.parametrize(("given", "kept"), [(1.0, 1), (2, 2), ("2", 2), (math.inf, "inf"), ("inf", "inf")])
def test_norm_type_may_be_written_as_torch_does(given, kept):
    assert NormClip(norm_type=given).norm_type == kept


# --- the report ------------------------------------------------------------------------------------------------------
def test_no_clipping_reports_no_change():
    grads = FlatGradients.gather(with_gradients(0).named_parameters())
    result = measure(grads)
    assert torch.equal(result.norm_before, result.norm_after)
    assert float(result.norm_before) == pytest.approx(float(grads.values.norm()), rel=1e-6)
    assert result.layer_changed.tolist() == [0] * 4 and result.layer_cosine.tolist() == [1] * 4
    grads.values[5] = math.inf
    assert not torch.isfinite(measure(grads).norm_before)


def test_clipping_that_does_nothing_equals_no_clipping():
    grads = FlatGradients.gather(with_gradients(0).parameters())
    for clip in (ValueClip(threshold=1e6), NormClip(max_norm=1e6)):
        result = clip.clip_flat_(grads, {})
        assert result.overall.tolist() == pytest.approx(measure(grads).overall.tolist(), rel=1e-6)
        assert float(result.changed) == 0 and float(result.cosine) == 1


def test_values_by_layer_only_where_asked():
    grads = FlatGradients.gather(with_gradients(0).parameters())
    result = ValueClip().clip_flat_(grads, {}, layers=False)
    with pytest.raises(ConfigError, match="layers=True"):
        _ = result.layer_cosine
    assert isinstance(result, ClipReport) and "cosine=" in repr(result)


def test_the_flat_vector_is_clipped_where_it_lies():
    values = torch.tensor([1.0, -2.0, 3.0])
    grads = FlatGradients(values, ("a", "b"), (0, 1, 3))
    for _ in range(2):
        ValueClip(threshold=1.5).clip_flat_(grads, {})
        assert values.tolist() == [1.0, -1.5, 1.5]
    assert grads.layers[1].data_ptr() == values[1:].data_ptr()


# --- the GPU's way, on the CPU ---------------------------------------------------------------------------------------
VECTORS = {
    "usual": torch.randn(500, generator=torch.Generator().manual_seed(0)),
    "huge": torch.randn(500, generator=torch.Generator().manual_seed(0)) * 1e25,
    "tiny": torch.randn(500, generator=torch.Generator().manual_seed(0)) * 1e-30,
    "zeros": torch.zeros(500),
    "one inf": torch.cat([torch.ones(499), torch.tensor([math.inf])]),
    "one nan": torch.cat([torch.ones(499), torch.tensor([math.nan])]),
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
@pytest.mark.parametrize("share", [1e9, 0.5, 0.0], ids=["nothing changed", "some changed", "all gone"])
def test_waiting_for_nothing_gives_the_same_report(vector, share):
    scale = vector.nan_to_num(1, 1, 1).abs().max()
    after = vector.clamp(-share * scale, share * scale) if share else torch.zeros_like(vector)
    looking, waiting = report._compare_looking(vector, after), report._compare_waiting_for_nothing(vector, after)
    torch.testing.assert_close(looking, waiting, rtol=1e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
@pytest.mark.parametrize("factor", [None, torch.tensor(1.0), torch.tensor(0.25)])
def test_waiting_for_nothing_gives_the_same_report_of_a_factor(vector, factor):
    length = report.norm(vector)
    looking = report._scaled_looking(vector, length, factor)
    waiting = report._scaled_waiting_for_nothing(vector, length, factor)
    torch.testing.assert_close(looking, waiting, rtol=1e-6, atol=1e-6, equal_nan=True)
