"""A sweep: one experiment, and what varies in it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import PrivateAttr, field_validator, model_validator

from prune_core.errors import ConfigError
from prune_core.experiment import Experiment
from prune_core.settings import Settings, read_yaml, setting
from prune_core.sweeping.search import Search
from prune_core.sweeping.space import Changes, Space, as_space
from prune_core.sweeping.trunk import Trunk, trunk_of
from prune_core.sweeping.values import changed, words


class Halving(Settings):
    """Stop hopeless runs early: asynchronous successive halving (Li et al. 2020, arXiv:1810.05934), through Optuna.

    A run that reaches rung ``min_steps * factor**k`` goes on only if its accuracy there is among the best
    ``1 / factor`` of all that have reached it. Accuracy is that of the run's own evaluations in mid-run: a run that
    prunes late looks better at first than it will be.
    """

    min_steps: int = setting(100, ge=1, le=10_000_000, unit="steps", help="No run is stopped before.")
    factor: int = setting(3, ge=2, le=100, help="One of so many goes on at each rung.")


@dataclass(frozen=True)
class Member:
    """One experiment of a sweep; ``trunk`` is what it has in common with others that prune differently."""

    place: int
    changes: Changes
    experiment: Experiment
    trunk: Trunk | None = field(default=None, compare=False)


class Sweep(Settings):
    """``experiment`` with the changes that ``space`` makes to it.

    With ``share``, members that differ in how they prune go through the training before the first removal once: each
    still gives bitwise what it gives alone.
    """

    experiment: Experiment = setting(help="What all members have in common.")
    space: Space = setting(help="What varies.")
    halving: Halving | None = setting(None, help="Whether hopeless runs are stopped early.", label="Early stopping")
    share: bool = setting(True, help="Whether training that members have in common is done once.")

    _members: list[Member] | None = PrivateAttr(None)

    @field_validator("space", mode="before")
    @classmethod
    def _as_space(cls, space: Any) -> Any:
        return space if isinstance(space, dict) and "kind" in space else as_space(space)

    @model_validator(mode="after")
    def _agree(self) -> Sweep:
        if self.halving is not None and isinstance(self.space, Search) and len(self.space.objectives) > 1:
            raise ConfigError(
                "Sweep.halving must be None for a search with several objectives: a run in mid-training cannot be "
                f"ranked by {' and '.join(self.space.objectives)} at once."
            )
        return self

    @property
    def total(self) -> int:
        """How many members there are, or for a search will be."""
        return self.space.total

    def members(self) -> list[Member]:
        """Every member, validated, in order; empty for a search. Raises ConfigError naming the first that cannot be."""
        if self._members is None:  # a large sweep takes seconds, and is asked for what it costs before it starts
            self._members = self._made()
        return list(self._members)

    def _made(self) -> list[Member]:
        rows = enumerate(self.space.rows())
        found = [Member(place, changes, self.member(changes, place)) for place, changes in rows]
        if not self.share:
            return found
        trunks = [trunk_of(member.experiment) for member in found]
        common = Counter(trunk.key for trunk in trunks if trunk is not None)
        return [
            Member(m.place, m.changes, m.experiment, t if t is not None and common[t.key] > 1 else None)
            for m, t in zip(found, trunks, strict=True)
        ]

    def member(self, changes: Changes, place: int | None = None) -> Experiment:
        """The experiment with ``changes``. Raises ConfigError that names the combination."""
        try:
            return changed(self.experiment, changes)
        except ConfigError as error:
            which = "" if place is None else f" {place + 1} of {self.total}"
            raise ConfigError(f"Combination{which} ({words(changes)}) cannot be run: {error}") from None

    # --- files --------------------------------------------------------------------------------------------------------
    def to_json(self) -> str:
        """JSON text, readable back by ``from_json``. Raises ConfigError if a part is not registered."""
        self.experiment.to_dict()
        return json.dumps(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """YAML text, readable back by ``from_yaml``."""
        return str(yaml.safe_dump(json.loads(self.to_json()), sort_keys=False))

    @classmethod
    def from_json(cls, text: str) -> Sweep:
        """The sweep that ``to_json`` wrote. Raises ConfigError where it is not one."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_yaml(cls, text: str | Path) -> Sweep:
        """The sweep in a YAML text or file; ``grid: {field: [values]}`` may stand for ``space``."""
        return cls.from_dict(read_yaml(text))

    @classmethod
    def from_dict(cls, values: Any) -> Sweep:
        """The sweep in plain values. Raises ConfigError where it is not one."""
        if not isinstance(values, dict):
            raise ConfigError(f"A sweep is a mapping with experiment and space, got {type(values).__name__}.")
        values = {str(name): value for name, value in values.items()}
        for short, kind in (("grid", "vary"), ("points", "points")):
            if short in values and "space" not in values:
                values["space"] = {"kind": short, kind: values.pop(short)}
        return cls(**values)
