"""Settings as the Python that makes them."""

from __future__ import annotations

from typing import Any

import prune_core as pc
from prune_core.claims import Claim
from prune_core.clipping import ClipStrategy
from prune_core.data import DataSource
from prune_core.errors import ConfigError, LabError
from prune_core.experiment import Experiment
from prune_core.models import ModelSource
from prune_core.pruning import Criterion, Granularity, Regrowth, Schedule
from prune_core.registry import Registered, Registry
from prune_core.settings import Settings
from prune_core.sweeping import Sweep

WIDE = 100  # characters of a value that still goes on one line
PARTS: dict[str, Registry[Any]] = {  # what a part with a kind may stand at
    "data": DataSource.registry,
    "model": ModelSource.registry,
    "clip": ClipStrategy.registry,
    "prune.criterion": Criterion.registry,
    "prune.granularity": Granularity.registry,
    "prune.schedule": Schedule.registry,
    "prune.regrow": Regrowth.registry,
}


def as_python(value: Settings, *, full: bool = False, depth: int = 0) -> str:
    """``value`` as an expression in ``pc``, from JSON or the registry where a part of it is not there (somebody's own).

    Only fields that differ from their defaults, or with ``full`` all of them, so that the text means the same in a
    later version with other defaults. Evaluated, it equals ``value``. ``depth`` is how far its lines are indented, in
    steps of four spaces. Raises ConfigError for a part alone that is not registered.
    """
    try:
        text = _code(value, depth, full)
        made = eval(text, {"pc": pc})  # only what was just written here
        if type(made) is type(value) and made.model_dump_json() == value.model_dump_json():
            return text
    except (LabError, AttributeError, SyntaxError, TypeError, NameError):
        pass
    if isinstance(value, Experiment | Sweep):
        return f"pc.{type(value).__name__}.from_json({value.to_json()!r})"
    if not isinstance(value, Registered) or not value.registered:
        raise ConfigError(f"{type(value).__name__} is not registered, so no text can name it.")
    family = next(base for base in type(value).__mro__ if "registry" in base.__dict__).__name__
    given = {name: part for name, part in value.model_dump().items() if name != "kind"}
    return f"pc.{family}.registry[{value.registered_as!r}].cls(**{given!r})"


def _code(value: Any, depth: int, full: bool, path: str = "") -> str:
    if isinstance(value, dict) and path in PARTS and value.get("kind") in PARTS[path]:
        # a part as the store has it
        value = PARTS[path][value["kind"]].cls(**{k: v for k, v in value.items() if k != "kind"})
    if isinstance(value, Settings):
        name = type(value).__name__
        if isinstance(value, Claim):
            name = f"claims.{name}"
            getattr(pc.claims, type(value).__name__)
        else:
            getattr(pc, name)  # AttributeError: somebody's own part
        fields = type(value).model_fields
        items = [
            f"{n}={_code(getattr(value, n), depth + 1, full, path)}"
            for n in fields
            if full or fields[n].is_required() or getattr(value, n) != fields[n].get_default(call_default_factory=True)
        ]
        return _joined(f"pc.{name}(", items, ")", depth)
    if isinstance(value, dict):
        return _joined("{", [f'"{k}": {_code(v, depth + 1, full, k)}' for k, v in value.items()], "}", depth)
    if isinstance(value, tuple):
        inner = [_code(v, depth + 1, full, path) for v in value]
        return _joined("(", inner, ",)" if len(inner) == 1 else ")", depth)
    if isinstance(value, list):
        return _joined("[", [_code(v, depth + 1, full, path) for v in value], "]", depth)
    return f'"{value}"' if isinstance(value, str) and not set('"\\\n') & set(value) else repr(value)


def _joined(start: str, items: list[str], end: str, depth: int) -> str:
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= WIDE - 4 * depth and "\n" not in line:
        return line
    inner = "".join(f"{'    ' * (depth + 1)}{item},\n" for item in items)
    return f"{start}\n{inner}{'    ' * depth}{end.lstrip(',')}"
