"""Values of swept fields: as plain data, as words, and put into an experiment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from prune_core.errors import ConfigError
from prune_core.experiment import Experiment

SPARSITY = "prune.schedule.final"
LAYER = "prune.layer_sparsity."  # followed by a layer's name: the share of that layer


def changed(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """``experiment`` with dotted fields changed; ``prune.layer_sparsity.fc1`` is the share of layer ``fc1``.

    A share by layer sets scope "layer", without which there is none. Raises ConfigError as ``with_`` does.
    """
    shares = {path.removeprefix(LAYER): value for path, value in changes.items() if path.startswith(LAYER)}
    found = experiment.with_(**{path: value for path, value in changes.items() if not path.startswith(LAYER)})
    if not shares:
        return found
    if found.prune is None:
        raise ConfigError(f"prune is None, so {LAYER}{next(iter(shares))} cannot be set; set prune first.")
    kept = [text for text in found.prune.layer_sparsity if text.partition("=")[0].strip() not in shares]
    texts = (*kept, *(f"{name}={float(share)!r}" for name, share in shares.items()))
    return found.with_(**{"prune.layer_sparsity": texts, "prune.scope": "layer"})


def plain(value: Any) -> Any:
    """``value`` as JSON holds it; a part as a mapping with its ``kind``."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value  # numpy's numbers


def label(value: Any) -> Any:
    """A number, truth or text as it is; a part in a few words: its name, and its first number.

    >>> label({"kind": "value", "threshold": 0.01})
    'value 0.01'
    """
    value = plain(value)
    if isinstance(value, Mapping):
        name = str(value.get("kind", ""))
        if not name:  # Pruning: known by its criterion and how much goes
            parts = [label(value[k]) for k in ("criterion", "schedule") if isinstance(value.get(k), Mapping)]
            return " ".join(map(str, parts)) or json.dumps(value)
        number = next((v for v in value.values() if isinstance(v, int | float) and not isinstance(v, bool)), None)
        return name if number is None else f"{name} {number:g}"
    return ", ".join(str(label(one)) for one in value) if isinstance(value, list) else value


def labels(values: Iterable[Any]) -> dict[str, Any]:
    """``{JSON of a value: its label}``; labels that fall together are told apart by the whole value."""
    keys = {json.dumps(plain(value), sort_keys=True): label(value) for value in values}
    times = Counter(keys.values())
    return {key: text if times[text] == 1 else key for key, text in keys.items()}


def words(changes: Mapping[str, Any]) -> str:
    """Changes with their fields, for messages: ``schedule.final 0.9, train.seed 1``."""
    return ", ".join(f"{'.'.join(path.split('.')[-2:])} {label(value)}" for path, value in changes.items())


def short(changes: Mapping[str, Any]) -> str:
    """What a run with these changes is called: ``magnitude, 90 %, seed 1``.

    A part goes by its name, the sparsity by its share; a name stands in columns of tables and in legends.
    """
    ends = Counter(path.rpartition(".")[2] for path in changes)
    return ", ".join(_word(path, value, alone=ends[path.rpartition(".")[2]] == 1) for path, value in changes.items())


def _word(path: str, value: Any, *, alone: bool) -> str:
    """One change; the field's whole path where its last name would not tell it from another (not ``alone``)."""
    said = label(value)
    if isinstance(plain(value), Mapping):
        return str(said)
    name = path.rpartition(".")[2].replace("_", " ") if alone or path.startswith(LAYER) else path
    if isinstance(said, int | float) and not isinstance(said, bool):
        if path == SPARSITY or path.startswith(LAYER):
            share = f"{100 * said:.4g}\u00a0%"
            return share if path == SPARSITY else f"{path.removeprefix(LAYER)} {share}"
        return f"{name} {said:.4g}" if isinstance(said, float) else f"{name} {said}"
    return f"{name} {'none' if said is None else 'on' if said is True else 'off' if said is False else said}"
