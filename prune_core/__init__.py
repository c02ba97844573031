"""Clip & Prune Lab's engine: gradient clipping and pruning, measured.

>>> import prune_core as pc
>>> exp = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=pc.ValueClip(threshold=0.01))
>>> result = pc.run(exp)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from prune_core.pruning import (
    LAMP,
    SET,
    SNIP,
    Criterion,
    Cubic,
    Evidence,
    Fisher,
    GradientMagnitude,
    GraSP,
    Iterative,
    Linear,
    Magnitude,
    Movement,
    OneShot,
    Pruning,
    Random,
    Regrowth,
    RelativeMagnitude,
    RigL,
    Schedule,
    SynFlow,
    Taylor,
    Wanda,
    apply_masks_,
    make_masks,
    prunable,
    prune_,
    sparsity_of,
)
from prune_core.registry import register
from prune_core.training import (
    Control,
    Result,
    Sensitivity,
    evaluate,
    load_checkpoint,
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
    "CIFAR10",
    "CIFAR100",
    "LAMP",
    "MLP",
    "MNIST",
    "SET",
    "SNIP",
    "AdaptiveClip",
    "AutoClip",
    "Blobs",
    "BlockRMSClip",
    "Chain",
    "CheckpointError",
    "Circles",
    "ClipReport",
    "ClipStrategy",
    "ConfigError",
    "Control",
    "Criterion",
    "Cubic",
    "DataCorruptError",
    "DataError",
    "DataMissingError",
    "DataSource",
    "Digits",
    "DoneEvent",
    "EngineError",
    "EvalEvent",
    "Evidence",
    "Experiment",
    "FashionMNIST",
    "Fisher",
    "FromCheckpoint",
    "GraSP",
    "GradientMagnitude",
    "InterventionEvent",
    "Iterative",
    "Lab",
    "LabError",
    "LayerNormClip",
    "LeNet5",
    "LeNet300",
    "Linear",
    "Magnitude",
    "MaskEvent",
    "ModelError",
    "ModelSource",
    "Moons",
    "Movement",
    "NormClip",
    "OneShot",
    "OwnershipLostError",
    "PerSampleClip",
    "Pruning",
    "Random",
    "Regrowth",
    "RelativeMagnitude",
    "ResNet20",
    "Result",
    "RigL",
    "RowLSTM",
    "RunNotFoundError",
    "Schedule",
    "SeedNet",
    "Sensitivity",
    "SmallCNN",
    "SnapshotEvent",
    "Spirals",
    "StepEvent",
    "StoreError",
    "StoreUnavailableError",
    "SynFlow",
    "Taylor",
    "TinyViT",
    "Torchvision",
    "Training",
    "UnknownNameError",
    "ValueClip",
    "Wanda",
    "ZClip",
    "apply_masks_",
    "evaluate",
    "load_checkpoint",
    "make_masks",
    "prunable",
    "prune_",
    "register",
    "restore_model",
    "run",
    "sensitivity_cells",
    "sensitivity_scan",
    "sparsity_of",
    "stream",
    "sweep",
]
