"""Every error the engine raises on purpose.

    LabError
    ├── ConfigError          a setting is wrong (also a ValueError)
    │   └── UnknownNameError   no field, method, model or data set of that name
    ├── DataError            data cannot be used
    │   ├── DataMissingError   files are not there, and cannot be fetched
    │   └── DataCorruptError   files are there, but truncated or not what they claim
    ├── ModelError           a model cannot be built, or does not fit
    ├── CheckpointError      a checkpoint cannot be read, or is another model's
    ├── StoreError           the live store cannot do what was asked
    │   ├── StoreUnavailableError  read-only, full, unreachable
    │   ├── RunNotFoundError       no run of that id
    │   └── OwnershipLostError     another attempt owns the run now: stop writing
    └── EngineError          the job engine cannot be started or reached

A training run whose loss is not finite is *not* an error: it ends with the status ``diverged``.
Each message is one sentence for people: it names the field, the bound and the value, and says what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LabError(Exception):
    """Base of all; pages show ``str(error)`` and never a traceback."""


class ConfigError(LabError, ValueError):
    """A setting is outside its bounds, or two settings contradict each other."""


class UnknownNameError(ConfigError):
    """Nothing has that name; the message offers the nearest one."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(names)) or 'none'}."
        super().__init__(f"There is no {what} named {name!r}; {hint}")
        self.name = name
        self.nearest = near[0] if near else None

    def __reduce__(self) -> tuple[object, ...]:
        # the message is made in __init__ from three values, and exceptions pickle by their args alone
        return (_restore, (type(self), self.args, self.__dict__))


class DataError(LabError):
    """Data cannot be used."""


class DataMissingError(DataError):
    """Files of a data set are not there and could not be fetched."""


class DataCorruptError(DataError):
    """Files of a data set are there but truncated or not in their format."""


class ModelError(LabError):
    """A model cannot be built, or does not fit the data."""


class CheckpointError(LabError):
    """A checkpoint cannot be read, or belongs to another experiment."""


class StoreError(LabError):
    """The live store cannot do what was asked."""


class StoreUnavailableError(StoreError):
    """The store is read-only, full or unreachable."""


class RunNotFoundError(StoreError):
    """No run of that id."""


class OwnershipLostError(StoreError):
    """Another attempt owns the run; this one must stop writing."""


class EngineError(LabError):
    """The job engine cannot be started or reached."""


def _restore(kind: type[LabError], args: tuple[object, ...], state: dict[str, object]) -> LabError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error
