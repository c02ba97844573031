"""What somebody is typing into a form: values as they stand there, right or wrong, until they make a Settings value.

A draft is a plain mapping from path to value, so that it survives a rerun, a change of page and a mistake. A registered
part's own path holds its name (``clip`` → ``value``); its fields stand below ``clip:value.``, so that going to another
strategy and back loses nothing. In a URL the name is left out again: ``?clip=value&clip.threshold=0.1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from prune_core.errors import UnknownNameError
from prune_core.registry import Registered
from prune_core.settings import FieldSpec, Settings

T = TypeVar("T", bound=Settings)
NONE = "none"
ON = "on"
LONGEST = 200  # characters of one value that are read from a link


@dataclass(frozen=True)
class Built(Generic[T]):
    """What a draft makes. ``value`` is None while there are ``problems``: a sentence for each path that has one.

    A problem at a part's own path ("model", "prune", "" for the whole) is one between its fields or between parts.
    """

    value: T | None
    problems: dict[str, str]

    @property
    def reason(self) -> str:
        """The first problem, for a button that cannot be pressed; empty where there is none."""
        return next(iter(self.problems.values()), "")


@dataclass
class Draft(Generic[T]):
    """Values by path for a form that makes a ``cls``. ``skip`` names the fields that are no business of the form."""

    cls: type[T]
    skip: frozenset[str] = frozenset()
    values: dict[str, Any] = field(default_factory=dict)

    def kind(self, path: str, spec: FieldSpec) -> str:
        """The chosen name of the part at ``path``; "none" where an optional part is absent, "on" for an unnamed one."""
        if path in self.values:
            return str(self.values[path])
        if isinstance(spec.default, Registered):
            return spec.default.registered_as
        if spec.optional and spec.default is None:
            return NONE
        return spec.type.registry.names()[0] if issubclass(spec.type, Registered) else ON

    def raw(self, path: str, spec: FieldSpec) -> Any:
        """A field's value as it was typed, or its default."""
        return self.values.get(path, None if spec.required else spec.default)

    def parsed(self, path: str, spec: FieldSpec) -> Any:
        """A field's value as its type, as far as it can be read."""
        return parse(spec, self.raw(path, spec))

    def changed(self, path: str, spec: FieldSpec) -> bool:
        """Whether the field differs from its own default."""
        return bool(self.parsed(path, spec) != (None if spec.required else spec.default))

    def put(self, path: str, value: Any) -> None:
        """Take what was typed or chosen."""
        self.values[path] = value

    def take(self, value: T) -> None:
        """Show ``value``. What was typed for parts that it does not use is kept."""
        self.values.update(flatten(value))

    def part(self, path: str, spec: FieldSpec) -> tuple[type[Settings], str] | None:
        """The class chosen for a part and the path its fields stand under; None where absent or unknown."""
        name = self.kind(path, spec)
        if name == NONE:
            return None
        kind: Any = spec.type
        if not issubclass(kind, Registered):
            return kind, path
        return (kind.registry[name].cls, f"{path}:{name}") if name in kind.registry else None

    def walk(self, cls: type[Settings] | None = None, path: str = "") -> Iterator[tuple[str, FieldSpec]]:
        """Path and field of all that can be set under the names chosen now; a part comes before its own fields."""
        for spec in (cls or self.cls).fields():
            here = f"{path}.{spec.name}" if path else spec.name
            if here in self.skip:
                continue
            yield here, spec
            if is_part(spec) and (below := self.part(here, spec)) is not None:
                yield from self.walk(*below)

    # --- to a value ---------------------------------------------------------------------------------------------------
    def build(self) -> Built[T]:
        """Make the value, or say what is wrong and where."""
        problems: dict[str, str] = {}
        value = self._make(self.cls, "", problems)
        if isinstance(value, self.cls) and not problems:
            return Built(value, {})
        labels = {f"{owner}.{spec.name}": spec.label for owner, spec in self._fields(self.cls, "")}
        return Built(None, {path: _in_words(sentence, labels) for path, sentence in problems.items()})

    def _fields(self, cls: type[Settings], path: str) -> Iterator[tuple[str, FieldSpec]]:
        for spec in cls.fields():
            here = f"{path}.{spec.name}" if path else spec.name
            yield cls.__name__, spec
            if is_part(spec) and (below := self.part(here, spec)) is not None:
                yield from self._fields(*below)

    def _make(self, cls: type[Settings], path: str, problems: dict[str, str]) -> Settings | None:
        values: dict[str, Any] = {}
        unmade: set[str] = set()
        for spec in cls.fields():
            here = f"{path}.{spec.name}" if path else spec.name
            if here in self.skip:
                continue
            if not is_part(spec):
                values[spec.name] = self.parsed(here, spec)
            elif (below := self.part(here, spec)) is not None:
                values[spec.name] = made = self._make(*below, problems)
                if made is None:
                    unmade.add(spec.name)
            elif spec.optional and self.kind(here, spec) == NONE:
                values[spec.name] = None
            else:
                problems[here] = str(UnknownNameError(_family(spec), self.kind(here, spec), _names(spec)))
                unmade.add(spec.name)
        for name, sentence in cls.problems(values).items():
            if name not in unmade:
                where = f"{path}.{name}" if path and name else path or name
                problems[where or _culprit(sentence)] = sentence
        return None if unmade or _below(problems, path) else cls(**values)

    # --- links --------------------------------------------------------------------------------------------------------
    def params(self) -> dict[str, str]:
        """The draft for a URL: every chosen name, and the fields that differ from their defaults."""
        found: dict[str, str] = {}
        owner = ""  # the unnamed part, such as ``prune``, whose first named field lends it its name in the URL
        for path, spec in self.walk():
            if not is_part(spec):
                if self.changed(path, spec):
                    found[short(path)] = to_text(self.parsed(path, spec))
                continue
            name = self.kind(path, spec)
            if name == NONE and "." in path and spec.default is None:
                continue  # a part of a part that is not there, as by default
            if owner and path.startswith(f"{owner}.") and issubclass(spec.type, Registered):
                found[owner], owner = name, ""
            elif name == ON:
                owner = path if spec.optional else ""
                found.update({path: ON} if owner else {})
            else:
                found[short(path)] = name
        return found

    def read(self, params: Mapping[str, str]) -> list[str]:
        """Take a link. Fields it leaves out have their defaults; parts it leaves out stay as they are.

        Returns a sentence for each parameter that means nothing here; those are left out.
        """
        left = {k: v[:LONGEST] for k, v in params.items()}
        wrong: list[str] = []
        kept = [
            s.name for s in self.cls.fields() if is_part(s) and s.name not in left and (s.optional or _named(s))
        ]  # a part without a name of its own, such as training, is given by its fields alone
        self.values = {p: v for p, v in self.values.items() if short(p).split(".")[0] in kept}
        for path, spec in self.walk():  # lazily: a name that was just read decides which fields come next
            text = left.pop(short(path), None)
            if text is None:
                continue
            if not is_part(spec):
                self.values[path] = from_text(spec, text)
            elif text == NONE and spec.optional:
                self.values[path] = NONE
            elif not issubclass(spec.type, Registered):
                self.values[path] = ON
                fields: tuple[FieldSpec, ...] = _settings(spec).fields()
                first = next((s for s in fields if _named(s)), None)
                if first is not None and text != ON:
                    left.setdefault(f"{path}.{first.name}", text)
            elif text in spec.type.registry:
                self.values[path] = text
            else:
                wrong.append(f"In the link: {UnknownNameError(_family(spec), text, _names(spec))}")
        known = [short(p) for p, _ in self.walk()]
        for name, text in left.items():
            hint = str(UnknownNameError("", name, known)).partition("; ")[2]
            hint = hint if hint.startswith("did you mean") else "it was left out."
            wrong.append(f"In the link: {name[:60]}={text[:60]} is no setting of this form; {hint}")
        return wrong


