"""Clip & Prune Lab's engine: gradient clipping and pruning, measured.

>>> import prune_core as pc
>>> exp = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=pc.ValueClip(threshold=0.01))
>>> result = pc.run(exp)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prune_core.claims import Arm, Claim, Picture, Trial, Verdict, trial
from prune_core.clipping import (
    AdaptiveClip,
    AutoClip,
    BlockRMSClip,
    Chain,
    ClipReport,
    ClipStrategy,
    LayerNormClip,
    NormClip,
    PerSampleClip,
    ValueClip,
    ZClip,
)
from prune_core.data import (
    CIFAR10,
    CIFAR100,
    MNIST,
    Blobs,
    Circles,
    DataSource,
    Digits,
    FashionMNIST,
    Moons,
    Spirals,
)
from prune_core.errors import (
    CheckpointError,
    ConfigError,
    DataCorruptError,
    DataError,
    DataMissingError,
    EngineError,
    LabError,
    ModelError,
    OwnershipLostError,
    RunNotFoundError,
    StoreError,
    StoreUnavailableError,
    UnknownNameError,
)
from prune_core.events import (
    DoneEvent,
    EvalEvent,
    InterventionEvent,
    MaskEvent,
    SnapshotEvent,
    StepEvent,
)
from prune_core.experiment import Experiment, FromCheckpoint, Training
from prune_core.models import (
    MLP,
    LeNet5,
    LeNet300,
    ModelSource,
    ResNet20,
    RowLSTM,
    SeedNet,
    SmallCNN,
    TinyViT,
    Torchvision,
)
from prune_core.probing import (
    CriteriaComparison,
    Forgotten,
    bearable,
    compare_criteria,
    forgotten,
    jaccard,
    rank_correlations,
    robustness,
)
from prune_core.pruning import (
    LAMP,
    SET,
    SNIP,
    Blocks,
    Channels,
    Criterion,
    Cubic,
    Distillation,
    Evidence,
    Exchange,
    Filters,
    Fisher,
    GradientMagnitude,
    Granularity,
    GraSP,
    Heads,
    Iterative,
    L2Norm,
    Linear,
    Magnitude,
    Movement,
    Neurons,
    NofM,
    OneShot,
    Pruning,
    Random,
    Regrowth,
    RelativeMagnitude,
    RigL,
    Schedule,
    StraightThrough,
    SynFlow,
    Taylor,
    Wanda,
    Weights,
    apply_masks_,
    make_masks,
    prunable,
    prune_,
    sparsity_of,
)
from prune_core.registry import register
from prune_core.sweeping import (
    Choice,
    Distribution,
    Grid,
    Halving,
    IntUniform,
    Points,
    RandomSample,
    Search,
    Space,
    Sweep,
    Uniform,
)
from prune_core.training import (
    Control,
    Gradient,
    Result,
    Sensitivity,
    evaluate,
    gradient_at,
    gradient_of,
    lanes_of,
    load_checkpoint,
    race,
    recalibrate_,
    restore_model,
    run,
    sensitivity_cells,
    sensitivity_scan,
    stream,
    sweep,
)

if TYPE_CHECKING:
    from prune_core.jobs import Lab as Lab

__version__ = "0.1.0"

_LAZY = {"Lab": "prune_core.jobs"}  # the job engine takes a second to import and notebooks often need none


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'prune_core' has no attribute {name!r}")


__all__ = [
    "CIFAR10", "CIFAR100", "LAMP", "MLP", "MNIST", "SET", "SNIP", "AdaptiveClip", "Arm", "AutoClip", "Blobs",
    "BlockRMSClip", "Blocks", "Chain", "Channels", "CheckpointError", "Choice", "Circles", "Claim", "ClipReport",
    "ClipStrategy", "ConfigError", "Control", "CriteriaComparison", "Criterion", "Cubic", "DataCorruptError",
    "DataError", "DataMissingError", "DataSource", "Digits", "Distillation", "Distribution", "DoneEvent",
    "EngineError", "EvalEvent", "Evidence", "Exchange", "Experiment", "FashionMNIST", "Filters", "Fisher",
    "Forgotten", "FromCheckpoint", "GraSP", "Gradient", "GradientMagnitude", "Granularity", "Grid", "Halving",
    "Heads", "IntUniform", "InterventionEvent", "Iterative", "L2Norm", "Lab", "LabError", "LayerNormClip", "LeNet5",
    "LeNet300", "Linear", "Magnitude", "MaskEvent", "ModelError", "ModelSource", "Moons", "Movement", "Neurons",
    "NofM", "NormClip", "OneShot", "OwnershipLostError", "PerSampleClip", "Picture", "Points", "Pruning", "Random",
    "RandomSample", "Regrowth", "RelativeMagnitude", "ResNet20", "Result", "RigL", "RowLSTM", "RunNotFoundError",
    "Schedule", "Search", "SeedNet", "Sensitivity", "SmallCNN", "SnapshotEvent", "Space", "Spirals", "StepEvent",
    "StoreError", "StoreUnavailableError", "StraightThrough", "Sweep", "SynFlow", "Taylor", "TinyViT",
    "Torchvision", "Training", "Trial", "Uniform", "UnknownNameError", "ValueClip", "Verdict", "Wanda", "Weights",
    "ZClip", "apply_masks_", "bearable", "compare_criteria", "evaluate", "forgotten", "gradient_at", "gradient_of",
    "jaccard", "lanes_of", "load_checkpoint", "make_masks", "prunable", "prune_", "race", "rank_correlations",
    "recalibrate_", "register", "restore_model", "robustness", "run", "sensitivity_cells", "sensitivity_scan",
    "sparsity_of", "stream", "sweep", "trial",
]  # fmt: skip
