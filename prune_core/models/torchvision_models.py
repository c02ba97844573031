"""Every classification model of torchvision, with random or published weights."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import field_validator
from torch import nn

from prune_core.errors import ConfigError, ModelError, UnknownNameError
from prune_core.fetching import fetch
from prune_core.models.base import ModelSource, check_classes, check_image
from prune_core.registry import register
from prune_core.settings import setting

IMAGENET_CLASSES = 1000


@functools.cache
def torchvision_names() -> tuple[str, ...]:
    """Names of the classification models, alphabetical; builds none of them."""
    from torchvision import models

    return tuple(models.list_models(module=models))


@register("torchvision", label="torchvision model", reference="https://docs.pytorch.org/vision/stable/models.html")
class Torchvision(ModelSource):
    """Any classification model of torchvision, for colour images."""

    architecture: str = setting("resnet18", help="Name of the model in torchvision.")
    weights: Literal["random", "pretrained"] = setting(
        "random", help="Start from the seed, or from weights trained on ImageNet (the classifier from the seed)."
    )
    dropout: float = setting(0.0, ge=0, lt=1, help="Share dropped in its dropout layers while training.", advanced=True)

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in torchvision_names():
            raise UnknownNameError("torchvision model", name, torchvision_names())
        return name

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        check_classes(self, classes)
        check_image(self, shape)
        name, (channels, h, w) = self.architecture, shape
        if channels != 3:
            raise ConfigError(
                f"{name} needs images of 3 colour channels, got {channels}; choose CIFAR10 as data, or a model that "
                "adapts to the channels, such as ResNet20."
            )
        if name.startswith("vit_") and self.weights == "random":
            patch = int(name.rpartition("_")[2])
            if h != w or h % patch:
                raise ConfigError(f"{name} needs square images with a side that is a multiple of {patch}, got {h}×{w}.")
        elif min(h, w) < self._min_size:
            raise ConfigError(
                f"{name} needs images of at least {self._min_size}×{self._min_size} pixels, got {h}×{w}; choose "
                "resnet18, which takes any size, or larger images."
            )
        elif name.startswith(("vit_", "maxvit_")) and (h, w) != (self._min_size, self._min_size):
            raise ConfigError(f"{name} needs images of exactly {self._min_size}×{self._min_size} pixels, got {h}×{w}.")

    def outline(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return super(Torchvision, self.replace(weights="random")).outline(shape, classes)

    @property
    def _published(self) -> Any:
        from torchvision import models

        return models.get_model_weights(self.architecture).DEFAULT

    @property
    def _min_size(self) -> int:
        return int(max(self._published.meta["min_size"]))

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        from torchvision import models

        name, pretrained = self.architecture, self.weights == "pretrained"
        options: dict[str, Any] = {}
        if name in ("googlenet", "inception_v3"):
            # without their second classifiers, which would make the output a tuple while training
            options = {"aux_logits": False, "init_weights": not pretrained}
        if pretrained:
            net = self._load(options)
            if classes != IMAGENET_CLASSES:
                _new_classifier_(net, classes)
        else:
            if name.startswith("vit_"):
                options["image_size"] = shape[1]
            net = models.get_model(name, weights=None, num_classes=classes, **options)
        _set_dropout_(net, self.dropout)
        return net

    def _load(self, options: dict[str, Any]) -> nn.Module:
        """The model with its published weights. Raises ModelError when they are not here and cannot be fetched."""
        from torchvision import models

        url = self._published.url
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]  # where torch itself keeps them
        if not path.exists():
            checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
            try:
                fetch(url, path, digest=checksum[1] if checksum else "", algorithm="sha256")
            except OSError as error:
                raise ModelError(
                    f"The pretrained weights of {self.architecture} need {path.name} in {path.parent}, and the "
                    f"download failed ({getattr(error, 'reason', None) or error}); connect to the internet, "
                    "put the file there, or choose weights='random'."
                ) from error
        try:
            net: nn.Module = models.get_model(self.architecture, weights=self._published, **options)
        except Exception as error:  # a damaged file can raise nearly anything
            raise ModelError(
                f"{path} ({path.stat().st_size:,} bytes) does not hold the weights of {self.architecture} "
                f"({str(error).splitlines()[0]}); delete it, and it is downloaded again."
            ) from error
        return net


def _new_classifier_(net: nn.Module, classes: int) -> None:
    """Replace the last layer with 1,000 outputs by a fresh one of its kind with ``classes`` outputs."""
    name, last = [
        (n, m)
        for n, m in net.named_modules()
        if getattr(m, "out_features", getattr(m, "out_channels", 0)) == IMAGENET_CLASSES
    ][-1]
    fresh: nn.Module
    if isinstance(last, nn.Conv2d):  # SqueezeNet's
        fresh = nn.Conv2d(last.in_channels, classes, last.kernel_size)  # type: ignore[arg-type]
    else:
        assert isinstance(last, nn.Linear)
        fresh = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    net.set_submodule(name, fresh)


def _set_dropout_(net: nn.Module, share: float) -> None:
    """Give every dropout layer ``share``; layers that skip whole blocks at random (stochastic depth) follow it."""
    from torchvision.ops import StochasticDepth

    for module in net.modules():
        if isinstance(module, StochasticDepth | nn.Dropout):
            module.p = share if isinstance(module, nn.Dropout) or share == 0 else min(module.p, share)