def flatten(value: Settings, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of every choice and field of ``value``, as a draft keeps them."""
    for spec in type(value).fields():
        here, part = (f"{path}.{spec.name}" if path else spec.name), getattr(value, spec.name)
        if not is_part(spec):
            yield here, part
        elif part is None:
            yield here, NONE
        elif isinstance(part, Registered):
            yield here, part.registered_as
            yield from flatten(part, f"{here}:{part.registered_as}")
        else:
            yield here, ON
            yield from flatten(part, here)


def is_part(spec: FieldSpec) -> bool:
    """Whether a field holds settings of its own."""
    return issubclass(spec.type, Settings)


def short(path: str) -> str:
    """``clip:value.threshold`` as a URL says it: ``clip.threshold``."""
    return ".".join(step.partition(":")[0] for step in path.split("."))


def to_text(value: Any) -> str:
    """A field's value for a URL or a text field; ``from_text`` reads it back to the same bits."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{int(value)}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str(value)


def from_text(spec: FieldSpec, text: str) -> Any:
    """What ``to_text`` wrote; a text that cannot be read stays a text, so that the form shows it with what is wrong."""
    if spec.choices:
        return next((c for c in spec.choices if to_text(c) == text), text)
    return parse(spec, text)


def parse(spec: FieldSpec, raw: Any) -> Any:
    """What was typed as the field's type; a decimal comma and thin spaces are fine. Unreadable stays as it is."""
    if not isinstance(raw, str) or spec.choices:
        return raw
    text = raw.strip()
    if spec.optional and text in ("", NONE):
        return None
    if spec.type is bool:
        return {"true": True, "false": False}.get(text.lower(), raw)
    if isinstance(spec.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if spec.type not in (int, float):
        return text
    number = text.replace("\u2009", "").replace("\u202f", "").replace("\u00a0", "").replace("−", "-")
    if number.count(",") == 1 and "." not in number:
        number = number.replace(",", ".")
    try:
        found = float(number)
    except ValueError:
        return text
    return int(found) if spec.type is int and found.is_integer() else found


def _settings(spec: FieldSpec) -> type[Settings]:
    kind: Any = spec.type
    return kind


def _named(spec: FieldSpec) -> bool:
    return issubclass(spec.type, Registered)


def _names(spec: FieldSpec) -> list[str]:
    return list(spec.type.registry.names()) if issubclass(spec.type, Registered) else []


def _family(spec: FieldSpec) -> str:
    return spec.type.registry.family if issubclass(spec.type, Registered) else spec.name


def _in_words(sentence: str, labels: dict[str, str]) -> str:
    """The engine's ``Training.batch_size`` under the name that stands in the form."""
    return re.sub(r"\b[A-Z]\w*\.[a-z]\w*", lambda found: labels.get(found[0], found[0]), sentence)


def _below(problems: dict[str, str], path: str) -> bool:
    return any(not path or p == path or p.startswith(f"{path}.") for p in problems)


def _culprit(sentence: str) -> str:
    """The part beside which a contradiction between parts is shown: the one the sentence begins with."""
    for start, part in (("Training.", "train"), ("Pruning.", "prune")):
        if sentence.startswith(start):
            return part
    return "model"
