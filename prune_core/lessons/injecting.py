"""A lesson's notebook with a visitor's parameters in it, in the way papermill puts them there."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping

import nbformat

from prune_core.lessons.parameters import Value, check_values
from prune_core.lessons.reading import Lesson, read_notebook

TAG = "injected-parameters"


def code_of(values: Mapping[str, Value]) -> str:
    """The assignments, as one cell."""
    return "\n".join(["# Parameters", *(f"{name} = {_literal(value)}" for name, value in values.items())])


def _literal(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def with_parameters(lesson: Lesson, values: Mapping[str, Value]) -> nbformat.NotebookNode:
    """The lesson's notebook with a cell after the one tagged ``parameters``, which sets ``values``.

    Raises ConfigError for a value that the lesson does not allow, or where its file cannot be read.
    """
    checked = check_values(lesson.parameters, dict(values))
    notebook = copy.deepcopy(read_notebook(lesson.path))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    place = next((i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", [])), None)
    if place is not None and checked:
        cell = nbformat.v4.new_code_cell(code_of(checked), metadata={"tags": [TAG]})
        # the same notebook for the same values: an id drawn at random would make each download another file
        cell.id = "parameters-of-the-page"
        notebook.cells.insert(place + 1, cell)
    return notebook


def as_file(lesson: Lesson, values: Mapping[str, Value]) -> bytes:
    """The same as the bytes of an .ipynb file."""
    return (json.dumps(with_parameters(lesson, values), indent=1, ensure_ascii=False) + "\n").encode()
