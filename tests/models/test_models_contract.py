"""What every registered model must do, for every shape of data the lab has."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prune_core.errors import ConfigError
from prune_core.models import ModelSource

EVERY = [entry.name for entry in ModelSource.registry]
SHAPES = {"points": (2,), "digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar": (3, 32, 32)}
FITS = {
    "points": {"mlp"},
    "digits": set(EVERY) - {"torchvision"},
    "mnist": set(EVERY) - {"torchvision"},
    "cifar": set(EVERY),
}
PAIRS = [(name, data) for data in SHAPES for name in EVERY if name in FITS[data]]
MISFITS = [(name, data) for data in SHAPES for name in EVERY if name not in FITS[data]]
FIRST = {name: SHAPES["cifar"] if name == "torchvision" else SHAPES["digits"] for name in EVERY}

every = pytest.mark.parametrize("name", EVERY)


def source_of(name):
    return ModelSource.registry[name].cls()


def small(name, seed=0):
    return source_of(name).build(FIRST[name], 10, seed)


def same(a, b):
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_the_lab_has_its_nine_models():
    expected = {"seednet", "mlp", "lenet300", "lenet5", "small_cnn", "resnet20", "tiny_vit", "row_lstm", "torchvision"}
    assert set(EVERY) >= expected


@every
def test_entry_has_what_a_form_shows(name):
    entry = ModelSource.registry[name]
    assert entry.label and entry.summary
    assert all(field.help for field in entry.cls.fields())


@every
def test_settings_come_back_from_json(name):
    assert ModelSource.model_validate_json(source_of(name).model_dump_json()) == source_of(name)


@pytest.mark.parametrize(("name", "data"), PAIRS)
def test_it_gives_a_logit_for_each_class(name, data):
    model = source_of(name).build(SHAPES[data], 7, seed=0)
    out = model(torch.randn(2, *SHAPES[data], generator=torch.Generator().manual_seed(0)))
    assert out.shape == (2, 7) and out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize(("name", "data"), MISFITS)
def test_it_refuses_what_does_not_fit_before_building(name, data, monkeypatch):
    source = source_of(name)
    monkeypatch.setattr(type(source), "_build", lambda *_: pytest.fail("built"))
    for call in (source.check, lambda *a: source.build(*a, seed=0)):
        with pytest.raises(ConfigError, match="choose"):
            call(SHAPES[data], 10)


@every
def test_one_class_is_refused(name):
    with pytest.raises(ConfigError, match="at least 2 classes, got 1"):
        source_of(name).check(FIRST[name], 1)


@every
def test_same_seed_same_bits_whatever_was_drawn_before(name):
    torch.manual_seed(1)
    first = small(name)
    torch.manual_seed(2)
    torch.rand(3)
    assert same(small(name), first)
    assert not same(small(name, seed=1), first)


@every
def test_building_leaves_the_global_generator_alone(name):
    before = torch.random.get_rng_state()
    small(name)
    assert torch.equal(torch.random.get_rng_state(), before)


@every
def test_a_pass_is_repeatable_and_draws_nothing(name):
    model = small(name).train()
    x = torch.randn(4, *FIRST[name], generator=torch.Generator().manual_seed(0))
    before = torch.random.get_rng_state()
    assert torch.equal(model(x), model(x))  # dropout is off unless asked for
    assert torch.equal(torch.random.get_rng_state(), before)


@every
def test_every_parameter_gets_a_finite_gradient(name):
    model = small(name)
    x = torch.randn(4, *FIRST[name], generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(x), torch.tensor([0, 1, 2, 3])).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), parameter_name
        assert parameter.dtype == torch.float32 and parameter.requires_grad


@every
def test_it_can_be_copied_sent_and_saved(name):
    model = small(name)
    assert same(copy.deepcopy(model), model)
    assert same(pickle.loads(pickle.dumps(model)), model)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = small(name, seed=5)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert same(other, model)


@every
def test_it_is_an_ordinary_module(name):
    model = small(name)
    assert isinstance(model, nn.Module) and not any(m._forward_pre_hooks for m in model.modules())
    assert not any(key.endswith(("_orig", "_mask")) for key in model.state_dict())
