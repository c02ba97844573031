"""Small pictures side by side, with a caption each: plain html, as light as it gets."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.io import encode_png


@dataclass(frozen=True)
class Card:
    """``image`` uint8 (channels, height, width), 1 or 3 channels; ``alt`` says it in words; ``lines`` stand below.

    ``mark`` is a css class of the frame: "wrong", "right" or "".
    """

    image: np.ndarray
    alt: str
    lines: Sequence[str]
    mark: str = ""


def gallery(cards: Sequence[Card]) -> str:
    """The cards as html for ``st.html``; pixels stay square and sharp."""
    return f'<div class="lab-gallery" role="list">{"".join(map(_card, cards))}</div>'


def _card(card: Card) -> str:
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in card.lines)
    return (
        f'<figure role="listitem" class="{html.escape(card.mark)}"><img src="{png(card.image)}" '
        f'alt="{html.escape(card.alt)}"><figcaption>{lines}</figcaption></figure>'
    )


def png(image: np.ndarray) -> str:
    """An image uint8 (1 or 3, height, width) as an address that carries it."""
    data = encode_png(torch.from_numpy(np.ascontiguousarray(image)))
    return "data:image/png;base64," + base64.b64encode(data.numpy().tobytes()).decode()
