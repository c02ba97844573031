"""What a run emits, in the order in which it happens.

A page, a notebook, a test and the store all just iterate over these. Numbers that every step has travel as one row
tensor that stays on the device until someone looks.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from prune_core.errors import StoreError

STEP_FIELDS = ("loss", "grad_norm_before", "grad_norm_after", "clipped", "cosine", "lr", "sparsity")
Status = Literal["queued", "running", "paused", "finished", "stopped", "diverged", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("finished", "stopped", "diverged", "failed", "cancelled")
InterventionField = Literal["clip_threshold", "lr", "sparsity"]

WEIGHT_BINS = 80
GRADIENT_BINS = 60
GRADIENT_DECADES = (-8.0, 2.0)  # log10|g| from 1e-8 to 1e2; what lies outside counts in the outermost bins
MAX_LAYERS = 64
FORMAT = 1


@dataclass(frozen=True)
class StepEvent:
    """One update. ``step`` counts from 1; ``row`` is a float32 tensor (7,) in the order of STEP_FIELDS.

    ``loss`` is the batch mean before the update, norms are L2 over all parameters before and after clipping,
    ``clipped`` the share of gradient entries that clipping changed, ``cosine`` the cosine between the gradient before
    and after, ``sparsity`` the share of prunable weights removed. The loss is what is trained on: cross entropy,
    with ``Pruning.distill`` and once there is a teacher a mixture with its answers. A removed weight's gradient counts
    in no norm, unless it moves a value behind the mask (StraightThrough).
    """

    step: int
    row: torch.Tensor

    @property
    def loss(self) -> float:
        return float(self.row[0])

    @property
    def grad_norm_before(self) -> float:
        return float(self.row[1])

    @property
    def grad_norm_after(self) -> float:
        return float(self.row[2])

    @property
    def clipped(self) -> float:
        return float(self.row[3])

    @property
    def cosine(self) -> float:
        return float(self.row[4])

    @property
    def lr(self) -> float:
        return float(self.row[5])

    @property
    def sparsity(self) -> float:
        return float(self.row[6])


@dataclass(frozen=True)
class EvalEvent:
    """The test split, or the first ``n`` examples of its fixed shuffled order, after ``step`` updates."""

    step: int
    accuracy: float
    loss: float
    n: int
    per_class: tuple[float, ...]


@dataclass(frozen=True)
class LayerSnapshot:
    """One layer at one step.

    ``weights`` counts kept weights and ``removed`` removed ones (at the value they had when they went) in 80 equal bins
    over ``edges``, which are fixed for the whole run; what lies outside counts in the outermost bins. ``gradients``
    counts log10|g| before clipping in 60 bins over GRADIENT_DECADES, ``zero_gradients`` those exactly 0. Where removed
    weights keep a value that is trained on (StraightThrough), ``removed`` has them where they are now.
    ``threshold`` is the largest |w| that the last change of masks removed, None before the first.
    """

    name: str
    shape: tuple[int, ...]
    numel: int
    kept: int
    edges: tuple[float, float]
    weights: np.ndarray
    removed: np.ndarray
    gradients: np.ndarray
    zero_gradients: int
    threshold: float | None
    norm_before: float
    norm_after: float
    clipped: float
    cosine: float


@dataclass(frozen=True)
class Boundary:
    """Class regions of a 2-D data set on a 60 x 60 grid: row 0 is the lowest y. Confidence is 0 to 255."""

    extent: tuple[float, float, float, float]
    classes: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class SnapshotEvent:
    """Histograms of the largest layers (at most 64) after ``step`` updates."""

    step: int
    layers: tuple[LayerSnapshot, ...]
    boundary: Boundary | None = None

    def to_bytes(self) -> bytes:
        """A compact, versioned form (zipped arrays): about 1 KB a layer."""
        n = len(self.layers)
        arrays: dict[str, np.ndarray] = {
            "format": np.array([FORMAT, self.step]),
            "names": np.array("\n".join(layer.name for layer in self.layers)),
            "shapes": np.array("\n".join(" ".join(map(str, layer.shape)) for layer in self.layers)),
            "counts": np.array([[x.numel, x.kept, x.zero_gradients] for x in self.layers], np.int64).reshape(n, 3),
            "numbers": np.array(
                [
                    [
                        *x.edges,
                        math.nan if x.threshold is None else x.threshold,
                        x.norm_before,
                        x.norm_after,
                        x.clipped,
                        x.cosine,
                    ]
                    for x in self.layers
                ],
                np.float64,
            ).reshape(n, 7),
            "weights": np.array([x.weights for x in self.layers], np.int32).reshape(n, WEIGHT_BINS),
            "removed": np.array([x.removed for x in self.layers], np.int32).reshape(n, WEIGHT_BINS),
            "gradients": np.array([x.gradients for x in self.layers], np.int32).reshape(n, GRADIENT_BINS),
        }
        if self.boundary is not None:
            arrays["extent"] = np.array(self.boundary.extent)
            arrays["classes"] = self.boundary.classes
            arrays["confidence"] = self.boundary.confidence
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> SnapshotEvent:
        """Read what ``to_bytes`` wrote. Raises StoreError for another format."""
        with np.load(io.BytesIO(data), allow_pickle=False) as a:
            version, step = (int(x) for x in a["format"])
            if version != FORMAT:
                raise StoreError(f"This snapshot has format {version}; this version reads format {FORMAT}.")
            names = str(a["names"]).split("\n") if len(a["counts"]) else []
            shapes = str(a["shapes"]).split("\n")
            counts, numbers = a["counts"].tolist(), a["numbers"].tolist()
            weights, removed, gradients = a["weights"], a["removed"], a["gradients"]
            layers = tuple(
                LayerSnapshot(
                    name=name,
                    shape=tuple(int(d) for d in shapes[i].split()),
                    numel=counts[i][0],
                    kept=counts[i][1],
                    zero_gradients=counts[i][2],
                    edges=(numbers[i][0], numbers[i][1]),
                    threshold=None if math.isnan(numbers[i][2]) else numbers[i][2],
                    norm_before=numbers[i][3],
                    norm_after=numbers[i][4],
                    clipped=numbers[i][5],
                    cosine=numbers[i][6],
                    weights=weights[i],
                    removed=removed[i],
                    gradients=gradients[i],
                )
                for i, name in enumerate(names)
            )
            boundary = None
            if "extent" in a:
                x0, x1, y0, y1 = a["extent"].tolist()
                boundary = Boundary((x0, x1, y0, y1), a["classes"], a["confidence"])
        return cls(step, layers, boundary)


@dataclass(frozen=True)
class MaskEvent:
    """Masks changed after ``step`` updates: realised and wanted sparsity, kept weights and threshold by layer.

    They differ by rounding, and where ``Pruning.layer_sparsity`` gives single layers shares of their own. ``returned``
    counts weights that had been removed and are back.
    """

    step: int
    sparsity: float
    target: float
    kept: dict[str, int]
    thresholds: dict[str, float]
    returned: int = 0


@dataclass(frozen=True)
class InterventionEvent:
    """Somebody changed a setting in mid-run; ``step`` is the first update that uses the new value."""

    step: int
    field: InterventionField
    value: float
    sender: str = ""


@dataclass(frozen=True)
class StateEvent:
    """The run paused or went on after ``step`` updates."""

    step: int
    state: Literal["paused", "running"]


@dataclass(frozen=True)
class CheckpointEvent:
    """A checkpoint of the state after ``step`` updates is whole on disk."""

    step: int
    path: str


@dataclass(frozen=True)
class WarningEvent:
    """Something people should know that does not end the run."""

    step: int
    message: str


@dataclass(frozen=True)
class DoneEvent:
    """The last event. ``step`` is the number of updates that the kept state has seen."""

    step: int
    status: Literal["finished", "stopped", "diverged"]
    reason: str
    seconds: float


Event = (
    StepEvent
    | EvalEvent
    | SnapshotEvent
    | MaskEvent
    | InterventionEvent
    | StateEvent
    | CheckpointEvent
    | WarningEvent
    | DoneEvent
)
