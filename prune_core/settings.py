"""The base of every settings object: frozen, validated, and described in one place, its fields.

Forms, documents and error messages are generated from the fields, so bounds, unit and help stand nowhere else.
"""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from prune_core.errors import ConfigError, UnknownNameError


def setting(
    default: Any = ...,
    *,
    help: str,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    log: bool = False,
    label: str = "",
    advanced: bool = False,
) -> Any:
    """Declare one field: its bounds, unit, one-line help and how a form should show it.

    ``log`` asks for a logarithmic slider, ``advanced`` puts the field behind a fold.
    """
    extra: dict[str, Any] = {"unit": unit, "log": log, "label": label, "advanced": advanced}
    bounds: dict[str, Any] = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    return Field(
        default,
        description=help,
        json_schema_extra=extra,
        **{k: v for k, v in bounds.items() if v is not None},
    )


class Settings(BaseModel):
    """A frozen value whose construction either succeeds or raises ConfigError naming field, bound and value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), error)) from None

    @classmethod
    def fields(cls) -> tuple[FieldSpec, ...]:
        """What a form or a document needs to know of each field, in order of declaration."""
        return tuple(_spec(name, info) for name, info in cls.model_fields.items())

    @classmethod
    def problems(cls, values: dict[str, Any]) -> dict[str, str]:
        """What is wrong with ``values``: a sentence by field; "" holds those between fields. Empty if they make one."""
        found: dict[str, list[str]] = {}
        try:
            BaseModel.__init__(cls.__new__(cls), **values)
        except ValidationError as error:
            for e in error.errors():
                found.setdefault(str(e["loc"][0]) if e["loc"] else "", []).append(_one(cls, dict(e)))
        return {name: " ".join(sentences) for name, sentences in found.items()}

    def replace(self, **changes: Any) -> typing.Self:
        """A validated copy with some fields changed."""
        for name in changes:
            if name not in type(self).model_fields:
                raise UnknownNameError(f"field of {type(self).__name__}", name, type(self).model_fields)
        return type(self)(**{**{n: getattr(self, n) for n in type(self).model_fields}, **changes})


@dataclass(frozen=True)
class FieldSpec:
    """One field as people meet it. Bounds are None where there is none; ``choices`` is empty unless a closed list."""

    name: str
    label: str
    type: type
    default: Any
    help: str
    unit: str
    minimum: float | None
    maximum: float | None
    exclusive_minimum: bool
    exclusive_maximum: bool
    choices: tuple[Any, ...]
    optional: bool
    log: bool
    advanced: bool
    required: bool

    @property
    def bounds(self) -> str:
        """The bounds in words, such as ``greater than 0 and at most 1``; empty where there are none."""
        parts = []
        if self.minimum is not None:
            parts.append(f"{'greater than' if self.exclusive_minimum else 'at least'} {self.minimum:g}")
        if self.maximum is not None:
            parts.append(f"{'less than' if self.exclusive_maximum else 'at most'} {self.maximum:g}")
        return " and ".join(parts)


class _Missing:
    def __repr__(self) -> str:
        return "no default"


MISSING: Any = _Missing()


def _spec(name: str, info: FieldInfo) -> FieldSpec:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, optional = info.annotation, False
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(kind) if a is not type(None)]
        optional = len(inner) < len(typing.get_args(kind))
        kind = inner[0]
    choices: tuple[Any, ...] = ()
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        kind = type(choices[0])
    low = high = None
    low_open = high_open = False
    for bound in info.metadata:
        if getattr(bound, "ge", None) is not None:
            low = float(bound.ge)
        if getattr(bound, "gt", None) is not None:
            low, low_open = float(bound.gt), True
        if getattr(bound, "le", None) is not None:
            high = float(bound.le)
        if getattr(bound, "lt", None) is not None:
            high, high_open = float(bound.lt), True
    return FieldSpec(
        name=name,
        label=str(extra.get("label") or name.replace("_", " ").capitalize()),
        type=kind if isinstance(kind, type) else object,
        default=MISSING if info.is_required() else info.get_default(call_default_factory=True),
        help=info.description or "",
        unit=str(extra.get("unit", "")),
        minimum=low,
        maximum=high,
        exclusive_minimum=low_open,
        exclusive_maximum=high_open,
        choices=choices,
        optional=optional,
        log=bool(extra.get("log", False)),
        advanced=bool(extra.get("advanced", False)),
        required=info.is_required(),
    )


def _sentence(cls: type[Settings], error: ValidationError) -> str:
    """All mistakes of one construction, a sentence each."""
    return " ".join(_one(cls, dict(e)) for e in error.errors())


def _one(cls: type[Settings], e: dict[str, Any]) -> str:
    nested = e.get("ctx", {}).get("error")
    if isinstance(nested, ConfigError):  # a part of this value already said what is wrong
        return str(nested)
    path = [str(p) for p in e["loc"]] or [cls.__name__]
    name = ".".join(path) if e["loc"] else cls.__name__
    where = f"{cls.__name__}.{name}" if e["loc"] else name
    value = e.get("input")
    if e["type"] == "extra_forbidden":
        return str(UnknownNameError(f"field of {cls.__name__}", path[-1], cls.model_fields))
    if e["type"] == "missing":
        return f"{where} must be given."
    if nested is not None:
        return f"{where}: {nested}"
    spec = next((s for s in cls.fields() if s.name == path[0]), None)
    if spec is None:
        return f"{where}: {e['msg']}, got {value!r}."
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.choices:
        return f"{where} must be one of {', '.join(map(repr, spec.choices))}, got {value!r}."
    if e["type"] in ("finite_number",) or (isinstance(value, float) and not math.isfinite(value)):
        return f"{where} must be a finite number{f' {spec.bounds}' if spec.bounds else ''}{unit}, got {value!r}."
    kind = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(spec.type, "valid")
    bounds = f" {spec.bounds}" if spec.bounds else ""
    return f"{where} must be {kind}{bounds}{unit}, got {value!r}."


class Strategy(Settings):
    """Settings of something that people choose by name: a data set, a model, a clipping strategy, a criterion.

    Its family's registry knows the name; ``kind`` stands first in its JSON form so that it can be read back.
    """

    kind: ClassVar[str] = ""


def brief(value: object) -> str:
    """A value as its name and those of its settings that differ from their defaults, nested ones too."""
    if not isinstance(value, Settings):
        return str(value)
    fields = type(value).model_fields
    changed = [
        f"{name}={brief(getattr(value, name))}"
        for name in fields
        if getattr(value, name) != fields[name].get_default(call_default_factory=True)
    ]
    return f"{type(value).__name__}({', '.join(changed)})"


def read_yaml(text: str | Path) -> Any:
    """The plain values in a YAML text or file, which JSON is too. Raises ConfigError where it is neither."""
    if isinstance(text, Path):
        if not text.is_file():
            raise ConfigError(f"There is no file {text}.")
        text = text.read_text(encoding="utf-8")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"This is not YAML: {' '.join(str(error).split())}.") from None
