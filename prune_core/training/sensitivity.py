"""How much accuracy each layer costs when it alone is pruned: layer × sparsity, one cell after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from prune_core.data import Dataset, DataSource
from prune_core.errors import ConfigError, UnknownNameError
from prune_core.pruning import (
    Criterion,
    Evidence,
    Granularity,
    Groups,
    Magnitude,
    Masks,
    Weights,
    apply_masks_,
    check_together,
    prunable,
    score,
)
from prune_core.pruning.masks import check_sparsity
from prune_core.pruning.quiet import normalised
from prune_core.pruning.sensitivity import scanned
from prune_core.seeding import generator
from prune_core.training.evaluate import Evaluation, evaluate
from prune_core.training.recalibrate import recalibrate_

SPARSITIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
RECALIBRATED = 512  # training examples that batch normalisation is measured anew on, cell by cell
COLUMNS = ("layer", "sparsity", "removed", "weights", "accuracy", "low", "high", "loss", "examples")


@dataclass(frozen=True)
class Cell:
    """One layer at one sparsity: ``removed`` of its ``weights`` are gone, what a run had removed before included.

    Layers that lose the same groups, as those of attention heads do, are one, by the first's name.
    """

    layer: str
    sparsity: float
    removed: int
    weights: int
    measured: Evaluation


@dataclass(frozen=True)
class Sensitivity:
    """What a scan found. ``dense`` is the model as it is, measured on the same test examples as every cell."""

    dense: Evaluation
    cells: tuple[Cell, ...]

    @property
    def table(self) -> pd.DataFrame:
        """A row a cell: layer, sparsity asked for, removed and weights (counts), accuracy (share), low and high (its
        95 % interval), loss, examples (of the test split)."""
        return sensitivity_table(self.cells)


def sensitivity_table(cells: Iterable[Cell]) -> pd.DataFrame:
    """``Sensitivity.table`` of some cells."""
    rows = [
        (c.layer, c.sparsity, c.removed, c.weights, m.accuracy, *m.interval, m.loss, m.n)
        for c in cells
        for m in (c.measured,)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sensitivity_scan(
    model: nn.Module,
    data: Dataset | DataSource,
    sparsities: Iterable[float] = SPARSITIES,
    *,
    criterion: Criterion | None = None,
    layers: Iterable[str] | None = None,
    masks: Mapping[str, Tensor] | None = None,
    recalibrate: bool = True,
    examples: int | None = None,
    seed: int = 0,
    granularity: Granularity | None = None,
) -> Sensitivity:
    """Prune each layer alone to each sparsity, all others as they are, and measure accuracy and loss on the test split.

    Exactly ``round(sparsity * n)`` weights of a layer go, the lowest by ``criterion`` (Magnitude() unless given), whose
    scores are of the model as it is; what ``masks`` removed earlier goes first and stays gone. With ``recalibrate``
    batch normalisation is measured anew on 512 training examples in every cell. ``examples`` limits the test examples
    (spread evenly over the split), ``layers`` the layers, ``seed`` decides whatever is drawn. Afterwards the model is
    bitwise what it was. With ``granularity`` groups of weights go as wholes, as many as come nearest; layers in which
    it finds none are left out. ``sensitivity_cells`` yields cell after cell instead. Raises ConfigError for a sparsity
    outside [0, 1), layers that are not there, criteria that need a training run or rounds, and a granularity of whose
    groups only some weights may go.

    Han et al. 2015, arXiv:1506.02626, section 3; Li et al. 2017, arXiv:1608.08710, section 3.1 (filters there).
    """
    scanner = Scanner.of(model, data, criterion, masks, recalibrate, examples, seed, granularity)
    return Sensitivity(scanner.dense, tuple(scanner.cells(sparsities, layers)))


def sensitivity_cells(
    model: nn.Module,
    data: Dataset | DataSource,
    sparsities: Iterable[float] = SPARSITIES,
    *,
    criterion: Criterion | None = None,
    layers: Iterable[str] | None = None,
    masks: Mapping[str, Tensor] | None = None,
    recalibrate: bool = True,
    examples: int | None = None,
    seed: int = 0,
    granularity: Granularity | None = None,
) -> Iterator[Cell]:
    """The cells of ``sensitivity_scan``, layer by layer, each as it is measured; stop whenever you like."""
    scanner = Scanner.of(model, data, criterion, masks, recalibrate, examples, seed, granularity)
    return scanner.cells(sparsities, layers)


class Scanner:
    """A model, its scores, and what it takes to measure one cell. Between two cells the model is as it was.

    ``keep`` holds what was removed earlier, ``layers`` what can be scanned, ``dense`` how good the model is as it is.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        scores: Mapping[str, Tensor],
        keep: Masks,
        recalibrate: bool = True,
        examples: int | None = None,
        seed: int = 0,
        weights: Mapping[str, Tensor] | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.model, self.data, self.keep = model, data, keep
        self.recalibrate, self.examples, self.seed = recalibrate, examples, seed
        weights = {name: p.data for name, p in prunable(model).items()} if weights is None else weights
        self.weights = {name: weights[name] for name in scores}
        self.layers = {layer.name: layer for layer in scanned(self.weights, scores, keep, groups)}
        self.dense = evaluate(model, data, limit=examples)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        data: Dataset | DataSource,
        criterion: Criterion | None,
        masks: Mapping[str, Tensor] | None,
        recalibrate: bool,
        examples: int | None,
        seed: int,
        granularity: Granularity | None = None,
    ) -> Scanner:
        """From what people have: scores are made here."""
        found = prunable(model)
        if not found:
            raise ConfigError(f"{type(model).__name__} has no prunable weights, so no layer can be scanned.")
        weights = {name: p.data for name, p in found.items()}
        if isinstance(data, DataSource):
            data = data.load(seed=seed, device=next(iter(weights.values())).device)
        keep = dict(masks or {})
        groups = cut(model, weights, criterion or Magnitude(), granularity or Weights())
        scores = score_once(criterion or Magnitude(), model, weights, data, keep, seed, groups)
        return cls(model, data, scores, keep, recalibrate, examples, seed, groups=groups)

    def cells(self, sparsities: Iterable[float], layers: Iterable[str] | None = None) -> Iterator[Cell]:
        """Every layer at every sparsity; all is checked before the first is measured."""
        shares = check_grid(sparsities)
        names = list(self.layers) if layers is None else list(layers)
        for name in names:
            self._check(name)
        return (self.cell(name, share) for name in names for share in shares)

    def cell(self, name: str, sparsity: float) -> Cell:
        """One layer at one sparsity."""
        self._check(name)
        layer = self.layers[name]
        removed = layer.nearest(sparsity)
        measured = self.dense if removed == layer.gone else self._measure(layer.lowest(removed))
        return Cell(name, sparsity, removed, layer.size, measured)

    def _check(self, name: str) -> None:
        if name not in self.layers:
            raise UnknownNameError("prunable layer", name, self.layers)

    @torch.no_grad()
    def _measure(self, masks: Masks) -> Evaluation:
        anew = self.recalibrate and bool(normalised(self.model))
        held = [(self.weights[name], self.weights[name].clone()) for name in masks]
        buffers = [(b, b.clone()) for b in self.model.buffers()] if anew else []
        try:
            apply_masks_(self.weights, masks)
            if anew:
                recalibrate_(self.model, self.data, self.seed, RECALIBRATED)
            return evaluate(self.model, self.data, limit=self.examples)
        finally:
            for tensor, value in held + buffers:
                tensor.copy_(value)


