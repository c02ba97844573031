"""What runs inside a lesson's kernel: tables as data instead of html, and the answers that check cells work out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from prune_core.figures import template
from prune_core.figures.template import templates

TABLE = "application/vnd.prune-lab.table+json"
ANSWER = "application/vnd.prune-lab.answer+json"
MOST_ROWS = 2000  # of one table; a page shows no more


def install(shell: Any) -> None:
    """Give an IPython shell's tables a form that a page can sort, and all figures the lab's template."""
    templates.default = template("light")
    bundles = shell.display_formatter.mimebundle_formatter
    bundles.for_type(pd.DataFrame, _table)
    bundles.for_type(pd.Series, lambda series, **_: _table(series.to_frame()))


def _table(frame: pd.DataFrame, **_: Any) -> dict[str, Any]:
    # a table that cannot be written as JSON is shown as the html that pandas makes of it
    try:
        text = frame.head(MOST_ROWS).to_json(orient="split", double_precision=15, default_handler=str)
        body = json.loads(text)
    except (ValueError, TypeError, OverflowError):
        return {}
    body["rows"] = len(frame)
    body["names"] = [None if name is None else str(name) for name in frame.index.names]
    body["plain"] = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    return {TABLE: body}


def answer(id: str, namespace: Mapping[str, Any]) -> None:
    """Send the answer of the exercise ``id``. Raises NameError where the check cell did not define it."""
    from IPython.display import display

    if f"answer_{id}" not in namespace:
        raise NameError(f"a check cell must define answer_{id}")
    right = _plain(namespace[f"answer_{id}"])
    display({ANSWER: {"id": id, "right": right, "why": str(namespace.get(f"why_{id}", ""))}}, raw=True)


def _plain(value: Any) -> Any:
    """Numbers of numpy and torch as Python's, and ranges and tuples as lists."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, int) else str(value)
