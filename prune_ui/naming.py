"""What runs and settings are called on pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prune_core.clipping import ClipStrategy
from prune_core.data import DataSource
from prune_core.experiment import Experiment
from prune_core.figures.words import number, percent
from prune_core.models import ModelSource
from prune_core.pruning import Criterion, Schedule
from prune_core.registry import Registry
from prune_core.settings import Settings
from prune_ui.fields import choice_label

if TYPE_CHECKING:
    from prune_core.tracking import RunRecord

FAMILIES: dict[str, Registry[Any]] = {
    "data": DataSource.registry,
    "model": ModelSource.registry,
    "clip": ClipStrategy.registry,
    "prune.criterion": Criterion.registry,
    "prune.schedule": Schedule.registry,
}
PARTS = {"data": "Data", "model": "Model", "clip": "Clipping", "prune": "Pruning", "train": "Training"}
START = "Starts from"


def part_label(family: str, name: str | None) -> str:
    """``value`` of the family "clip" as people read it; the name itself where this process does not know it."""
    if not name:
        return ""
    entry = next((e for e in FAMILIES[family] if e.name == name), None)
    return entry.label if entry is not None else name


def describe(experiment: Experiment) -> str:
    """An experiment in a few words."""
    parts = [
        f"{part_label('model', experiment.model.registered_as)} on {part_label('data', experiment.data.registered_as)}"
    ]
    if experiment.clip is not None:
        how = part_label("clip", experiment.clip.registered_as).lower()
        parts.append(f"clipping {how} {number(experiment.clip.threshold)}")
    if experiment.prune is not None:
        how = part_label("prune.criterion", experiment.prune.criterion.registered_as).lower()
        parts.append(f"{how} pruning to {percent(experiment.prune.schedule.final, 0)}")
    return " · ".join(parts)


def differing(experiments: Sequence[Experiment]) -> list[str]:
    """Dotted paths that are not the same in all, in the order of the settings."""
    flats = [e.flat() for e in experiments]
    paths = list(dict.fromkeys(path for flat in flats for path in flat))
    return [p for p in paths if any(flat.get(p, _Absent) != flats[0].get(p, _Absent) for flat in flats)]


def title_of(path: str, experiments: Sequence[Experiment]) -> str:
    """``clip.threshold`` as ``Clipping · Threshold α``."""
    if path == "start":
        return START
    if path in PARTS:
        return PARTS[path]
    first, *rest = path.split(".")
    for experiment in experiments:
        part: Any = experiment
        for step in path.split(".")[:-1]:
            part = getattr(part, step, None)
        spec = next((s for s in part.fields() if s.name == rest[-1]), None) if isinstance(part, Settings) else None
        if spec is not None:
            unit = f" ({spec.unit})" if spec.unit else ""
            return f"{PARTS.get(first, first)} · {spec.label}{unit}"
    return path


def value_text(path: str, experiment: Experiment) -> str:
    """The setting at ``path`` as people read it; empty where the experiment has no such setting."""
    flat = experiment.flat()
    if path not in flat:
        return ""
    value = flat[path]
    if path in FAMILIES:
        return part_label(path, value) or "none"
    if path in PARTS:
        return "none" if value is None else str(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else choice_label(value)


def short_names(records: Sequence[RunRecord]) -> list[str]:
    """A name for each run that tells it from the others: its own, else what is set differently, else its id's end."""
    experiments = [record.experiment for record in records]
    paths = differing(experiments)[:3]
    names = []
    for record, experiment in zip(records, experiments, strict=True):
        settings = [f"{title_of(p, experiments).split(' · ')[-1]} {value_text(p, experiment) or '–'}" for p in paths]
        names.append(record.name or ", ".join(settings) or f"run {record.id[-4:]}")
    return [n if names.count(n) == 1 else f"{n} ({r.id[-4:]})" for n, r in zip(names, records, strict=True)]


class _Absent:
    """What a setting is in an experiment that has none of that name."""
