"""Clipping each example's own gradient before they are averaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional as F

from prune_core.clipping.base import ClipStrategy
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.report import ClipReport
from prune_core.errors import ConfigError
from prune_core.formulas import ClipNumbers, Pieces, tex
from prune_core.registry import register
from prune_core.settings import setting

ENTRIES = 2**26  # of all per-example gradients that are held at once: 256 MiB in float32

Loss = Callable[[Tensor, Tensor], Tensor]


@register(
    "per_sample",
    label="Per example",
    formula=r"g \leftarrow \frac{1}{B} \left( \sum_{i=1}^{B} \frac{g_i}{\max(1, \lVert g_i \rVert / C)} "
    r"+ \mathcal{N}(0, \sigma^2 C^2 I) \right)",
    reference="Abadi et al. 2016, arXiv:1607.00133, algorithm 1",
)
class PerSampleClip(ClipStrategy):
    """Shortens every example's own gradient before they are averaged, so that no example has more say than others.

    The clipping of differentially private training. It says nothing about privacy: no privacy budget is accounted for,
    with noise or without. What is reported compares the plain mean with the mean of the clipped gradients, noise
    included; that mean is never longer than C without noise, but may be longer than a plain mean in which examples
    cancelled each other.

    It needs what other strategies do not: the model and the examples. In a run they are at hand; in a notebook call
    ``clip_model_`` instead of ``backward()`` and ``clip_``. Each step costs several plain ones. Layers whose output for
    one example depends on the others (BatchNorm) are refused.
    """

    per_sample: ClassVar[bool] = True
    threshold_field: ClassVar[str] = "max_norm"
    max_norm: float = setting(
        1.0, gt=0, le=1e6, log=True, label="Max. norm C", help="Largest norm the gradient of one example may keep."
    )
    noise_multiplier: float = setting(
        0.0,
        ge=0,
        le=1000,
        label="Noise σ",
        help="Standard deviation of the noise added to the sum, in units of C; no privacy is accounted for.",
        advanced=True,
    )

    def check_model(self, model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss = F.cross_entropy) -> None:
        """Raise ConfigError where ``model`` has no gradient of one example alone; tried on the examples given."""
        for name, module in model.named_modules():
            if module.training and getattr(module, "running_mean", None) is not None:
                raise ConfigError(
                    f"PerSampleClip cannot be used with this model: {name or 'its root'} ({type(module).__name__}) "
                    "mixes the examples of a batch. Choose a model without batch normalisation, or clip by norm."
                )
        try:
            with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
                _by_example(model, _trainable(model), inputs[:2], targets[:2], loss)
        except RuntimeError as error:
            raise ConfigError(
                "PerSampleClip cannot be used with this model: torch cannot take its gradient example by example "
                f"({' '.join(str(error).split())[:120]}). Clip by norm instead."
            ) from None

    def gradient_(
        self,
        grads: FlatGradients,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        *,
        loss: Loss = F.cross_entropy,
        keep: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Write the plain mean gradient of a batch into ``grads`` and what clipping will leave beside it.

        Returns the mean loss, 0-dim. ``keep`` (n,) is 0 where a weight was removed: those entries count in no norm and
        get no noise. ``generator`` draws the noise, on the gradient's device; without one, noise raises ConfigError.
        """
        parameters = _trainable(model)
        n, entries = len(inputs), sum(p.numel() for p in parameters.values())
        kept = None if keep is None else [keep[a:b] for a, b in zip(grads.offsets, grads.offsets[1:], strict=False)]
        clipped = FlatGradients(torch.zeros_like(grads.values), grads.names, grads.offsets)
        grads.values.zero_()
        total = torch.zeros((), dtype=torch.float64, device=grads.values.device)
        size = max(1, ENTRIES // entries)
        for x, y in zip(inputs.split(size), targets.split(size), strict=True):
            rows, losses = _by_example(model, parameters, x, y, loss)
            total += losses.double().sum()
            own = [rows[name].flatten(1).to(grads.values.dtype) for name in grads.names]  # (examples, entries) each
            left = own if kept is None else [row * mask for row, mask in zip(own, kept, strict=True)]
            # in float64: squares of a gradient of 1e25 overflow
            each = torch.stack([torch.linalg.vector_norm(row, dim=1, dtype=torch.float64) for row in left])
            factors = self.max_norm / torch.linalg.vector_norm(each, dim=0).clamp(min=self.max_norm)
            # the same product twice: both means have the same bits where no example was clipped
            even, shares = ((f / n).to(grads.values.dtype) for f in (torch.ones_like(factors), factors))
            for plain, limited, row in zip(grads.layers, clipped.layers, own, strict=True):
                plain += even @ row
                limited += shares @ row
        if self.noise_multiplier:
            clipped.values += self._noise(clipped.values, n, generator)
        grads.clipped = clipped.values if keep is None else clipped.values * keep
        return total / n

    def _noise(self, like: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            raise ConfigError(
                f"PerSampleClip.noise_multiplier {self.noise_multiplier:g} needs a generator to draw from; "
                "give generator=torch.Generator().manual_seed(0)."
            )
        noise = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        return noise * (self.noise_multiplier * self.max_norm / n)

    def clip_model_(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        *,
        loss: Loss = F.cross_entropy,
        masks: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        layers: bool = True,
    ) -> ClipReport:
        """Set the gradients of ``model`` to the mean of the clipped per-example gradients; instead of ``backward()``.

        ``inputs`` and ``targets`` have examples in dimension 0; ``loss`` takes the output and target of a batch of one.
        ``masks`` are ``{name: bool, True = kept}``. Raises ConfigError where the model mixes examples.
        """
        self.check_model(model, inputs, targets, loss)
        parameters = _trainable(model)
        values = torch.cat([torch.zeros_like(p).reshape(-1) for p in parameters.values()])
        ends = torch.tensor([p.numel() for p in parameters.values()]).cumsum(0).tolist()
        grads = FlatGradients(values, tuple(parameters), (0, *ends), tuple(parameters.values()))
        given = masks or {}
        keep = torch.cat([(given[n] if n in given else torch.ones_like(p)).reshape(-1) for n, p in parameters.items()])
        self.gradient_(grads, model, inputs, targets, loss=loss, keep=keep.to(values), generator=generator)
        grads.values.mul_(keep)
        report = self.clip_flat_(grads, self.init_state(), layers=layers)
        named = dict(model.named_parameters())
        for name, layer in zip(grads.names, grads.layers, strict=True):
            named[name].grad = layer.view(named[name].shape).clone()
        return report

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        if grads.clipped is None:
            raise ConfigError(
                "PerSampleClip needs the gradient of every example, of which backward() leaves only the mean; "
                "call clip_model_(model, inputs, targets) instead."
            )
        grads.values.copy_(grads.clipped)
        grads.clipped = None

    def filled(self, now: ClipNumbers) -> Pieces:
        limit = tex(self.max_norm)
        shortened = rf"\sum_i \frac{{g_i}}{{\max(1, \lVert g_i \rVert / {limit})}}"
        if not self.noise_multiplier:
            return (rf"g \leftarrow \frac{{1}}{{B}} {shortened}",)
        noise = rf"\mathcal{{N}}(0, {tex(self.noise_multiplier * self.max_norm)}^2 I)"
        return (rf"g \leftarrow \frac{{1}}{{B}} \Big( {shortened} + {noise} \Big)",)


def _trainable(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def _by_example(
    model: nn.Module, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, loss: Loss
) -> tuple[dict[str, Tensor], Tensor]:
    """Gradients ``{name: (examples, *shape)}`` and losses (examples,)."""

    def one(values: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss(functional_call(model, values, (x.unsqueeze(0),)), y.unsqueeze(0))

    with warnings.catch_warnings():  # of a layer that goes example by example in a loop: slow, but right
        warnings.filterwarnings("ignore", message="There is a performance drop")
        found: tuple[dict[str, Tensor], Tensor] = vmap(
            grad_and_value(one), in_dims=(None, 0, 0), randomness="different"
        )(parameters, inputs, targets)
    return {name: g.detach() for name, g in found[0].items()}, found[1].detach()
