"""Small lessons for the tests, written as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

MEMORY = 512  # MiB that one execution may take in the tests
PARAMETERS = """\
threshold: float = 0.1  # Clip threshold α [0.001 .. 1, log] (units): entries beyond ±α are cut
entries: int = 200  # Entries [50 .. 400, step 50]: how many are drawn
way: str = "value"  # Way {value, norm}: how the gradient is limited
shown: bool = True  # Show the table: below the figure"""

CUT = """\
import numpy as np

gradient = np.random.default_rng(0).standard_normal(entries)
norm = float(np.linalg.norm(gradient))
clipped = gradient.clip(-threshold, threshold) if way == "value" else gradient * min(1, threshold / norm)
share = float((abs(gradient) > threshold).mean())"""

FIGURE = """\
import plotly.graph_objects as go

go.Figure(
    [go.Bar(y=np.histogram(clipped, 20, (-1, 1))[0], x=np.linspace(-1, 1, 20), name="after")],
    {"title": {"text": "The gradient after clipping"}, "height": 260},
)"""

TABLE = """\
import pandas as pd

table = pd.DataFrame({"before": [norm], "after": [float(np.linalg.norm(clipped))]}, index=["norm"])
table if shown else None"""

QUESTION = """\
What does clipping change?

```lab
id: what
kind: choice
options: [the update, the number of parameters]
hint: Look at what is drawn.
```"""

SHARE = """\
Which share of the entries is cut?

```lab
id: share
kind: number
low: 0
high: 1
```"""


TURN = """\
By how much is it turned?

```lab
id: turn
kind: prediction
unit: degrees
low: 0
high: 90
```"""


def lesson(path: Path, *cells: Any, **lab: Any) -> Path:
    """Write a notebook: cells as ``(kind, source, *tags)``; ``lab`` stands in its metadata."""
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec, "lab": {"minutes": 10, "order": 1, **lab}})
    for number, (kind, source, *tags) in enumerate(cells):
        make = nbformat.v4.new_markdown_cell if kind == "text" else nbformat.v4.new_code_cell
        notebook.cells.append(make(source, metadata={"tags": list(tags)} if tags else {}, id=f"c{number}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def clipping_lesson(path: Path) -> Path:
    """A light lesson with everything that a lesson can have."""
    return lesson(
        path,
        ("text", "# What clipping cuts\n\nA gradient has large entries, and a threshold cuts them.\n\nIt is $g_i$."),
        ("code", PARAMETERS, "parameters"),
        ("code", CUT),
        ("code", FIGURE, "hide-code"),
        ("code", TABLE),
        ("code", 'print(f"{share:.3f} of the entries are cut")'),
        ("text", QUESTION, "exercise"),
        ("code", 'answer_what = "the update"\nwhy_what = f"All {entries} entries are still there."', "check"),
        ("text", SHARE, "exercise"),
        ("code", 'answer_share = share\nwhy_share = f"It is {share:.1%}."', "check"),
        test={"entries": 50},
    )


def predicting_lesson(path: Path) -> Path:
    """A lesson with a prediction, two cells right below it that tell the outcome, and one further down."""
    return lesson(
        path,
        ("text", "# Guess\n\nBefore one knows."),
        ("code", "1"),
        ("text", TURN, "exercise"),
        ("code", 'answer_turn = (10, 30)\nwhy_turn = "It is 20."', "check"),
        ("code", "figure = 20", "reveal"),
        ("text", "So it turns.", "reveal"),
        ("code", "2"),
        ("code", "3", "hide-code", "reveal"),
        order=3,
    )
