"""How loops are compiled: once, kept on disk, and by numba, which takes a moment to import.

Only modules of loops import this, and they are imported where they are first needed (``clipping.quick``,
``pruning.quick``): who never needs them never waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])
Array = np.ndarray[Any, Any]


def compiled(signature: str) -> Callable[[Function], Function]:
    """Compile for one ``signature`` when this module is imported, and keep the result on disk where that is allowed."""

    def decorate(function: Function) -> Function:
        made: Any
        try:
            made = njit(signature, cache=True, nogil=True, error_model="numpy")(function)
        except RuntimeError:  # neither this folder nor the user's may be written to
            made = njit(signature, nogil=True, error_model="numpy")(function)
        return cast(Function, made)

    return decorate


def part(function: Function) -> Function:
    """Compile as part of each loop that calls it."""
    return cast(Function, njit(error_model="numpy")(function))
