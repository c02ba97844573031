"""What a figure can be made of: a history as a DataFrame, a result of ``pc.run``, or a run in the lab."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import pandas as pd

from prune_core.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")


class HasHistory(Protocol):
    """A result, whose ``history`` is a DataFrame, or a run's handle, whose ``history`` is a method that reads it."""

    @property
    def history(self) -> Any: ...


Source: TypeAlias = pd.DataFrame | HasHistory


def of_run(function: Callable[Concatenate[pd.DataFrame, P], R]) -> Callable[Concatenate[Source, P], R]:
    """Let a data function that starts from a history start from a run or a result too.

    Of a run the rest is filled in where the function asks for it and the caller does not say: ``evals``, ``marks`` and
    ``steps``. Raises ConfigError for what has no history.
    """
    wanted = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def data(source: Source, *args: P.args, **kwargs: P.kwargs) -> R:
        if isinstance(source, pd.DataFrame):
            return function(source, *args, **kwargs)
        told = set(wanted[: 1 + len(args)]) | set(kwargs)
        found = _read(source)
        rest = {name: value for name, value in found.items() if name in wanted and name not in told}
        return function(found["history"], *args, **{**kwargs, **rest})

    return cast("Callable[Concatenate[Source, P], R]", data)


def _read(source: Any) -> dict[str, Any]:
    """history, and as far as there are any evals, marks and steps."""
    history = getattr(source, "history", None)
    history = history() if callable(history) else history
    if not isinstance(history, pd.DataFrame):
        raise ConfigError(
            f"A figure is made of a DataFrame, a result or a run; got {type(source).__name__}, which has no history."
        )
    found = {"history": history}
    experiment = getattr(source, "experiment", None) or getattr(getattr(source, "record", None), "experiment", None)
    if experiment is not None:
        found["steps"] = experiment.train.steps
    for name, attribute in (("evals", "evals"), ("marks", "marks"), ("marks", "interventions")):
        value = getattr(source, attribute, None)
        value = value() if callable(value) else value
        if value is not None and len(value):
            found[name] = value
    return found
