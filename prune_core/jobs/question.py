"""What the preview worker is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from prune_core.data import DataSource
from prune_core.errors import ConfigError, EngineError
from prune_core.models import ModelSource
from prune_core.probing import LayerTiles
from prune_core.pruning import Criterion, Granularity, Magnitude, OneShot, Pruning, Scope, Weights, check_together
from prune_core.settings import Settings, setting
from prune_core.training import Evaluation


class ScanningError(EngineError):
    """The layers are still being scanned for the scope "sensitivity"; the next question goes on with it."""


class PreviewRequest(Settings):
    """What pruning ``run``, or ``model`` as it is built, would leave: give one of the two.

    Give ``sparsity`` or ``threshold``, or neither for the model as it is. The threshold is of all scores with scope
    "global", otherwise of ``layer``'s, and the other layers follow.
    """

    run: str = setting("", help="Id of a run; its last checkpoint is pruned.")
    model: ModelSource | None = setting(None, help="A model with fresh or published weights.")
    data: DataSource | None = setting(None, help="Data to measure a model on; a run brings its own.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides fresh weights and random criteria.")
    criterion: Criterion = setting(Magnitude(), help="How much a weight matters; the lowest are removed first.")
    scope: Scope = setting(
        "global",
        help="Compare all weights with each other, within each layer, as its shape says ('erk'), or as each raises the "
        "loss ('sensitivity').",
    )
    granularity: Granularity = setting(Weights(), help="What goes at once: single weights, or groups of them.")
    sparsity: float | None = setting(None, ge=0, lt=1, help="Share of the prunable weights to remove.")
    threshold: float | None = setting(None, help="Score up to which weights are removed.")
    layer: str = setting("", help="Layer to make the histogram and the mask picture of; empty: the largest.")
    layer_sparsity: tuple[str, ...] = setting(
        (),
        help="Another sparsity for single layers, as in 'fc1=0.95, conv*=0.5'; needs scope 'layer' and single weights.",
    )
    picture: bool = setting(True, help="Whether to make histogram and mask picture at all.")
    tiles: bool = setting(False, help="Whether to bring weights of the layer themselves, for pictures of its filters.")
    accuracy: bool = setting(True, help="Whether to measure accuracy, where there is data.")
    recalibrate: bool = setting(
        True, help="Whether batch normalisation is measured anew on the pruned model before its accuracy is."
    )
    budget_s: float = setting(0.2, gt=0, le=60, unit="s", help="Time for measuring; a sample where all is slow.")

    @model_validator(mode="after")
    def _agree(self) -> PreviewRequest:
        if bool(self.run) == (self.model is not None):
            raise ConfigError("PreviewRequest needs either run or model, and not both.")
        if self.sparsity is not None and self.threshold is not None:
            raise ConfigError("PreviewRequest takes sparsity or threshold, not both: each follows from the other.")
        check_together(self.criterion, self.scope, self.granularity)
        if self.layer_sparsity:
            Pruning(scope=self.scope, layer_sparsity=self.layer_sparsity)  # says what is wrong with them
        if self.layer_sparsity and not isinstance(self.granularity, Weights):
            raise ConfigError(
                f"PreviewRequest.layer_sparsity needs single weights, got {type(self.granularity).__name__}."
            )
        if self.layer_sparsity and self.threshold is not None:
            raise ConfigError("PreviewRequest.layer_sparsity goes with a sparsity, not with a threshold.")
        return self

    def ratios(self, names: Iterable[str]) -> dict[str, float]:
        """The share that each layer in ``layer_sparsity`` loses. Raises ConfigError for a name that is no layer's."""
        if not self.layer_sparsity:
            return {}
        shares = Pruning(scope=self.scope, schedule=OneShot(final=0.5, at=0), layer_sparsity=self.layer_sparsity)
        return shares.ratios(names, 0.5)  # at the schedule's end: in full


@dataclass(frozen=True)
class LayerView:
    """One layer after pruning; ``threshold`` is the largest score removed from it, None where nothing was."""

    name: str
    shape: tuple[int, ...]
    numel: int
    kept: int
    threshold: float | None

    @property
    def sparsity(self) -> float:
        """Share removed."""
        return 1 - self.kept / self.numel


@dataclass(frozen=True)
class LayerPicture:
    """Histogram and mask of one layer.

    ``weights`` counts kept and ``removed`` removed weights (int32, 80 equal bins over ``edges``); those that a run had
    removed before count in neither. ``mask`` is uint8
    (rows, columns), at most 64 x 64: the share kept of each patch of the weight as outputs x inputs, 255 = all.
    ``tiles`` holds some of the weights themselves, where they were asked for.
    """

    name: str
    edges: tuple[float, float]
    weights: np.ndarray
    removed: np.ndarray
    mask: np.ndarray
    tiles: LayerTiles | None = None


@dataclass(frozen=True)
class Cost:
    """What storing and running the model takes, dense and with only the weights that are left.

    Bytes are those of parameters and buffers; ``kept_bytes`` stores a layer as one bit a weight and the values of those
    left. MACs are of one example; dense kernels do all of them all the same. None where they cannot be counted.
    """

    dense_bytes: int
    kept_bytes: int
    dense_macs: int | None
    kept_macs: int | None


@dataclass(frozen=True)
class PreviewReply:
    """What pruning leaves. ``sparsity`` is realised, and more than asked for where the run had removed more already.

    ``threshold`` is the largest score removed, with scope "global" of all, otherwise of ``picture``'s layer; None where
    nothing is. ``largest`` is the largest score that there is: at that threshold all is gone.
    ``accuracy`` is of the pruned and ``dense`` of the unpruned model on the same test examples, with 95 % intervals;
    None where there is no data or none was asked for. ``normalised`` says whether the model has batch normalisation, so
    that ``recalibrate`` matters. ``step`` is the run's, None for a model. ``uncut`` names the layers that stay dense
    because they cannot be cut into the groups asked for. ``seconds`` is the worker's time.
    """

    sparsity: float
    threshold: float | None
    largest: float
    layers: tuple[LayerView, ...]
    picture: LayerPicture | None
    cost: Cost
    accuracy: Evaluation | None
    dense: Evaluation | None
    normalised: bool
    step: int | None
    uncut: tuple[str, ...]
    seconds: float