def score_once(
    criterion: Criterion,
    model: nn.Module,
    weights: Mapping[str, Tensor],
    data: Dataset | None,
    keep: Masks,
    seed: int,
    groups: Groups | None = None,
) -> Mapping[str, Tensor]:
    """Scores of the model as it is, of all ``weights`` or of those in ``groups``.

    Raises ConfigError for a criterion that scores anew in rounds.
    """
    check_once(criterion)
    batches = None if data is None else partial(drawn, data, seed)
    weights = weights if groups is None else {name: weights[name] for name in groups.names}
    at = Evidence(weights, model=model, masks=keep, generator=generator(seed, "masks"), batches=batches)
    return score(criterion, at, groups)


def cut(
    model: nn.Module, weights: Mapping[str, Tensor], criterion: Criterion, granularity: Granularity
) -> Groups | None:
    """The groups of ``weights``. Raises ConfigError where a layer's share is not free, or none are found."""
    check_together(criterion, "layer", granularity)
    if granularity.at_most is not None:
        raise ConfigError(
            f"A scan needs groups that go as wholes, so that a layer may lose any share; got "
            f"{type(granularity).__name__}."
        )
    return granularity.groups(model, weights)


def check_once(criterion: Criterion) -> None:
    """Raise ConfigError for a criterion that scores anew in rounds, so that one scoring says nothing."""
    if criterion.rounds_to(1 - 1e-9) > 1:
        raise ConfigError(f"{type(criterion).__name__} removes in rounds, anew for every sparsity: see it on Train.")


def drawn(data: Dataset, seed: int, n: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``n`` training examples: those that a run with this seed scores on before its first step."""
    return data.drawn(n, generator(seed, "scoring", 0))


def check_grid(sparsities: Iterable[float]) -> tuple[float, ...]:
    """The sparsities in rising order, each once. Raises ConfigError unless there is one and all are in [0, 1)."""
    shares = sorted(set(map(_checked, sparsities)))
    if not shares:
        raise ConfigError("sparsities must hold at least one number at least 0 and less than 1, got none.")
    return tuple(shares)


def _checked(sparsity: float) -> float:
    check_sparsity(sparsity)
    return float(sparsity)
