"""How a field looks: its words, its numbers, and where its slider goes."""

from __future__ import annotations

import math
from typing import Any, cast

from prune_core.figures.words import number
from prune_core.registry import Entry
from prune_core.settings import FieldSpec, Settings
from prune_ui.draft import to_text

Span = tuple[float, float]


def field_help(spec: FieldSpec) -> str | None:
    """What a field means, its bounds and its default."""
    parts = [spec.help]
    if spec.bounds:
        parts.append(f"{spec.bounds[0].upper()}{spec.bounds[1:]}{f' {spec.unit}' if spec.unit else ''}.")
    if not spec.required and not isinstance(spec.default, tuple | Settings) and spec.default not in (None, ""):
        parts.append(f"Default {choice_label(spec.default)}.")
    return plain(" ".join(p for p in parts if p)) or None


def slider_span(spec: FieldSpec) -> Span | None:
    """From where to where a slider goes: around the default of a logarithmic field, the bounds of a share."""
    if spec.type not in (int, float) or spec.optional or spec.required:
        return None
    low, high, start = spec.minimum, spec.maximum, cast(float, spec.default)
    if spec.log and start > 0:
        down, up = (1 / 64, 64) if spec.type is int else (1e-3, 1e2)
        return max(start * down, low or 0), min(start * up, high if high is not None else math.inf)
    if spec.type is float and low is not None and high is not None and high - low <= 1:
        return low + 0.01 * spec.exclusive_minimum, high - 0.01 * spec.exclusive_maximum
    return None


def log_options(span: Span, value: float | None = None, *, whole: bool = False) -> list[float]:
    """Steps of 1, 2, 5 through the decades of ``span`` (powers of 2 for whole numbers), and ``value`` among them."""
    low, high = span
    if whole:
        grid: list[float] = [2**k for k in range(64) if low <= 2**k <= high]
    else:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        grid = [float(f"{m}e{d}") for d in decades for m in (1, 2, 5)]
        grid = [g for g in grid if low * (1 - 1e-9) <= g <= high * (1 + 1e-9)]
    if value is not None and value > 0 and not any(math.isclose(value, g) for g in grid):
        grid.append(value)
    return sorted(grid)


def number_label(value: float) -> str:
    """A number as short as it can be read."""
    return number(value, 4)


def choice_label(value: Any) -> str:
    """A choice as people read it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return LABELS.get(str(value), str(value)) if isinstance(value, str) else to_text(value)


LABELS = {
    "erk": "ERK",
    "sensitivity": "by sensitivity",
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "one_cycle": "one cycle",
    "cuda": "GPU (cuda)",
    "cpu": "CPU",
    "learning_rate": "learning rate",
}


def entry_help(entry: Entry[Any] | None, spec: FieldSpec) -> str | None:
    """What a choice means: in words, as a formula, and where it comes from."""
    if entry is None:
        return spec.help or None
    lines = [entry.summary]
    if entry.formula:
        lines.append(f"$${entry.formula}$$")
    if entry.reference:
        lines.append(f"Source: {entry.reference}")
    return "\n\n".join(lines)


def tidy(value: Any) -> Any:
    """A slider's 0.30000000000000004 as 0.3."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def plain(text: str) -> str:
    """Text without the characters that Markdown would take for something else."""
    for sign in ("\\", "$", "[", "]", "*", "_", "`", "<", "~"):
        text = text.replace(sign, f"\\{sign}")
    return text
