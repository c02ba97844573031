"""Lessons are notebooks: read, shown as pages, executed on a few warm kernels, and checked before anybody sees them."""

from __future__ import annotations

from prune_core.lessons.executing import Execution, Executor, Now, executor
from prune_core.lessons.exercises import Answer, Exercise, Verdict, judge
from prune_core.lessons.injecting import as_file, with_parameters
from prune_core.lessons.kernels import PoolSettings
from prune_core.lessons.lint import lint_lesson
from prune_core.lessons.outputs import Output, Shown, Trouble
from prune_core.lessons.parameters import Parameter, Value, parse_parameters
from prune_core.lessons.reading import Broken, Cell, Folder, Lesson, folder, read_lesson

__all__ = [
    "Answer",
    "Broken",
    "Cell",
    "Execution",
    "Executor",
    "Exercise",
    "Folder",
    "Lesson",
    "Now",
    "Output",
    "Parameter",
    "PoolSettings",
    "Shown",
    "Trouble",
    "Value",
    "Verdict",
    "as_file",
    "executor",
    "folder",
    "judge",
    "lint_lesson",
    "parse_parameters",
    "read_lesson",
    "with_parameters",
]
