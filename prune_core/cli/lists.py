"""``models``, ``methods``, ``data``, ``describe``: what there is to choose from, read from the registries."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from prune_core.cli.paper import console
from prune_core.clipping import ClipStrategy
from prune_core.data import DataSource, data_root
from prune_core.errors import UnknownNameError
from prune_core.experiment import Training
from prune_core.models import ModelSource
from prune_core.pruning import Criterion, Pruning, Regrowth, Schedule
from prune_core.registry import Entry, Registered, Registry
from prune_core.settings import MISSING, FieldSpec, Settings

FAMILIES: tuple[type[Registered], ...] = (DataSource, ModelSource, ClipStrategy, Criterion, Schedule, Regrowth)


def models() -> None:
    """List the models."""
    console().print(_entries("Models", ModelSource.registry))


def methods() -> None:
    """List clipping strategies, pruning criteria, schedules and regrowth."""
    console().print(_entries("Clipping", ClipStrategy.registry))
    console().print(_entries("Pruning criteria", Criterion.registry))
    console().print(_entries("Schedules", Schedule.registry))
    console().print(_entries("Regrowth", Regrowth.registry))


def data() -> None:
    """List the data sets and where their files belong."""
    table = Table("kind", "name", "shape", "classes", "train", "test", "what it is", title="Data")
    for entry in DataSource.registry:
        info = entry.cls().info
        shape = "×".join(map(str, info.shape))
        table.add_row(
            entry.name,
            entry.label,
            shape,
            str(info.classes),
            f"{info.train:,}",
            f"{info.test:,}",
            escape(entry.summary),
        )
    console().print(table)
    console().print(f"Files are kept in {escape(str(data_root()))} (PRUNE_LAB_DATA names another folder).")


def describe(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="A kind from models, methods or data; 'training', 'pruning'.")
    ],
) -> None:
    """Show every field of one kind with its bounds, default and meaning."""
    parts: dict[str, type[Settings]] = {"training": Training, "pruning": Pruning}
    for family in FAMILIES:
        parts |= {entry.name: entry.cls for entry in family.registry}
    if kind not in parts:
        raise UnknownNameError("kind", kind, parts)
    table = Table("field", "default", "bounds", "what it does", title=kind)
    for field in parts[kind].fields():
        table.add_row(field.name, _default(field), _bounds(field), escape(field.help))
    console().print(table)


def _entries(title: str, registry: Registry[Any]) -> Table:
    table = Table("kind", "name", "what it does", "source", title=title)
    entry: Entry[Any]
    for entry in registry:
        table.add_row(entry.name, escape(entry.label), escape(entry.summary), escape(entry.reference))
    return table


def _default(field: FieldSpec) -> str:
    if field.default is MISSING:
        return "must be given"
    if isinstance(field.default, Registered):
        return field.default.registered_as
    return "–" if field.default is None else escape(str(field.default))


def _bounds(field: FieldSpec) -> str:
    return escape(", ".join(map(str, field.choices)) or " ".join(filter(None, (field.bounds, field.unit))))
