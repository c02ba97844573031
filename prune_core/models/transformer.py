"""A vision transformer small enough for one core."""

from __future__ import annotations

from pydantic import model_validator
from torch import nn

from prune_core.errors import ConfigError
from prune_core.models.base import ModelSource, check_classes, check_image
from prune_core.registry import register
from prune_core.settings import setting


@register("tiny_vit", label="Tiny ViT", reference="Dosovitskiy et al. 2020, arXiv:2010.11929")
class TinyViT(ModelSource):
    """torchvision's VisionTransformer, small: the image is cut into patches that attend to each other."""

    patch: int | None = setting(
        None, ge=1, le=64, unit="pixels", help="Side of a patch; empty: 4, or 2 for images under 16 pixels."
    )
    dim: int = setting(64, ge=8, le=1024, unit="units", help="Width of a token; a multiple of the heads.")
    depth: int = setting(4, ge=1, le=24, unit="blocks", help="Transformer blocks.")
    heads: int = setting(4, ge=1, le=16, help="Attention heads a block.")
    dropout: float = setting(0.0, ge=0, lt=1, help="Share of activations dropped while training.", advanced=True)

    @model_validator(mode="after")
    def _heads_divide(self) -> TinyViT:
        if self.dim % self.heads:
            raise ConfigError(f"TinyViT.dim must be a multiple of heads ({self.heads}), got {self.dim}.")
        return self

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        check_classes(self, classes)
        check_image(self, shape)
        side, patch = shape[1], self._patch(shape)
        if shape[1] != shape[2]:
            raise ConfigError(f"TinyViT needs square images, got {shape[1]}×{shape[2]}; choose ResNet20 for these.")
        if side % patch or side == patch:
            raise ConfigError(
                f"TinyViT.patch must divide the image's side of {side} pixels into at least 2 patches, got {patch}."
            )

    def _patch(self, shape: tuple[int, ...]) -> int:
        return self.patch if self.patch is not None else 4 if shape[1] >= 16 else 2

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        from torchvision.models import VisionTransformer  # here: slow to import, and few runs need it

        patch = self._patch(shape)
        net: nn.Module = VisionTransformer(
            shape[1], patch, self.depth, self.heads, self.dim, 2 * self.dim, dropout=self.dropout, num_classes=classes
        )
        if shape[0] != 3:  # it takes three channels for granted
            stem = nn.Conv2d(shape[0], self.dim, patch, patch)
            nn.init.trunc_normal_(stem.weight, std=(shape[0] * patch * patch) ** -0.5)
            net.conv_proj = stem
        # torchvision starts the classifier at zero, made for fine-tuning: pruned at the start it would go as a whole,
        # and in the first step no gradient would reach any other layer
        nn.init.trunc_normal_(net.get_parameter("heads.head.weight"), std=0.02)
        return net
