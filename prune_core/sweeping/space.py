"""Which experiments a sweep makes: every combination, a list, or values drawn at random."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import field_validator, model_serializer

from prune_core.errors import ConfigError
from prune_core.registry import Registered, Registry, register
from prune_core.settings import setting
from prune_core.sweeping.distributions import Choice, Distribution
from prune_core.sweeping.values import plain

MOST = 100_000  # members of one sweep

Changes = dict[str, Any]


class Space(Registered):
    """What varies in a sweep. A member gives ``rows`` and ``total``."""

    registry: ClassVar[Registry[Space]] = Registry("sweep space")
    given: ClassVar[bool] = True
    """Whether all members are known before the first one runs."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The dotted fields that vary."""
        raise NotImplementedError

    @property
    def total(self) -> int:
        """How many members there are."""
        raise NotImplementedError

    def rows(self) -> Iterator[Changes]:
        """The changes of each member, the same at every call; where not ``given``, none."""
        raise NotImplementedError

    @model_serializer(mode="plain")
    def _with_kind(self) -> dict[str, Any]:
        return {"kind": self.registered_as, **{name: plain(getattr(self, name)) for name in type(self).model_fields}}


@register("grid", label="Every combination")
class Grid(Space):
    """Every combination of the values of ``vary``; the last field changes fastest."""

    vary: dict[str, tuple[Any, ...]] = setting(help="Values by dotted field.")

    @field_validator("vary", mode="before")
    @classmethod
    def _some(cls, fields: Any) -> dict[str, tuple[Any, ...]]:
        found = {path: _several("Grid", path, values) for path, values in _named("Grid", fields).items()}
        if (total := math.prod(map(len, found.values()))) > MOST:
            raise ConfigError(f"Grid.vary must make at most {MOST:,} combinations, got {total:,}.")
        return found

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.vary)

    @property
    def total(self) -> int:
        return math.prod(map(len, self.vary.values()))

    def rows(self) -> Iterator[Changes]:
        for values in itertools.product(*self.vary.values()):
            yield dict(zip(self.vary, values, strict=True))


@register("points", label="A list")
class Points(Space):
    """The combinations in ``points``, in their order; each says which fields it changes."""

    points: tuple[dict[str, Any], ...] = setting(help="Changes of each member, by dotted field.")

    @field_validator("points", mode="before")
    @classmethod
    def _some(cls, points: Any) -> tuple[dict[str, Any], ...]:
        found = tuple(points) if isinstance(points, list | tuple) else ()
        if not found or not all(isinstance(row, Mapping) for row in found):
            raise ConfigError(f"Points.points must be a list of mappings from dotted fields to values, got {points!r}.")
        if len(found) > MOST:
            raise ConfigError(f"Points.points must hold at most {MOST:,} members, got {len(found):,}.")
        return tuple({str(path): value for path, value in row.items()} for row in found)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for row in self.points for path in row))

    @property
    def total(self) -> int:
        return len(self.points)

    def rows(self) -> Iterator[Changes]:
        yield from (dict(row) for row in self.points)


@register("random", label="Drawn at random")
class RandomSample(Space):
    """``n`` members whose fields are drawn one by one; the same ``seed`` draws the same.

    Bergstra & Bengio 2012, JMLR 13: where few of many fields matter, this finds more than a grid of as many runs.
    """

    vary: dict[str, Distribution] = setting(help="A distribution by dotted field; a list counts as Choice.")
    n: int = setting(20, ge=1, le=MOST, unit="runs", help="How many members are drawn.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides what is drawn.")

    @field_validator("vary", mode="before")
    @classmethod
    def _some(cls, fields: Any) -> dict[str, Any]:
        return {path: as_distribution(values) for path, values in _named("RandomSample", fields).items()}

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.vary)

    @property
    def total(self) -> int:
        return self.n

    def rows(self) -> Iterator[Changes]:
        chance = random.Random(self.seed)
        for _ in range(self.n):
            yield {path: distribution.draw(chance) for path, distribution in self.vary.items()}


def as_distribution(values: Any) -> Any:
    """A list, or a single value, as a Choice; what may be a distribution as it is."""
    if isinstance(values, Distribution):
        return values
    if isinstance(values, Mapping) and values.get("kind") in Distribution.registry:
        return dict(values)
    return Choice(values=tuple(values) if isinstance(values, list | tuple | range) else (values,))


def as_space(fields: Any) -> Space:
    """What people give instead of a Space: a mapping of fields to values is a Grid, a list of mappings Points."""
    if isinstance(fields, Space):
        return fields
    if isinstance(fields, Mapping):
        return Grid(vary=dict(fields))
    return Points(points=tuple(fields))


def _named(owner: str, fields: Any) -> dict[str, Any]:
    if not isinstance(fields, Mapping) or not fields:
        raise ConfigError(f"{owner}.vary must map at least one dotted field to values, got {fields!r}.")
    return {str(path): values for path, values in fields.items()}


def _several(owner: str, path: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        values = (values,)
    found = tuple(values)
    if not found:
        raise ConfigError(f"{owner}.vary[{path!r}] must hold at least one value, got none.")
    return found
