"""From where a random sweep or a search takes a value."""

from __future__ import annotations

import math
import random
from typing import Any, ClassVar, Self

from pydantic import field_validator, model_validator

from prune_core.errors import ConfigError
from prune_core.registry import Registered, Registry, register
from prune_core.settings import setting


class Distribution(Registered):
    """Values of one field. A member gives ``draw``; a search knows the three that are here."""

    registry: ClassVar[Registry[Distribution]] = Registry("distribution")

    def draw(self, chance: random.Random) -> Any:
        """One value."""
        raise NotImplementedError


@register("uniform", label="Numbers between two bounds")
class Uniform(Distribution):
    """Any number from ``low`` to ``high``; ``log`` makes equal ratios equally likely."""

    low: float = setting(help="The smallest value.")
    high: float = setting(help="The largest value.")
    log: bool = setting(False, help="Whether equal ratios, not equal differences, are equally likely.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _check(self, self.low, self.high, self.log)
        return self

    def draw(self, chance: random.Random) -> float:
        if self.log:
            return math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        return chance.uniform(self.low, self.high)


@register("int_uniform", label="Whole numbers between two bounds")
class IntUniform(Distribution):
    """Any whole number from ``low`` to ``high``, both among them; ``log`` as in Uniform."""

    low: int = setting(help="The smallest value.")
    high: int = setting(help="The largest value.")
    log: bool = setting(False, help="Whether equal ratios, not equal differences, are equally likely.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _check(self, self.low, self.high, self.log)
        return self

    def draw(self, chance: random.Random) -> int:
        if self.log:  # each number owns what rounds to it
            value = math.exp(chance.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
            return min(max(round(value), self.low), self.high)
        return chance.randint(self.low, self.high)


@register("choice", label="One of some values")
class Choice(Distribution):
    """One of ``values``, each as likely: numbers, names, or parts such as criteria."""

    values: tuple[Any, ...] = setting(help="What is chosen from.")

    @field_validator("values", mode="before")
    @classmethod
    def _some(cls, values: Any) -> tuple[Any, ...]:
        found = tuple(values) if isinstance(values, list | tuple | range) else (values,)
        if not found:
            raise ConfigError("Choice.values must hold at least one value, got none.")
        return found

    def draw(self, chance: random.Random) -> Any:
        return chance.choice(self.values)


def _check(owner: Distribution, low: float, high: float, log: bool) -> None:
    name = type(owner).__name__
    if high <= low:
        raise ConfigError(f"{name}.high must be greater than low ({low:g}), got {high:g}.")
    if log and low <= 0:
        raise ConfigError(f"{name}.low must be greater than 0 where log is set, got {low:g}.")
