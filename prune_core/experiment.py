"""One frozen value that decides a run.

``digest`` is its identity: two experiments with the same digest give bitwise the same result on one machine with one
number of threads.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import model_validator

from prune_core import display
from prune_core.clipping import ClipStrategy
from prune_core.data import DataSource
from prune_core.errors import ConfigError, UnknownNameError
from prune_core.models import ModelSource
from prune_core.pruning import Pruning
from prune_core.registry import Registered
from prune_core.settings import Settings, brief, read_yaml, setting

SCHEMA = 1  # part of every digest: raise it when a field's meaning changes

Optimizer = Literal["sgd", "adam", "adamw"]
LrSchedule = Literal["constant", "step", "cosine", "one_cycle"]
Precision = Literal["float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "cuda"]


class Training(Settings):
    """How long, how fast and with what the network is trained."""

    steps: int = setting(400, ge=1, le=10_000_000, help="Updates of the weights.", unit="steps")
    batch_size: int = setting(64, ge=1, le=65_536, help="Examples averaged in one update.", unit="examples")
    lr: float = setting(0.1, gt=0, le=1000, log=True, label="Learning rate", help="How far one update goes.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides initial weights, order of data and every random choice.")
    optimizer: Optimizer = setting("sgd", help="The rule that turns a gradient into an update.")
    momentum: float = setting(0.9, ge=0, lt=1, help="Share of the last update that goes on (SGD).", advanced=True)
    nesterov: bool = setting(False, help="Look ahead along the momentum (SGD).", advanced=True)
    weight_decay: float = setting(0.0, ge=0, le=1, help="Pull of every weight towards zero.", advanced=True)
    beta1: float = setting(0.9, ge=0, lt=1, help="Memory of the mean gradient (Adam, AdamW).", advanced=True)
    beta2: float = setting(0.999, ge=0, lt=1, help="Memory of the squared gradient (Adam, AdamW).", advanced=True)
    lr_schedule: LrSchedule = setting(
        "constant", label="Learning rate schedule", help="How the learning rate changes over the run.", advanced=True
    )
    lr_step_every: int = setting(
        200, ge=1, le=10_000_000, help="Steps between two drops ('step' schedule).", unit="steps", advanced=True
    )
    lr_step_factor: float = setting(0.1, gt=0, le=1, help="Factor of each drop ('step' schedule).", advanced=True)
    warmup: int = setting(
        0, ge=0, le=10_000_000, help="Steps over which the rate rises from 0.", unit="steps", advanced=True
    )
    eval_every: int = setting(
        0,
        ge=0,
        le=10_000_000,
        help="Steps between two looks at the test split; 0: 25 looks a run, 50 to 500 steps apart.",
        unit="steps",
        advanced=True,
    )
    eval_samples: int = setting(
        1000,
        ge=1,
        le=10_000_000,
        help="Test examples of an evaluation in mid-run; the last one always takes all.",
        unit="examples",
        advanced=True,
    )
    snapshot_every: int = setting(
        0,
        ge=0,
        le=10_000_000,
        help="Steps between two histograms; 0: 50 a run, 25 to 250 steps apart.",
        unit="steps",
        advanced=True,
    )
    precision: Precision = setting(
        "float32", help="Arithmetic of forward and backward pass; weights stay float32.", advanced=True
    )
    device: Device = setting("auto", help="Where to compute; auto takes a GPU when there is one.", advanced=True)

    @property
    def eval_period(self) -> int:
        """Steps between two evaluations: ``eval_every``, or what fits the length of the run."""
        return self.eval_every or min(max(50, self.steps // 25), 500)

    @property
    def snapshot_period(self) -> int:
        """Steps between two snapshots: ``snapshot_every``, or what fits the length of the run."""
        return self.snapshot_every or min(max(25, self.steps // 50), 250)

    @model_validator(mode="after")
    def _agree(self) -> Training:
        if self.nesterov and self.momentum == 0:
            raise ConfigError("Training.nesterov needs momentum greater than 0, got momentum 0.")
        if self.warmup >= self.steps and self.warmup > 0:
            raise ConfigError(f"Training.warmup must be less than steps ({self.steps}), got {self.warmup}.")
        if self.warmup and self.lr_schedule == "one_cycle":
            raise ConfigError(
                f"Training.warmup must be 0 with lr_schedule 'one_cycle', which warms up by itself, got {self.warmup}."
            )
        return self


class FromCheckpoint(Settings):
    """Start from the weights and masks of an earlier run instead of fresh ones; optimizer and data order start anew."""

    path: str = setting(help="The checkpoint file of the earlier run.")
    sha256: str = setting("", help="Content the file must have; empty takes it as it is.")


class Experiment(Settings):
    """Data, model, clipping, pruning and training of one run.

    Raises ConfigError when a part is out of bounds or two parts do not fit: a model that cannot read the data, a batch
    larger than the train split, a pruning schedule that ends after training does, distillation without a teacher.
    """

    data: DataSource
    model: ModelSource
    clip: ClipStrategy | None = None
    prune: Pruning | None = None
    train: Training = Training()
    start: FromCheckpoint | None = None

    @model_validator(mode="after")
    def _fit(self) -> Experiment:
        info = self.data.info
        self.model.check(info.shape, info.classes)
        if self.train.batch_size > info.train:
            raise ConfigError(
                f"Training.batch_size must be at most {info.train}, the examples to train on, "
                f"got {self.train.batch_size}."
            )
        if self.clip is not None and self.clip.per_sample and self.train.precision == "float16":
            raise ConfigError(
                f"Training.precision must be 'float32' or 'bfloat16' with {type(self.clip).__name__}, because the "
                "gradients of single examples are not scaled against underflow; got 'float16'."
            )
        if self.prune is not None:
            self.prune.check(self.train.steps)
            if self.prune.depends_on_layers:
                self.prune.select(self.model.outline(info.shape, info.classes))
            self._check_teacher(self.prune)
            if self.prune.scope == "sensitivity" and self.start is None and (share := self.prune.schedule(0)) > 0:
                raise ConfigError(
                    "Pruning.schedule must remove nothing at step 0 with scope 'sensitivity', because a network that "
                    f"has not trained says nothing of its layers; got {share:g}. Remove later, or start from a "
                    "checkpoint."
                )
        return self

    def _check_teacher(self, prune: Pruning) -> None:
        if prune.distill is None:
            return
        if self.start is None and prune.schedule(0) > 0:
            raise ConfigError(
                "Pruning.distill needs a network that has learnt something to be the teacher: start from a checkpoint, "
                f"or let the first removal be at step 1 or later; got sparsity {prune.schedule(0):g} at step 0."
            )
        if self.clip is not None and self.clip.per_sample:
            raise ConfigError(
                f"Pruning.distill must be None with {type(self.clip).__name__}, which takes the gradient of cross "
                "entropy example by example; got Distillation. Clip by norm instead."
            )

    @property
    def digest(self) -> str:
        """16 hex digits over every field, defaults included, and the schema's number."""
        text = json.dumps({"schema": SCHEMA, **self.model_dump()}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_(self, **changes: Any) -> Experiment:
        """A validated copy with dotted fields changed: ``exp.with_(**{"clip.threshold": 0.1, "train.steps": 50})``.

        All changes are made before anything is checked against anything else. Raises UnknownNameError with the nearest
        field for a wrong path, ConfigError for a path into a part that is None.
        """
        tree: dict[str, Any] = {}
        for path, value in changes.items():
            node = tree
            *parents, leaf = path.split(".")
            for part in parents:
                node = node.setdefault(part, {})
                if not isinstance(node, dict):
                    raise ConfigError(f"{path!r} and one of its parents cannot be changed at once.")
            node[leaf] = _Leaf(value)
        changed = _apply(self, tree, "", self)
        assert isinstance(changed, Experiment)
        return changed

    def _repr_html_(self) -> str:
        """In a notebook: a row a part, with the settings that are not the usual ones."""
        rows = [(name, brief(getattr(self, name))) for name in type(self).model_fields]
        return display.table("Experiment", rows, f"digest {self.digest}")

    def flat(self) -> dict[str, Any]:
        """Every leaf by its dotted path; a strategy's own path holds its name, an absent part's holds None."""
        return dict(_leaves(self, ""))

    def differences(self, other: Experiment) -> dict[str, tuple[Any, Any]]:
        """``{path: (mine, theirs)}`` of the leaves that differ; a leaf that one side lacks is None there."""
        mine, theirs = self.flat(), other.flat()
        paths = [*mine, *(p for p in theirs if p not in mine)]
        return {p: (mine.get(p), theirs.get(p)) for p in paths if mine.get(p) != theirs.get(p)}

    def unregistered(self) -> list[str]:
        """Names of parts that no registry knows: such an experiment runs, but cannot be written down."""
        parts: list[Registered | None] = [self.data, self.model, *(self.clip.parts if self.clip else ())]
        if self.prune is not None:
            parts += self.prune.parts
        return [p.registered_as for p in parts if isinstance(p, Registered) and not p.registered]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, readable back by ``from_dict``. Raises ConfigError if a part is not registered."""
        if loose := self.unregistered():
            raise ConfigError(
                f"{', '.join(loose)} cannot be written down because no name stands for it; "
                "register it with pc.register(name, label=...)."
            )
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Experiment:
        """The experiment that ``to_dict`` wrote. Raises ConfigError where it is not one."""
        if not isinstance(values, dict):
            raise ConfigError(f"An experiment is a mapping with data, model, train, ..., got {type(values).__name__}.")
        return cls(**{str(k): v for k, v in values.items()})

    def to_json(self) -> str:
        """JSON text, readable back by ``from_json``."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """The experiment in a JSON text. Raises ConfigError where it is not one."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise ConfigError(f"This is not JSON: {error}.") from None

    def to_yaml(self) -> str:
        """YAML text, readable back by ``from_yaml``."""
        return str(yaml.safe_dump(self.to_dict(), sort_keys=False))

    @classmethod
    def from_yaml(cls, text: str | Path) -> Experiment:
        """The experiment in a YAML text or file. Raises ConfigError where it is not one."""
        return cls.from_dict(read_yaml(text))


class _Leaf:
    """A new value in the tree of changes; wrapped so that a dictionary may be a value too."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _apply(value: Any, tree: dict[str, Any], trail: str, whole: Experiment) -> Any:
    if not isinstance(value, Settings):
        name = trail.rstrip(".")
        raise ConfigError(f"{name} is {value!r}, so {name}.{next(iter(tree))} cannot be set; set {name} first.")
    new = {}
    for name, change in tree.items():
        if name not in type(value).model_fields:
            raise UnknownNameError("field", trail + name, _paths(whole))
        new[name] = (
            change.value
            if isinstance(change, _Leaf)
            else _apply(getattr(value, name), change, f"{trail}{name}.", whole)
        )
    return value.replace(**new)


def _paths(value: Experiment) -> list[str]:
    return [path for path, _ in _leaves(value, "")]


def _leaves(value: Settings, trail: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name in type(value).model_fields:
        part = getattr(value, name)
        if isinstance(part, Settings):
            if isinstance(part, Registered):
                found.append((trail + name, part.registered_as))
            found += _leaves(part, f"{trail}{name}.")
        else:
            found.append((trail + name, part))
    return found
