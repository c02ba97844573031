"""How the command line writes: one console, tables of pairs, dates."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def console() -> Console:
    """Standard output as it is now."""
    # into a file or a pipe nothing is cut: 80 columns would hide half of a table
    return Console() if sys.stdout.isatty() else Console(width=200)


def pairs(title: str, rows: dict[str, Any]) -> Table:
    """A table of two columns: what, and how much."""
    table = Table(title=title, show_header=False)
    for key, value in rows.items():
        shown = "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        table.add_row(escape(key), escape(shown))
    return table


def when(seconds: float | None) -> str:
    """Local date and time of epoch ``seconds``."""
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
