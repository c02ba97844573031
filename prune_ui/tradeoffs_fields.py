"""Which fields of an experiment can be swept, and what is typed for them as values, ranges or distributions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prune_core.errors import ConfigError, LabError
from prune_core.experiment import Experiment
from prune_core.pruning import prunable
from prune_core.registry import Registered
from prune_core.settings import FieldSpec, Settings
from prune_core.sweeping import Choice, IntUniform, Uniform
from prune_ui.draft import NONE, is_part, parse, to_text
from prune_ui.fields import choice_label
from prune_ui.forms import ABSENT
from prune_ui.naming import PARTS, title_of

LAYER = "prune.layer_sparsity."
FIRST = ("prune.criterion", "prune.schedule.final", "clip", "clip.threshold", "train.lr", "train.seed")
USUAL = {  # what stands there when a field is added; of all others, the experiment's own value
    "prune.schedule.final": ("0", "0.5", "0.8", "0.9", "0.95", "0.98"),
    "train.seed": ("0", "1", "2"),
    "prune.criterion": ("magnitude", "random"),
    "clip.threshold": ("0.001", "0.01", "0.1"),
}
RANGES = {"prune.schedule.final": "0.3..0.99", "train.seed": "0..9"}  # the same where values are drawn
RANGE = re.compile(r"^\s*(\S+?)\s*(?:\.\.|…|–)\s*(\S+?)\s*(?::\s*(\d+))?\s*$")
POINTS = 5  # of a range of numbers where nothing else is said
MOST_POINTS = 1000


@dataclass(frozen=True)
class SweptField:
    """A field by its dotted path. ``options`` are values by name where there is a closed list; else it is a number."""

    path: str
    title: str
    spec: FieldSpec
    value: Any
    options: dict[str, Any]
    labels: dict[str, str]

    def first(self, *, drawn: bool) -> list[str]:
        """What stands there when the field is added; ``drawn`` where values are drawn at random."""
        if self.options:
            usual = [name for name in USUAL.get(self.path, ()) if name in self.options]
            return usual or [name for name, value in self.options.items() if value == self.value]
        if not drawn:
            return list(USUAL.get(self.path, (to_text(self.value),)))
        if self.path in RANGES:
            return [RANGES[self.path]]
        value = float(self.value) if isinstance(self.value, int | float) else 0.5
        low, high = (value / 10, value * 10) if value > 0 else (0.0, 1.0)
        if self.spec.maximum is not None:
            high = min(high, self.spec.maximum * (0.99 if self.spec.exclusive_maximum else 1))
        if self.spec.type is int:
            low, high = max(1, round(low)), round(high)
        if high <= low:
            return [to_text(self.value)]
        return [f"{low:.6g}..{high:.6g}"]

    def values(self, texts: list[str]) -> list[Any]:
        """What was typed as values. Raises ConfigError naming what cannot be read."""
        found: list[Any] = []
        for text in texts:
            found += [self.options[text]] if text in self.options else self._typed(text)
        if not found:
            raise ConfigError(f"{self.title} needs at least one value, got none.")
        return [value for i, value in enumerate(found) if value not in found[:i]]

    def drawn(self, texts: list[str]) -> Any:
        """What was typed as a distribution: one range, or values of which each is as likely."""
        match = RANGE.match(texts[0]) if len(texts) == 1 and not self.options else None
        if match is None or match[3]:
            return Choice(values=tuple(self.values(texts)))
        low, high = self._number(match[1]), self._number(match[2])
        log = self.spec.log and low > 0
        if self.spec.type is int:
            return IntUniform(low=int(low), high=int(high), log=log)
        return Uniform(low=low, high=high, log=log)

    def _typed(self, text: str) -> list[Any]:
        if self.options:
            raise ConfigError(f"{self.title} must be one of {', '.join(self.labels.values())}; got {text!r}.")
        match = RANGE.match(text)
        if match is None:
            value = parse(self.spec, text)
            if value is None and self.spec.optional:
                return [None]
            return [self._whole(self._number(text))]
        low, high = self._number(match[1]), self._number(match[2])
        n = int(match[3]) if match[3] else int(abs(high - low)) + 1 if self.spec.type is int else POINTS
        if not 1 <= n <= MOST_POINTS:
            raise ConfigError(f"{self.title} must have 1 to {MOST_POINTS} values in a range, got {n} in {text!r}.")
        shares = [i / (n - 1) if n > 1 else 0.0 for i in range(n)]
        if self.spec.log and low > 0 and high > 0 and self.spec.type is float:
            return [self._whole(float(f"{low * (high / low) ** s:.4g}")) for s in shares]
        return [self._whole(float(f"{low + (high - low) * s:.10g}")) for s in shares]

    def _number(self, text: str) -> float:
        value = parse(self.spec, text)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{self.title} must be a number or a range such as 0.1..0.9, got {text!r}.")
        return value

    def _whole(self, value: float) -> Any:
        if self.spec.type is int:
            if value != round(value):
                raise ConfigError(f"{self.title} must be whole numbers, got {value:g}.")
            return round(value)
        return float(value)


def fields_of(base: Experiment) -> dict[str, SweptField]:
    """All that can be swept from ``base``, by path: what is asked for most first."""
    found = {f.path: f for f in (*_walk(base, base, ""), *_layers(base))}
    order = [*(p for p in FIRST if p in found), *(p for p in found if p not in FIRST)]
    return {path: found[path] for path in order}


def _walk(base: Experiment, value: Settings, trail: str) -> Iterator[SweptField]:
    for spec in type(value).fields():
        path, part = f"{trail}{spec.name}", getattr(value, spec.name)
        if path == "start":
            continue
        title = title_of(path, [base]) if path not in PARTS else PARTS[path]
        if is_part(spec):
            kind: Any = spec.type
            if issubclass(kind, Registered):
                options, labels = _parts(path, spec, kind, part)
                yield SweptField(path, title, spec, part, options, labels)
            if part is not None:
                yield from _walk(base, part, f"{path}.")
        elif spec.choices or spec.type is bool:
            choices = [*([None] if spec.optional else []), *(spec.choices or (True, False))]
            options = {to_text(c): c for c in choices}
            yield SweptField(path, title, spec, part, options, {to_text(c): choice_label(c) for c in choices})
        elif spec.type in (int, float):
            yield SweptField(path, title, spec, part, {}, {})


def _parts(path: str, spec: FieldSpec, kind: Any, own: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Every registered member that can be made without more being said; the experiment's own as it is."""
    options: dict[str, Any] = {}
    labels: dict[str, str] = {}
    if spec.optional:
        options[NONE], labels[NONE] = None, ABSENT.get(path, "none")
    for entry in kind.registry:
        same = own is not None and own.registered_as == entry.name
        try:
            options[entry.name] = own if same else entry.cls()
        except (LabError, TypeError):
            continue
        labels[entry.name] = entry.label
    return options, labels


def _layers(base: Experiment) -> Iterator[SweptField]:
    """The share of each layer, where the model can be looked at without weights."""
    if base.prune is None:
        return
    info = base.data.info
    try:
        names = list(prunable(base.model.outline(info.shape, info.classes)))
    except (LabError, RuntimeError, NotImplementedError):
        return
    spec = next(s for s in type(base.prune.schedule).fields() if s.name == "final")
    for name in [n.removesuffix(".weight") for n in names[:64]]:
        yield SweptField(f"{LAYER}{name}", f"Pruning · Share of layer {name}", spec, 0.5, {}, {})
