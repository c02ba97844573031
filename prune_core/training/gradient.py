"""A real gradient: of a model at one moment of its training, on one batch, before anything clips it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from prune_core.clipping import ClipReport, ClipStrategy, FlatGradients
from prune_core.clipping.curves import REMEMBERED, remember
from prune_core.data import Dataset
from prune_core.errors import ConfigError
from prune_core.events import STEP_FIELDS, InterventionEvent
from prune_core.experiment import Experiment
from prune_core.seeding import generator, global_seed
from prune_core.training.control import Control
from prune_core.training.state import RunState
from prune_core.training.stream import events

LARGEST = 2_000_000  # entries: 8 MB, twice that with the weights, to send and to keep
BEFORE = STEP_FIELDS.index("grad_norm_before")


@dataclass(frozen=True)
class Gradient:
    """The gradient of the mean cross-entropy of ``examples`` training examples, with what strategies look at.

    ``values`` and ``weights`` are float32 (n,), a layer after the other; ``names`` and ``shapes`` say which. Entries of
    weights that pruning removed are 0. ``norms`` are those of the run's own gradients in its first ``step`` updates.
    """

    values: np.ndarray
    weights: np.ndarray
    norms: np.ndarray
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    step: int
    loss: float
    examples: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many entries each layer has."""
        return tuple(int(np.prod(shape, dtype=int)) for shape in self.shapes)

    def flat(self) -> FlatGradients:
        """As clipping takes it, with values of its own."""
        offsets = tuple(accumulate(self.sizes, initial=0))
        weights = torch.from_numpy(self.weights.copy())
        parameters = tuple(
            weights[a:b].view(shape) for (a, b), shape in zip(pairwise(offsets), self.shapes, strict=True)
        )
        return FlatGradients(torch.from_numpy(self.values.copy()), self.names, offsets, parameters)

    def clip(self, strategy: ClipStrategy, threshold: float | None = None) -> ClipReport:
        """What ``strategy`` does to a copy of it. One that remembers norms has seen the run's own before.

        ``threshold`` is for this gradient alone: what came before was met with the strategy's own. Raises ConfigError
        where it clips example by example, or remembers more than norms.
        """
        if strategy.per_sample:
            raise ConfigError(f"{type(strategy).__name__} clips every example before the average, which is all here.")
        state = remember(strategy, self.norms.tolist()[-REMEMBERED:])
        asked = strategy if threshold is None else strategy.with_threshold(threshold)
        return asked.clip_flat_(self.flat(), state)


def gradient_of(
    model: nn.Module,
    data: Dataset,
    *,
    examples: int,
    seed: int,
    masks: Mapping[str, torch.Tensor] | None = None,
    step: int = 0,
    norms: Iterable[float] = (),
) -> Gradient:
    """The gradient of ``model`` on ``examples`` drawn by ``seed``; the model stays as it is.

    Normalisation and dropout work as in training. ``masks`` are ``{name: bool, True = kept}``. Raises ConfigError where
    the gradient has more than ``LARGEST`` entries.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    n = sum(p.numel() for _, p in named)
    if n > LARGEST:
        raise ConfigError(
            f"The gradient of this model has {n:,} entries; at most {LARGEST:,} are shown. Choose a smaller model, or "
            "smaller images."
        )
    x, y = next(iter(data.drawn(examples, generator(seed, "batches", 1), batch_size=examples)))
    buffers, training = [(b, b.clone()) for b in model.buffers()], model.training
    try:
        with torch.enable_grad(), global_seed(seed, "forward", step):
            loss = F.cross_entropy(model.train()(x), y)
            found = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
    finally:
        model.train(training)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
    kept = masks or {}
    entries = [
        torch.zeros_like(p) if g is None else g * kept[name] if name in kept else g
        for (name, p), g in zip(named, found, strict=True)
    ]
    return Gradient(
        values=_flat(entries), weights=_flat(p for _, p in named), norms=np.asarray(list(norms), dtype=np.float32),
        names=tuple(name for name, _ in named), shapes=tuple(tuple(p.shape) for _, p in named), step=step,
        loss=float(loss.detach()), examples=len(y),
    )  # fmt: skip


def gradient_at(
    experiment: Experiment,
    step: int,
    *,
    examples: int = 64,
    seed: int = 0,
    interventions: Iterable[InterventionEvent] = (),
) -> Gradient:
    """The gradient that ``experiment`` meets after ``step`` updates, reached by training that far in this process.

    ``examples`` are drawn by ``seed``; ``interventions`` are made at their steps. Raises ConfigError for a step that
    the training never reaches.
    """
    if not 0 <= step <= experiment.train.steps:
        raise ConfigError(f"step must be at least 0 and at most {experiment.train.steps}, got {step}.")
    moments = Moments(experiment, interventions)
    while moments.step < step and not moments.ended:
        moments.go_on()
    if moments.step < step:
        raise ConfigError(f"This run never reaches step {step}: {moments.ended}.")
    return moments.gradient(examples, seed)


class Moments:
    """A run trained once more, as far as somebody asks; between two steps it may be left and gone on with."""

    def __init__(self, experiment: Experiment, interventions: Iterable[InterventionEvent] = ()) -> None:
        self._experiment, self._interventions = experiment, tuple(interventions)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Go back to before the first update."""
        self._state = RunState(self._experiment, self._interventions)
        self._events: Iterator[Any] = events(self._state, Control())

    @property
    def step(self) -> int:
        """Updates made."""
        return self._state.step

    @property
    def ended(self) -> str:
        """Why no update will follow, empty while some may."""
        return "" if self._state.done is None else self._state.done.reason

    def go_on(self) -> None:
        """Train until something happens, a step at most."""
        next(self._events, None)

    def gradient(self, examples: int, seed: int) -> Gradient:
        """The gradient at the weights of now."""
        state = self._state
        return gradient_of(
            state.model, state.data, examples=examples, seed=seed, masks=state.masks.masks, step=state.step,
            norms=state.rows[: state.step, BEFORE].tolist(),
        )  # fmt: skip


def save_gradients(path: Path | str, gradients: Mapping[str, Gradient]) -> None:
    """Write gradients by name into one compressed file of arrays."""
    parts: dict[str, Any] = {}
    for key, g in gradients.items():
        parts |= {f"{key}/{f.name}": _plain(getattr(g, f.name)) for f in fields(Gradient)}
    np.savez_compressed(path, **parts)


def load_gradients(path: Path | str) -> dict[str, Gradient]:
    """What ``save_gradients`` wrote. Raises ConfigError where it is no such file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = {name: file[name] for name in file.files}
        keys = dict.fromkeys(name.rpartition("/")[0] for name in parts)
        return {key: _read({f.name: parts[f"{key}/{f.name}"] for f in fields(Gradient)}) for key in keys}
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{path} holds no gradients of this lab: {' '.join(str(error).split())[:160]}.") from None


def _flat(tensors: Iterable[torch.Tensor]) -> np.ndarray:
    return torch.cat([t.detach().reshape(-1).float().cpu() for t in tensors]).numpy().copy()


def _plain(value: Any) -> np.ndarray:
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        value = ["x".join(map(str, shape)) for shape in value]
    return np.asarray(value)


def _read(parts: dict[str, np.ndarray]) -> Gradient:
    return Gradient(
        parts["values"], parts["weights"], parts["norms"], tuple(str(n) for n in parts["names"]),
        tuple(tuple(int(k) for k in str(s).split("x") if k) for s in parts["shapes"]),
        int(parts["step"]), float(parts["loss"]), int(parts["examples"]),
    )  # fmt: skip
