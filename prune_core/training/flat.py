"""All trainable parameters as views of one contiguous tensor, and their gradients as views of another.

Clipping, masking and the optimizer then each touch memory once, in one call, however many layers there are. The model
keeps its ordinary ``nn.Parameter`` objects under their ordinary names: only the storage of their values is shared.
"""

from __future__ import annotations

import torch
from torch import nn

from prune_core.clipping import FlatGradients


class FlatModel:
    """``model`` with its trainable parameters and gradients laid out flat on ``device`` in float32.

    ``weights`` and ``gradients.values`` are (n,) tensors; ``weights.grad`` is ``gradients.values``, which ``gather_``
    fills after a backward pass. ``moved`` (n,) is what the optimizer moves along them: ``weights`` themselves, unless
    ``separate_`` was called.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model.to(device)
        self._params = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        sizes = [p.numel() for _, p in self._params]
        self.offsets = [0, *torch.tensor(sizes).cumsum(0).tolist()]
        self.names = tuple(name for name, _ in self._params)
        n = self.offsets[-1]
        self.weights = torch.empty(n, dtype=torch.float32, device=device)
        values = torch.zeros(n, dtype=torch.float32, device=device)
        self.gradients = FlatGradients(values, self.names, tuple(self.offsets), tuple(p for _, p in self._params))
        for (_, p), a, b in zip(self._params, self.offsets, self.offsets[1:], strict=False):
            self.weights[a:b] = p.detach().reshape(-1)
            p.data = self.weights[a:b].view(p.shape)
            p.grad = None
        self.weights.requires_grad_(True)
        self.weights.grad = values
        self.moved = self.weights
        self._buffers = [b for b in model.buffers() if b is not None]

    @torch.no_grad()
    def gather_(self) -> None:
        """Move the gradients of a backward pass into ``gradients.values``; a parameter without one counts as zeros."""
        # autograd hands over a buffer of its own where there is no gradient yet: moving that once costs less than
        # zeroing the flat vector and letting it add to it
        layers = self.gradients.layers
        found = [p.grad for _, p in self._params]
        torch.cat(
            [torch.zeros_like(z) if g is None else g.reshape(-1) for g, z in zip(found, layers, strict=True)],
            out=self.gradients.values,
        )
        for _, p in self._params:
            p.grad = None

    @torch.no_grad()
    def separate_(self) -> None:
        """Let the optimizer move dense values of their own, of which the network uses what ``mask_`` lets through.

        Clipping that looks at weights, as AGC does, sees those values: it is their update that it limits.
        """
        self.moved = self.weights.detach().clone().requires_grad_(True)
        self.moved.grad = self.gradients.values
        dense = self.moved.detach()
        self.gradients.parameters = tuple(
            dense[a:b].view(p.shape) for (_, p), a, b in zip(self._params, self.offsets, self.offsets[1:], strict=False)
        )

    @torch.no_grad()
    def mask_(self, keep: torch.Tensor | None) -> None:
        """Let the network use what the optimizer moved, but 0 where ``keep`` (n,) is 0; None keeps all."""
        if self.moved is self.weights:
            if keep is not None:
                self.weights.mul_(keep)
        elif keep is None:
            self.weights.copy_(self.moved)
        else:
            torch.mul(self.moved, keep, out=self.weights)

    def span(self, name: str) -> slice:
        """Where parameter ``name`` lies in ``weights``."""
        i = self.names.index(name)
        return slice(self.offsets[i], self.offsets[i + 1])

    @torch.no_grad()
    def copy_state(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What the optimizer moves, and buffers, as they are now."""
        return self.moved.detach().clone(), [b.clone() for b in self._buffers]

    @torch.no_grad()
    def restore_state(self, state: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
        """As ``copy_state`` saw it; ``mask_`` hands it to the network where it has weights of its own."""
        self.moved.copy_(state[0])
        for buffer, value in zip(self._buffers, state[1], strict=True):
            buffer.copy_(value)

    def release(self) -> nn.Module:
        """The model with storage of its own for every parameter again, as any other ``nn.Module`` has."""
        for _, p in self._params:
            p.data = p.data.clone()
        return self.model
