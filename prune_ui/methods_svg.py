"""The pieces that the pictures of methods are drawn with."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape

from torch import Tensor

from prune_core.figures.palette import IDEAS, Theme, palette
from prune_core.formulas import Pieces

WIDTH, HEIGHT = 360, 104  # of the drawing; it is as wide as its column


@dataclass(frozen=True)
class Picture:
    """``svg`` has the ideas' names where colours go; it is empty where ``words`` say why there is nothing to draw.

    ``filled`` is the method's formula with the picture's own numbers, in pieces of LaTeX.
    """

    svg: str
    words: str
    filled: Pieces = ()

    def html(self, theme: Theme) -> str:
        """As an image in the theme's colours: pages let no drawing through that is not one."""
        colours, drawn = palette(theme), self.svg
        for name in (*IDEAS, "muted"):
            drawn = drawn.replace(f"{{{name}}}", str(getattr(colours, name)))
        data = base64.b64encode(drawn.encode()).decode()
        return f'<img class="lab-method" src="data:image/svg+xml;base64,{data}" alt="{escape(self.words)}">'


def svg(inside: str) -> str:
    """A drawing; ideas' names in braces stand where colours go."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{2 * WIDTH}" height="{2 * HEIGHT}" '
        f'xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
    )


def rect(x: float, y: float, w: float, h: float, colour: str, opacity: float, frame: bool = False) -> str:
    """A rectangle; with ``frame`` its edge is drawn too."""
    edge = f";stroke:{{{colour}}};stroke-opacity:0.35;stroke-width:0.8" if frame else ""
    style = f"fill:{{{colour}}};fill-opacity:{opacity:.2f}{edge}"
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" style="{style}"/>'


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """A small label."""
    style = f"fill:{{muted}};font-family:sans-serif;font-size:10px;text-anchor:{anchor}"
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{style}">{words}</text>'


def matrices(weights: dict[str, Tensor], kept: dict[str, Tensor], behind: bool = False) -> str:
    """Layers as fields, the fuller the larger: kept is 1, come back 2, removed 0; ``behind`` shows removed ones too."""
    found, x = [], 4.0
    for i, (name, weight) in enumerate(weights.items()):
        rows, columns = weight.shape
        side = 86 / rows
        wide = (WIDTH / 2 - 12) / columns
        most = float(weight.abs().max()) or 1.0
        for r in range(rows):
            for c in range(columns):
                stays, size = float(kept[name][r, c]), float(weight[r, c].abs()) / most
                colour = "both" if stays == 2 else "baseline" if behind and not stays else "pruning"
                strength = (1.0 if stays == 2 else 0.25 + 0.75 * size) if stays else min(1.5 * size, 1.0) * behind
                at = (x + c * wide, r * side + 1, wide - 1.5, side - 1.5)
                found.append(rect(*at, colour, strength, frame=not stays))
        found.append(text(x, HEIGHT - 2, f"layer {i + 1}"))
        x += WIDTH / 2
    return "".join(found)
