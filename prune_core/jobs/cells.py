"""One cell of a sensitivity scan: what a worker is asked, and how it answers, whichever worker it is."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass

from pydantic import field_validator, model_validator

from prune_core.data import DataSource
from prune_core.data.cache import Cache
from prune_core.errors import ConfigError, LabError
from prune_core.jobs.bench import Loaded, source_key
from prune_core.jobs.question import PreviewRequest
from prune_core.models import ModelSource
from prune_core.pruning import Criterion, Granularity, Magnitude, Weights
from prune_core.settings import Settings, setting
from prune_core.training import Cell, Evaluation
from prune_core.training.sensitivity import SPARSITIES, Scanner, check_grid, cut, score_once

log = logging.getLogger("prune_core.jobs")


class ScanRequest(Settings):
    """Prune each layer of ``run``, or of ``model`` as it is built, alone to each sparsity: give one of the two."""

    run: str = setting("", help="Id of a run; its last checkpoint is scanned.")
    model: ModelSource | None = setting(None, help="A model with fresh or published weights; needs data.")
    data: DataSource | None = setting(None, help="Data to measure a model on; a run brings its own.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides fresh weights and whatever is drawn.")
    criterion: Criterion = setting(Magnitude(), help="How much a weight matters; the lowest are removed first.")
    granularity: Granularity = setting(Weights(), help="What goes at once: single weights, or groups of them.")
    sparsities: tuple[float, ...] = setting(SPARSITIES, help="Shares of a layer that are removed, one at a time.")
    recalibrate: bool = setting(True, help="Whether batch normalisation is measured anew in every cell.")
    examples: int | None = setting(
        None, ge=1, le=10_000_000, unit="examples", help="Test examples a cell is measured on; empty: all."
    )

    @field_validator("sparsities")
    @classmethod
    def _in_order(cls, sparsities: tuple[float, ...]) -> tuple[float, ...]:
        return check_grid(sparsities)

    @model_validator(mode="after")
    def _agree(self) -> ScanRequest:
        self.source()
        if self.model is not None and self.data is None:
            raise ConfigError("ScanRequest.data must be given for a model: accuracy is measured on its test split.")
        return self

    def source(self) -> PreviewRequest:
        """The model alone, as the preview worker is asked for it."""
        return PreviewRequest(run=self.run, model=self.model, data=self.data, seed=self.seed)


@dataclass(frozen=True)
class Opening:
    """What a scan has to know first. ``stamp`` names the weights: a run's checkpoint may be written anew meanwhile."""

    layers: tuple[str, ...]
    dense: Evaluation
    stamp: Hashable


def opening(store_url: str, request: ScanRequest) -> Opening | LabError:
    """The layers, and how good the model is as it is; what is wrong with the request comes back as a LabError."""
    try:
        stamp = source_key(store_url, request.source())
        scanner = _scanner(store_url, request, stamp)
        return Opening(tuple(scanner.layers), scanner.dense, stamp)
    except LabError as error:
        return error
    except Exception as error:
        return _unforeseen(error)


def cell(store_url: str, request: ScanRequest, stamp: Hashable, layer: str, sparsity: float) -> Cell | LabError:
    """One layer at one sparsity, of the weights that ``stamp`` names."""
    try:
        return _scanner(store_url, request, stamp).cell(layer, sparsity)
    except LabError as error:
        return error
    except Exception as error:
        return _unforeseen(error)


_scanners: Cache[Scanner] = Cache(1)  # a worker is there to train: it holds one model for others, and not two


def _scanner(store_url: str, request: ScanRequest, stamp: Hashable) -> Scanner:
    def make() -> Scanner:
        source = request.source()
        if source_key(store_url, source) != stamp:
            raise ConfigError(f"Run {request.run} has trained on since the scan began; measure it again.")
        loaded = Loaded(store_url, source)
        assert loaded.data is not None, "checked by ScanRequest"
        groups = cut(loaded.model, loaded.weights, request.criterion, request.granularity)
        scores = score_once(
            request.criterion, loaded.model, loaded.weights, loaded.data, loaded.keep, request.seed, groups
        )
        return Scanner(
            loaded.model, loaded.data, scores, loaded.keep, request.recalibrate, request.examples, request.seed,
            loaded.weights, groups,
        )  # fmt: skip

    bare = request.replace(sparsities=SPARSITIES)  # they change nothing that is held
    return _scanners.get((stamp, bare.model_dump_json()), make)


def _unforeseen(error: Exception) -> LabError:
    log.exception("Scan")
    return ConfigError(f"This model cannot be scanned: {type(error).__name__}: {str(error)[:200]}")
