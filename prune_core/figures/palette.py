"""The colours: one for each idea, in a light and a dark set. Every figure, the pages' css and the logo use these.

Text colours reach a contrast of 4.5 : 1 against their background, lines and bars 3 : 1 (WCAG 2.2 AA), and the four
ideas stay apart under the three common kinds of colour blindness; tests check both. No colour is the only carrier of a
meaning: lines differ in dash, areas in hatching, and everything has a label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

from prune_core.errors import ConfigError

Theme = Literal["light", "dark"]
Idea = Literal["baseline", "clipping", "pruning", "both"]
IDEAS: tuple[Idea, ...] = ("baseline", "clipping", "pruning", "both")


@dataclass(frozen=True)
class Palette:
    """One set of colours, all ``#rrggbb`` and all different within a set, so that one set maps onto the other."""

    background: str
    surface: str  # cards, side bar
    grid: str
    axis: str
    ink: str  # text
    muted: str  # secondary text
    baseline: str
    clipping: str
    pruning: str
    both: str
    bad: str  # diverged, failed
    good: str
    mark: str  # an intervention
    classes: tuple[str, ...]  # ten classes of points; none is an idea's colour
    sequence: tuple[str, ...]  # from nothing to all, in the hue of pruning

    def idea(self, name: Idea) -> str:
        """The colour of an idea."""
        return str(getattr(self, name))


LIGHT = Palette(
    background="#ffffff",
    surface="#f5f7f9",
    grid="#e6eaee",
    axis="#b4bdc7",
    ink="#1b232c",
    muted="#566270",
    baseline="#828d99",
    clipping="#b94e06",
    pruning="#00665f",
    both="#7b3fc0",
    bad="#b3261e",
    good="#2b7a3d",
    mark="#33404d",
    classes=(
        "#2f6db5",
        "#c0396b",
        "#8a7a00",
        "#4a4a9c",
        "#a8572f",
        "#5c8a2d",
        "#8c4a86",
        "#2d8aa3",
        "#7a5c3e",
        "#525c66",
    ),
    sequence=("#f1f8f7", "#c4e4e1", "#8ccbc6", "#4aa9a3", "#1c8a84", "#0a5f5b"),
)

DARK = Palette(
    background="#0f141a",
    surface="#171e26",
    grid="#28313b",
    axis="#4d5a68",
    ink="#e8edf2",
    muted="#a3b0bd",
    baseline="#7f8c9a",
    clipping="#f5964a",
    pruning="#3fd9c8",
    both="#b48cf5",
    bad="#ff8a80",
    good="#7fd18f",
    mark="#cfd8e1",
    classes=(
        "#6aa8f0",
        "#f07fa8",
        "#d6c64a",
        "#9a9af0",
        "#e0936a",
        "#a0d06a",
        "#d394cd",
        "#6cc8e0",
        "#c4a27d",
        "#b8c4cf",
    ),
    sequence=("#15262a", "#1c4345", "#1f6664", "#288c86", "#3fb3aa", "#86e0d6"),
)


def palette(theme: Theme = "light") -> Palette:
    """The colours of a theme. Raises ConfigError unless ``theme`` is "light" or "dark"."""
    if theme not in ("light", "dark"):
        raise ConfigError(f"theme must be 'light' or 'dark'; got {theme!r}.")
    return LIGHT if theme == "light" else DARK


def rgba(colour: str, alpha: float) -> str:
    """``#rrggbb`` with an opacity in [0, 1], as css and Plotly read it."""
    r, g, b = channels(colour)
    return f"rgba({r},{g},{b},{alpha:g})"


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb``, each from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def blend(colour: str, other: str, share: float) -> str:
    """``share`` of ``other`` mixed into ``colour``, channel by channel."""
    mixed = (round(a + (b - a) * share) for a, b in zip(channels(colour), channels(other), strict=True))
    return "#" + "".join(f"{c:02x}" for c in mixed)


def idea_of(*, clipped: bool, pruned: bool) -> Idea:
    """Which idea a run shows."""
    if clipped:
        return "both" if pruned else "clipping"
    return "pruning" if pruned else "baseline"


def pairs(source: Theme = "light") -> dict[str, str]:
    """Each colour of ``source`` with its counterpart in the other theme: how a drawn figure changes its theme."""
    ours, other = (LIGHT, DARK) if source == "light" else (DARK, LIGHT)
    return dict(zip(_flat(ours), _flat(other), strict=True))


def contrast(colour: str, background: str) -> float:
    """The contrast ratio of two colours, 1 to 21. Source: WCAG 2.2, relative luminance."""
    high, low = sorted((_luminance(colour), _luminance(background)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _flat(colours: Palette) -> Iterable[str]:
    for field in fields(colours):
        value = getattr(colours, field.name)
        yield from (value if isinstance(value, tuple) else (value,))
