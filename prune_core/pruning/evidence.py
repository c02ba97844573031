"""What a criterion may look at: the weights and, each made when asked for, gradients, activations, curvature and flow.

All of it leaves the model as it is: no gradient, no hook, no running statistic and no random number is left behind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd

from prune_core.errors import ConfigError
from prune_core.pruning.inputs import input_norms
from prune_core.pruning.quiet import quiet
from prune_core.seeding import generator

Batch = tuple[Tensor, Tensor]
Batches = Callable[[int], Iterable[Batch]]
"""Given a number of examples, batches (inputs, class indices) that hold about so many."""


class Drawing(Protocol):
    """What training examples can be drawn from: a loaded data set."""

    def drawn(self, n: int, rng: torch.Generator) -> Iterator[Batch]:
        """``n`` training examples, chosen by ``rng``, in batches."""


class Evidence:
    """What is known of a model's weights at one moment.

    ``weights`` are detached, by name; ``masks`` is False where a weight was removed earlier; whatever a criterion draws
    comes from ``generator``. ``model``, the ``shape`` of one input, ``batches`` and ``movement`` are there where the
    caller has them; asking for what cannot be made of them raises ConfigError.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        model: nn.Module | None = None,
        batches: Batches | None = None,
        masks: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        movement: Mapping[str, Tensor] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.weights = {name: w.detach() for name, w in weights.items()}
        self.masks: Mapping[str, Tensor] = masks or {}
        self._model, self._batches, self._generator = model, batches, generator
        self._movement, self._shape = movement, shape

    @property
    def generator(self) -> torch.Generator:
        """For whatever is drawn. Raises ConfigError where none was given."""
        if self._generator is None:
            raise ConfigError("This criterion draws and needs a generator: give seeding.generator(seed, 'masks').")
        return self._generator

    @property
    def movement(self) -> Mapping[str, Tensor]:
        """Minus the sum of w·g over the steps of training so far, by name."""
        if self._movement is None:
            raise ConfigError("This criterion follows the weights through training: use it in an Experiment.")
        return self._movement

    def gradients(self, examples: int) -> dict[str, Tensor]:
        """Of the mean cross entropy over about ``examples`` training examples, by name."""
        total = {name: torch.zeros_like(w) for name, w in self.weights.items()}
        seen = 0
        with self._differentiable() as parameters:
            for x, y in self.batches(examples):
                loss = F.cross_entropy(self.model(x), y, reduction="sum")
                for sum_, g in zip(total.values(), torch.autograd.grad(loss, parameters), strict=True):
                    sum_ += g
                seen += len(y)
        return {name: g.div_(seen) for name, g in total.items()}

    def squared_gradients(self, examples: int) -> dict[str, Tensor]:
        """The mean over examples of the square of each one's own gradient, by name; normalisation in eval mode."""
        total = {name: torch.zeros_like(w) for name, w in self.weights.items()}
        seen = 0
        with self._differentiable(eval_mode=True) as parameters:
            for x, y in self.batches(examples):
                # one at a time works for every layer there is, as torch.func's vmap does not; backward from each loss
                # of a batch would pass through the whole batch every time
                for inputs, classes in zip(x.split(1), y.split(1), strict=True):
                    loss = F.cross_entropy(self.model(inputs), classes)
                    for sum_, g in zip(total.values(), torch.autograd.grad(loss, parameters), strict=True):
                        sum_.addcmul_(g, g)
                seen += len(y)
        return {name: g.div_(seen) for name, g in total.items()}

    def hessian_gradient(self, examples: int, temperature: float) -> dict[str, Tensor]:
        """H·g by name: gradient g and Hessian H of the mean cross entropy of the scores divided by ``temperature``."""
        given = list(self.batches(examples))
        seen = sum(len(y) for _, y in given)
        total = {name: torch.zeros_like(w) for name, w in self.weights.items()}
        # attention's fused kernels cannot be differentiated twice
        with self._differentiable() as parameters, sdpa_kernel(SDPBackend.MATH):

            def gradients(x: Tensor, y: Tensor, graph: bool) -> tuple[Tensor, ...]:
                loss = F.cross_entropy(self.model(x) / temperature, y, reduction="sum") / seen
                return torch.autograd.grad(loss, parameters, create_graph=graph)

            try:
                first: list[Any] = []
                if len(given) > 1:
                    first = [sum(parts) for parts in zip(*(gradients(x, y, False) for x, y in given), strict=True)]
                for x, y in given:
                    found = gradients(x, y, True)
                    whole = first or [g.detach() for g in found]  # of a single batch they are one and the same
                    along = sum((a * b).sum() for a, b in zip(whole, found, strict=True))
                    assert isinstance(along, Tensor)
                    curved = torch.autograd.grad(along, parameters, allow_unused=True)
                    for sum_, h in zip(total.values(), curved, strict=True):
                        if h is not None:  # a linear model has no curvature in some of its weights
                            sum_ += h
            except RuntimeError as error:
                raise ConfigError(f"This model's curvature cannot be computed: {str(error).splitlines()[0]}.") from None
        return total

    def input_norms(self, examples: int) -> dict[str, Tensor]:
        """The L2 norm, over all that passes by, of the input that each weight multiplies; it broadcasts to the weight.

        Of linear and convolution layers. Raises ConfigError where the input of another layer's weight is asked for.
        """
        with quiet(self.model, eval_mode=True):
            return input_norms(self.model, self.weights, (x for x, _ in self.batches(examples)))

    def flow(self) -> dict[str, Tensor]:
        """∂R/∂w by name, float64: R is the sum of all outputs of the network with every parameter's absolute value, for
        an input of ones; no biases but those of normalisation, which is in eval mode, removed weights at 0."""
        model = copy.deepcopy(self.model).double().eval()
        with torch.no_grad():
            for value in model.state_dict().values():
                if value.is_floating_point():
                    value.abs_()
            for layer in model.modules():
                # the paper's R is a product of weights; what a bias adds passes no earlier weight, so that late layers
                # would keep what early ones need, and 99 % sparsity would empty the first of nine
                if isinstance(layer, nn.Linear | _ConvNd | nn.MultiheadAttention | nn.RNNBase):
                    for name, value in layer.named_parameters(recurse=False):
                        if "bias" in name:
                            value.zero_()
            parameters = dict(model.named_parameters())
            for name, mask in self.masks.items():
                parameters[name].mul_(mask)
        chosen = [parameters[name].requires_grad_(True) for name in self.weights]
        with torch.enable_grad():
            flow = model(torch.ones(1, *self._input_shape(), dtype=torch.float64, device=chosen[0].device)).sum()
            found = torch.autograd.grad(flow, chosen)
        return dict(zip(self.weights, found, strict=True))

    # --- where it comes from ------------------------------------------------------------------------------------------
    @property
    def model(self) -> nn.Module:
        """The model whose weights these are. Raises ConfigError where only the weights are known."""
        if self._model is None:
            raise ConfigError("This criterion looks at the whole model, but only its weights are known here.")
        return self._model

    def batches(self, examples: int) -> Iterator[Batch]:
        """Batches of about ``examples`` training examples. Raises ConfigError where there is no data."""
        if self._batches is None:
            raise ConfigError("This criterion looks at data: give batch=(inputs, class indices).")
        return iter(self._batches(examples))

    def _input_shape(self) -> tuple[int, ...]:
        return self._shape or tuple(next(self.batches(1))[0].shape[1:])

    @contextmanager
    def _differentiable(self, eval_mode: bool = False) -> Iterator[list[nn.Parameter]]:
        """The parameters, ready for autograd, frozen ones too; afterwards all is as before."""
        by_name = dict(self.model.named_parameters())
        parameters = [by_name[name] for name in self.weights]
        frozen = [p for p in parameters if not p.requires_grad]
        try:
            for p in frozen:
                p.requires_grad_(True)
            with quiet(self.model, eval_mode=eval_mode), torch.enable_grad():
                yield parameters
        finally:
            for p in frozen:
                p.requires_grad_(False)


def one_batch(inputs: Tensor, classes: Tensor) -> Batches:
    """A batch that somebody gave: all of it, however many examples are asked for."""
    return lambda examples: [(inputs, classes)]


def batches_of(given: Batch | Drawing, seed: int) -> Batches:
    """``one_batch``; of a data set as many examples as are asked for, those that a run with ``seed`` scores on."""
    if isinstance(given, tuple | list):  # torch's DataLoader makes lists
        return one_batch(*given)
    return lambda examples: given.drawn(examples, generator(seed, "scoring", 0))
