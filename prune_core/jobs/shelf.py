"""Models that a worker keeps in memory, as many as there is room for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A model that says how many weights it has."""

    size: int


M = TypeVar("M", bound=Sized)


class Shelf(Generic[M]):
    """Models in memory, together at most ``most`` prunable weights (or one model); the least recently used go first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._models: OrderedDict[Hashable, M] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], M]) -> M:
        """The model of ``key``, made if it is not here."""
        if key not in self._models:
            self._models[key] = make()
        self._models.move_to_end(key)
        while len(self._models) > 1 and sum(m.size for m in self._models.values()) > self.most:
            self._models.popitem(last=False)
        return self._models[key]
