"""A search: what to try next follows from what came out so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, get_args

from pydantic import field_validator

from prune_core.errors import ConfigError, UnknownNameError
from prune_core.registry import register
from prune_core.settings import setting
from prune_core.sweeping.distributions import Distribution
from prune_core.sweeping.space import MOST, Changes, Space, _named, as_distribution

Objective = Literal["accuracy", "loss", "sparsity", "dense_bytes", "kept_bytes", "kept_macs", "latency_ms", "seconds"]
Sampler = Literal["tpe", "random"]
HIGHER_IS_BETTER: dict[str, bool] = {name: name in ("accuracy", "sparsity") for name in get_args(Objective)}


@register("search", label="Searched for the front")
class Search(Space):
    """``trials`` members, each chosen from what those before it gave, towards the best trade-offs of ``objectives``.

    "tpe": multi-objective tree-structured Parzen estimator (Ozaki et al. 2022, JAIR 73), through Optuna; "random" is
    the baseline that it must beat.
    """

    given: ClassVar[bool] = False

    vary: dict[str, Distribution] = setting(help="A distribution by dotted field; a list counts as Choice.")
    trials: int = setting(40, ge=1, le=MOST, unit="runs", help="How many members are tried.")
    objectives: tuple[str, ...] = setting(
        ("accuracy", "kept_bytes"), help="What is wanted: accuracy and sparsity high, all else low."
    )
    sampler: Sampler = setting("tpe", help="The rule that chooses what to try next.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides every random choice.")

    @field_validator("vary", mode="before")
    @classmethod
    def _some(cls, fields: Any) -> dict[str, Any]:
        return {path: as_distribution(values) for path, values in _named("Search", fields).items()}

    @field_validator("objectives")
    @classmethod
    def _known(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        for name in objectives:
            if name not in HIGHER_IS_BETTER:
                raise UnknownNameError("objective", name, HIGHER_IS_BETTER)
        if not 1 <= len(set(objectives)) == len(objectives) <= 3:
            raise ConfigError(f"Search.objectives must be one to three different ones, got {list(objectives)}.")
        return objectives

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.vary)

    @property
    def total(self) -> int:
        return self.trials

    def rows(self) -> Iterator[Changes]:
        return iter(())
