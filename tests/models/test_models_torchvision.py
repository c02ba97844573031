from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models as peer

from prune_core.errors import ConfigError, ModelError
from prune_core.models import Torchvision, torchvision_names

CIFAR = (3, 32, 32)


def test_names_are_torchvisions_classification_models():
    names = torchvision_names()
    assert {"resnet18", "resnet50", "vit_b_16", "swin_t", "squeezenet1_0"} <= set(names)
    assert not any(word in name for name in names for word in ("fcn", "deeplab", "raft", "rcnn", "r3d", "quantized"))


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(ConfigError, match="no torchvision model named 'resnet81'; did you mean 'resnet18'"):
        Torchvision(architecture="resnet81")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("resnet18", (1, 28, 28), "3 colour channels, got 1; choose CIFAR10 .* ResNet20"),
        ("resnet18", (2,), "choose MLP"),
        ("alexnet", CIFAR, "at least 63×63 pixels, got 32×32; choose resnet18"),
        ("inception_v3", CIFAR, "at least 75×75 pixels"),
        ("swin_t", CIFAR, "at least 224×224 pixels"),
        ("vit_b_16", (3, 40, 40), "a multiple of 16, got 40×40"),
        ("maxvit_t", (3, 256, 256), "exactly 224×224 pixels, got 256×256"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_a_choice(name, shape, message):
    with pytest.raises(ConfigError, match=message):
        Torchvision(architecture=name).check(shape, 10)


def test_a_pretrained_transformer_keeps_its_size():
    Torchvision(architecture="vit_b_32").check((3, 64, 64), 10)
    with pytest.raises(ConfigError, match="224×224"):
        Torchvision(architecture="vit_b_32", weights="pretrained").check((3, 64, 64), 10)


# of the regnets one: they cannot be built without memory, and differ in width only
@pytest.mark.parametrize("name", [n for n in torchvision_names() if "regnet" not in n or n == "regnet_y_400mf"])
def test_each_architecture_is_refused_for_cifar_or_fits(name):
    source = Torchvision(architecture=name)
    try:
        source.check(CIFAR, 10)
    except ConfigError:
        assert min(peer.get_model_weights(name).DEFAULT.meta["min_size"]) > 32
        return
    # without memory or arithmetic: shapes only
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model = source._build(CIFAR, 10).train()
        assert model(torch.zeros(2, *CIFAR)).shape == (2, 10)
    assert all(m.p == 0 for m in model.modules() if isinstance(m, nn.Dropout))


def test_dropout_is_set_where_the_model_has_some():
    with torch.device("meta"):
        model = Torchvision(architecture="vgg11", dropout=0.3)._build(CIFAR, 10)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.3, 0.3]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty folder where torch keeps published weights, and no network."""

    def refuse(url, timeout=None):
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def published_file(hub, name):
    return hub / peer.get_model_weights(name).DEFAULT.url.rpartition("/")[2]


def test_weights_that_are_not_there_offline(hub):
    source = Torchvision(architecture="squeezenet1_1", weights="pretrained")
    source.check(CIFAR, 10)  # nothing is fetched to check
    with pytest.raises(ModelError) as error:
        source.build(CIFAR, 10, seed=0)
    message = str(error.value)
    assert published_file(hub, "squeezenet1_1").name in message and str(hub) in message
    assert "choose weights='random'" in message
    assert not hub.exists()


def test_weights_that_are_not_weights(hub):
    hub.mkdir(parents=True)
    published_file(hub, "squeezenet1_1").write_bytes(b"<html>")
    with pytest.raises(ModelError, match=r"\(6 bytes\) does not hold the weights of squeezenet1_1"):
        Torchvision(architecture="squeezenet1_1", weights="pretrained").build(CIFAR, 10, seed=0)


@pytest.mark.parametrize("name", ["squeezenet1_1", "mnasnet0_5", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_published_weights_are_used_and_the_classifier_made_anew(name, hub):
    hub.mkdir(parents=True)
    torch.manual_seed(0)
    published = peer.get_model(name)
    torch.save(published.state_dict(), published_file(hub, name))
    source = Torchvision(architecture=name, weights="pretrained")
    whole = source.build(CIFAR, 1000, seed=0).state_dict()
    assert all(torch.equal(whole[key], value) for key, value in published.state_dict().items())

    model = source.build(CIFAR, 10, seed=0).eval()
    assert model(torch.zeros(1, *CIFAR)).shape == (1, 10)
    state = model.state_dict()
    fresh = {key for key, value in published.state_dict().items() if state[key].shape != value.shape}
    assert len(fresh) == 2  # weight and bias of the classifier
    assert all(torch.equal(state[k], v) for k, v in published.state_dict().items() if k not in fresh)
    again = source.build(CIFAR, 10, seed=0).state_dict()
    assert all(torch.equal(again[key], value) for key, value in state.items())
