"""What runs and settings are called on pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prune_core.experiment import Experiment
from prune_core.export.python import PARTS as FAMILIES
from prune_core.figures.words import number, percent
from prune_core.pruning import Granularity, NofM, Pruning, Weights
from prune_core.settings import Settings
from prune_ui.fields import choice_label

if TYPE_CHECKING:
    from prune_core.tracking import RunRecord

PARTS = {"data": "Data", "model": "Model", "clip": "Clipping", "prune": "Pruning", "train": "Training"}
START = "Starts from"
CRITERION = "prune.criterion"
GRANULARITY = "prune.granularity"
MOST_TRAITS = 3  # in a run's short name


def part_label(family: str, name: str | None) -> str:
    """``value`` of the family "clip" as people read it; the name itself where this process does not know it."""
    if not name:
        return ""
    entry = next((e for e in FAMILIES[family] if e.name == name), None)
    return entry.label if entry is not None else name


def in_text(label: str) -> str:
    """A label within a sentence: "By value" becomes "by value", names such as LAMP or SynFlow stay."""
    first, space, rest = label.partition(" ")
    return (first.lower() if first[1:].islower() else first) + space + rest


def describe(experiment: Experiment) -> str:
    """An experiment in a few words."""
    parts = [
        f"{part_label('model', experiment.model.registered_as)} on {part_label('data', experiment.data.registered_as)}"
    ]
    if experiment.clip is not None:
        parts.append(_clipping(experiment))
    if experiment.prune is not None:
        parts.append(_pruning(experiment))
    return " · ".join(parts)


def _clipping(experiment: Experiment) -> str:
    clip = experiment.clip
    if clip is None:
        return "no clipping"
    return f"clipping {in_text(part_label('clip', clip.registered_as))} {number(clip.threshold)}"


def _pruning(experiment: Experiment) -> str:
    prune = experiment.prune
    if prune is None:
        return "no pruning"
    how = in_text(part_label("prune.criterion", prune.criterion.registered_as))
    return f"{how} pruning to {percent(prune.schedule.final, 0)}{pruning_options(prune)}"


def pruning_options(prune: Pruning) -> str:
    """How a run prunes besides: ", filters, RigL, distilled"; empty where nothing is out of the ordinary."""
    more = [] if isinstance(prune.granularity, Weights) else [grain(prune.granularity)]
    more += [in_text(part_label("prune.regrow", prune.regrow.registered_as))] if prune.regrow is not None else []
    more += ["distilled"] * (prune.distill is not None)
    return "".join(f", {what}" for what in more)


def grain(granularity: Granularity) -> str:
    """Within a sentence: ``filters``, ``2 of 4``."""
    if isinstance(granularity, NofM):
        return f"{granularity.n} of {granularity.m}"
    return in_text(part_label(GRANULARITY, granularity.registered_as))


def differing(experiments: Sequence[Experiment]) -> list[str]:
    """Dotted paths that are not the same in all, in the order of the settings."""
    flats = [e.flat() for e in experiments]
    paths = list(dict.fromkeys(path for flat in flats for path in flat))
    found = [p for p in paths if any(flat.get(p, _Absent) != flats[0].get(p, _Absent) for flat in flats)]
    if CRITERION in found:  # says "none" where there is no pruning; the part's own path would say nothing else
        found = [p for p in found if p != "prune"]
    order = [*PARTS, "start"]
    return sorted(found, key=lambda p: order.index(p.partition(".")[0]))


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
        return "none" if path == CRITERION else ""
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
    told = iter(_told_apart([record.experiment for record in records if not record.name]))
    names = [record.name or next(told) for record in records]
    return [n if names.count(n) == 1 else f"{n} ({r.id[-4:]})" for n, r in zip(names, records, strict=True)]


def _told_apart(experiments: Sequence[Experiment]) -> list[str]:
    """Each experiment by the fewest traits that tell as many as possible apart."""
    if not experiments:
        return []
    traits = _traits(experiments)
    chosen: list[int] = []
    while len(chosen) < MOST_TRAITS:
        kinds = [len({tuple(row[t] for t in (*chosen, more)) for row in traits}) for more in range(len(traits[0]))]
        best = max(range(len(kinds)), key=lambda t: kinds[t])
        if kinds[best] <= len({tuple(row[t] for t in chosen) for row in traits}):
            break
        chosen.append(best)
    if not chosen:
        return [describe(experiment) for experiment in experiments]
    return [", ".join(row[t] for t in sorted(chosen)) for row in traits]


def _traits(experiments: Sequence[Experiment]) -> list[list[str]]:
    """What experiments can be told apart by, a row each: the large things first, then the settings that all have."""
    flats = [e.flat() for e in experiments]
    paths = [p for p in differing(experiments) if p not in FAMILIES and all(p in flat for flat in flats)]
    labels = {p: title_of(p, experiments).split(" · ")[-1].split(" (")[0] for p in paths}
    return [
        [
            part_label("model", e.model.registered_as),
            part_label("data", e.data.registered_as),
            _clipping(e),
            _pruning(e),
            *(f"{labels[p]} {value_text(p, e)}" for p in paths),
        ]
        for e in experiments
    ]


class _Absent:
    """What a setting is in an experiment that has none of that name."""
