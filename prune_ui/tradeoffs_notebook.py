"""A sweep as a notebook: stated in full, run again where it has to be, drawn with the same figures. Needs no app."""

from __future__ import annotations

from typing import Any

import prune_core as pc
from prune_core.errors import LabError
from prune_core.settings import Settings
from prune_core.sweeping import Sweep
from prune_ui.naming import FAMILIES
from prune_ui.tradeoffs_read import View

WIDE = 100  # characters of a value that still goes on one line


def notebook(view: View, cost: str) -> str:
    """The notebook's JSON."""
    import nbformat

    new = nbformat.v4
    cells = [
        new.new_markdown_cell(
            f"# {view.name or 'A sweep'}\n\n{view.sweep.total} runs of one experiment, made in the Clip & Prune Lab. "
            "The sweep is stated in full below; running this notebook gives the same figures, with or without the app."
        ),
        new.new_code_cell("import prune_core as pc\nfrom prune_core import comparing, figures"),
        new.new_code_cell(f"sweep = {code(view.sweep)}"),
        new.new_markdown_cell("Runs that this lab has already are not run again." if view.sample else _READ),
        new.new_code_cell(_RUN if view.sample else _FOUND.format(id=view.id)),
        new.new_code_cell(
            f'data = figures.trade_off_data(results, "{cost}")  # also: sparsity, kept_bytes, kept_macs, latency_ms\n'
            "figures.draw_trade_off(data)"
        ),
        new.new_code_cell("figures.draw_parallel(figures.parallel_data(results))"),
        new.new_markdown_cell("Is one method better than another at equal sparsity?"),
        new.new_code_cell(_DIFFERENCES),
    ]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"  # the same sweep gives the same file
    made = new.new_notebook(cells=cells, metadata={"kernelspec": _KERNEL, "language_info": {"name": "python"}})
    nbformat.validate(made)
    return str(nbformat.writes(made))


_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_READ = (
    "In the lab that made it the results are read; anywhere else the sweep is run, with what is there already reused."
)
_RUN = "handle = pc.Lab().sweep(sweep)\nhandle.wait()\nresults = handle.results()\nresults.head()"
_FOUND = """lab = pc.Lab()
try:
    handle = lab.sweep_handle("{id}")
except pc.RunNotFoundError:
    handle = lab.sweep(sweep)
    handle.wait()
results = handle.results()
results.head()"""
_DIFFERENCES = """finished = comparing.final_rows(results)
methods = comparing.names_of(finished, comparing.line_fields(results))
table = finished.assign(method=methods, at=finished["target"].fillna(0.0))
for difference in comparing.differences(table, cost="at"):
    print(f"{difference.cost:.0%} removed: {difference.sentence}")"""


def code(sweep: Sweep) -> str:
    """The sweep as Python; as JSON where a part of it is not in ``pc``."""
    try:
        text = _code(sweep, 0)
        if eval(text, {"pc": pc}).to_json() == sweep.to_json():  # only what was just written here
            return text
    except (LabError, AttributeError, SyntaxError, TypeError, NameError):
        pass
    return f"pc.Sweep.from_json({sweep.to_json()!r})"


def _code(value: Any, depth: int, path: str = "") -> str:
    """``value`` as an expression, the fields that differ from their defaults only, long ones a line each."""
    if isinstance(value, dict) and path in FAMILIES and value.get("kind") in FAMILIES[path]:
        # a part as the store has it
        value = FAMILIES[path][value["kind"]].cls(**{k: v for k, v in value.items() if k != "kind"})
    if isinstance(value, Settings):
        name = type(value).__name__
        getattr(pc, name)  # AttributeError: somebody's own part
        fields = type(value).model_fields
        items = [
            f"{n}={_code(getattr(value, n), depth + 1, path)}"
            for n in fields
            if fields[n].is_required() or getattr(value, n) != fields[n].get_default(call_default_factory=True)
        ]
        return _joined(f"pc.{name}(", items, ")", depth)
    if isinstance(value, dict):
        return _joined("{", [f'"{k}": {_code(v, depth + 1, k)}' for k, v in value.items()], "}", depth)
    if isinstance(value, list | tuple):
        return _joined("[", [_code(v, depth + 1, path) for v in value], "]", depth)
    return f'"{value}"' if isinstance(value, str) and '"' not in value and "\\" not in value else repr(value)


def _joined(start: str, items: list[str], end: str, depth: int) -> str:
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= WIDE - 4 * depth and "\n" not in line:
        return line
    inner = "".join(f"{'    ' * (depth + 1)}{item},\n" for item in items)
    return f"{start}\n{inner}{'    ' * depth}{end}"
