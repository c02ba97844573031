"""One registry type for every extension point.

A family (clipping strategies, criteria, ...) is a base class that owns a ``Registry``. Registering a subclass is all it
takes to appear in forms, documents, the command line and the contract tests::

    @pc.register("my_clip", label="My clipping", reference="Me, 2026")
    class MyClip(pc.ClipStrategy): ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ModelWrapValidatorHandler, model_serializer, model_validator

from prune_core.errors import ConfigError, UnknownNameError
from prune_core.settings import Strategy

T = TypeVar("T", bound="Registered")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """What a person needs to read about a registered thing, and the class itself."""

    name: str
    label: str
    summary: str
    formula: str
    reference: str
    cls: type[T]


class Registry(Generic[T]):
    """The registered members of one family, in order of registration."""

    def __init__(self, family: str) -> None:
        self.family = family
        self._entries: dict[str, Entry[T]] = {}

    def add(self, cls: type[T], name: str, *, label: str, summary: str, formula: str, reference: str) -> None:
        """Register ``cls``. The same class defined again (a notebook cell run twice) replaces itself.

        Raises ConfigError if another class holds the name.
        """
        held = self._entries.get(name)
        if held is not None and _origin(held.cls) != _origin(cls):
            raise ConfigError(
                f"The {self.family} name {name!r} belongs to {held.cls.__module__}.{held.cls.__qualname__}; "
                f"choose another name for {cls.__qualname__}."
            )
        self._entries[name] = Entry(name, label, summary, formula, reference, cls)
        cls.kind = name

    def __getitem__(self, name: str) -> Entry[T]:
        if not isinstance(name, str) or name not in self._entries:  # a list in a YAML file has no hash
            raise UnknownNameError(self.family, str(name), self._entries)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """Registered names in order of registration."""
        return list(self._entries)

    def entry_of(self, cls: type[T]) -> Entry[T] | None:
        """The entry of ``cls``, or None if it was never registered."""
        held = self._entries.get(cls.kind)
        return held if held is not None and _origin(held.cls) == _origin(cls) else None


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


class Registered(Strategy):
    """Base of the families. A family sets ``registry``; a member is found by its ``kind``.

    Abstract family bases parse a dictionary ``{"kind": name, ...}`` into the member of that name; members write it.
    """

    registry: ClassVar[Registry[Any]]

    @model_validator(mode="wrap")
    @classmethod
    def _dispatch(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and "kind" in value:
            values = {k: v for k, v in value.items() if k != "kind"}
            target = cls.registry[value["kind"]].cls
            if not issubclass(target, cls):
                raise ConfigError(f"{value['kind']!r} is a {target.__name__}, not a {cls.__name__}.")
            return target(**values)
        if "registry" in cls.__dict__:  # the family's base itself: nothing says which member is meant
            if isinstance(value, dict):
                raise ConfigError(
                    f"A {cls.registry.family} needs 'kind', one of {', '.join(cls.registry.names())}; got {value!r}."
                )
            raise ConfigError(f"{value!r} is not a {cls.registry.family}; choose {', '.join(cls.registry.names())}.")
        return handler(value)

    @model_serializer(mode="plain")
    def _with_kind(self) -> dict[str, Any]:
        # by hand: pydantic would write the fields of the declared family base only, not of the member
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            "kind": self.registered_as,
            **{k: v.model_dump() if isinstance(v, Strategy) else v for k, v in values.items()},
        }

    @property
    def registered_as(self) -> str:
        """The registered name, or ``module.Class`` in parentheses when it was never registered."""
        entry = type(self).registry.entry_of(type(self))
        return entry.name if entry else f"({type(self).__module__}.{type(self).__qualname__})"

    @property
    def registered(self) -> bool:
        """Whether it can be stored and read back by name."""
        return type(self).registry.entry_of(type(self)) is not None


def register(
    name: str, *, label: str, reference: str = "", formula: str = "", summary: str = ""
) -> Callable[[type[T]], type[T]]:
    """Register a subclass of any family under ``name``.

    ``summary`` defaults to the first line of the class's docstring; ``formula`` is LaTeX. Raises ConfigError if the
    name belongs to another class of the family, or if the class belongs to no family.
    """

    def add(cls: type[T]) -> type[T]:
        if not hasattr(cls, "registry"):
            raise ConfigError(f"{cls.__qualname__} belongs to no family; derive it from Criterion, ClipStrategy, ...")
        first = (inspect.getdoc(cls) or "").split("\n")[0].strip()
        cls.registry.add(cls, name, label=label, summary=summary or first, formula=formula, reference=reference)
        return cls

    return add
