"""How values show themselves in a notebook: small tables of HTML, readable in both of Jupyter's themes."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

STYLE = "text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;background:none"


def table(title: str, rows: Iterable[tuple[str, object]], note: str = "") -> str:
    """HTML of a table of two columns under a title; names, values and note are plain text."""
    body = "".join(
        f'<tr style="background:none"><th style="{STYLE};font-weight:normal;opacity:.75">{escape(name)}</th>'
        f'<td style="{STYLE}">{escape(str(value))}</td></tr>'
        for name, value in rows
    )
    below = f'<p style="margin:.3em 0;opacity:.75">{escape(note)}</p>' if note else ""
    return f"<div><b>{escape(title)}</b><table>{body}</table>{below}</div>"
