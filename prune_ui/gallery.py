"""Small pictures side by side, with a caption each: plain html, as light as it gets."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
    """An image uint8 (1 or 3, height, width) as an address that carries it: 8 bits a channel, no filter, one block.

    Source: PNG specification, third edition. torchvision's own encoder is deprecated.
    """
    channels, height, width = image.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter, 0: none
    rows[:, 1:] = image.transpose(1, 2, 0).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()
