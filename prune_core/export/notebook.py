"""What the lab has recorded as notebooks: stated in full, done again, drawn with the same figures, and checked.

A notebook needs ``prune_core`` and nothing of the lab that made it: it installs nothing, reads no store, and states the
experiment with every field. Its last cell compares what came out with what was recorded, so that it fails where the
numbers are not the same. Files of the same run are the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import nbformat

from prune_core.errors import ConfigError
from prune_core.events import InterventionEvent
from prune_core.experiment import Experiment
from prune_core.export.python import as_python
from prune_core.figures.words import count, percent
from prune_core.sweeping import Sweep
from prune_core.tracking import RunRecord, Store

MOST = 6  # runs of a comparison
TOLERANCE = 0.01  # of accuracy, a share: what another processor or version may make of the same seed
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
ENDED_AS_TOLD = ("finished", "stopped", "diverged")
START = "import prune_core as pc\nfrom prune_core import figures"


def run_notebook(store: Store, run_id: str, name: str = "") -> nbformat.NotebookNode:
    """A run that has ended, done again with all that was changed in mid-run, and compared with its record.

    Raises ConfigError for a run that has not ended, or that failed or was cancelled before it had a result.
    """
    record = _ended(store, run_id)
    title = name or record.name or f"Run {record.id}"
    cells = [
        text_cell(f"# {title}\n\n{_recorded(record)}\n\n{_SAME}"),
        code_cell(START),
        code_cell(f"experiment = {as_python(record.experiment, full=True)}\n{_digest(record.experiment)}"),
        *([text_cell(_FROM_FILE)] if record.experiment.start is not None else []),
        *_again(store, record),
        text_cell("## What happened"),
        code_cell("figures.draw_loss_accuracy(figures.loss_accuracy_data(result.history))"),
        *_pictures(record.experiment),
        text_cell("## The same as recorded?"),
        code_cell(_checks(record, "result")),
    ]
    return made(cells)


def comparison_notebook(store: Store, run_ids: Sequence[str], names: Sequence[str] = ()) -> nbformat.NotebookNode:
    """Two to six runs that have ended, done again and drawn in one picture each for accuracy and sparsity.

    Raises ConfigError for another number of runs, or one that has no result.
    """
    if not 2 <= len(run_ids) <= MOST:
        raise ConfigError(f"run_ids must name 2 to {MOST} runs to compare, got {len(run_ids)}.")
    records = [_ended(store, run_id) for run_id in run_ids]
    names = list(names) or [record.name or record.id for record in records]
    names = [n if names.count(n) == 1 else f"{n} ({r.id[-4:]})" for n, r in zip(names, records, strict=True)]
    rows = "\n".join(f"- **{name}**: {_recorded(r)}" for name, r in zip(names, records, strict=True))
    cells = [
        text_cell(f"# {len(records)} runs compared\n\n{rows}\n\n{_SAME}"),
        code_cell(f"{START}\n\nresults = {{}}"),
    ]
    for name, record in zip(names, records, strict=True):
        cells += [
            text_cell(f"## {name}"),
            code_cell(f"experiment = {as_python(record.experiment, full=True)}\n{_digest(record.experiment)}"),
            *_again(store, record),
            code_cell(f"results[{name!r}] = result\n{_checks(record, 'result')}"),
        ]
    cells += [text_cell("## Side by side"), code_cell(_OVERLAY), code_cell(_OVERLAY_SPARSITY)]
    return made(cells)


def sweep_notebook(sweep: Sweep, name: str = "", sweep_id: str = "", cost: str = "sparsity") -> nbformat.NotebookNode:
    """A sweep, with its trade-off; results are read where ``sweep_id`` is known, otherwise its runs are made."""
    cells = [
        text_cell(
            f"# {name or 'A sweep'}\n\n{sweep.total} runs of one experiment, made in the Clip & Prune Lab. "
            "The sweep is stated in full below; running this notebook gives the same figures, with or without the app."
        ),
        code_cell("import prune_core as pc\nfrom prune_core import comparing, figures"),
        code_cell(f"sweep = {as_python(sweep)}"),
        text_cell(_READ if sweep_id else "Runs that this lab has already are not run again."),
        code_cell(_FOUND.format(id=sweep_id) if sweep_id else _RUN),
        code_cell(
            f'data = figures.trade_off_data(results, "{cost}")  # also: sparsity, kept_bytes, kept_macs, latency_ms\n'
            "figures.draw_trade_off(data)"
        ),
        code_cell("figures.draw_parallel(figures.parallel_data(results))"),
        text_cell("Is one method better than another at equal sparsity?"),
        code_cell(_DIFFERENCES),
    ]
    return made(cells)


def written(notebook: nbformat.NotebookNode) -> str:
    """The notebook's JSON, as a file has it."""
    return str(nbformat.writes(notebook))


# --- parts ------------------------------------------------------------------------------------------------------------
def _ended(store: Store, run_id: str) -> RunRecord:
    record = store.run(run_id)
    if record.status not in ENDED_AS_TOLD or record.accuracy is None:
        raise ConfigError(f"Run {run_id} is {record.status} and has no result that a notebook could come to.")
    return record


def _recorded(record: RunRecord) -> str:
    n = record.summary.get("n")
    of = f" of {count(n)} test examples" if n else ""
    assert record.accuracy is not None, "it has a result"
    words = f"{record.status} after {count(record.step)} steps with {percent(record.accuracy, 2)}{of} right"
    if record.sparsity:
        words += f", {percent(record.sparsity)} of the prunable weights removed"
    return f"{words[0].upper()}{words[1:]}; digest `{record.digest}`."


def _digest(experiment: Experiment) -> str:
    return f'assert experiment.digest == "{experiment.digest}", "another version gives these settings another meaning"'


def _again(store: Store, record: RunRecord) -> list[nbformat.NotebookNode]:
    """The cells that do the run again, with what was changed in mid-run, and as far as it went."""
    marks = [InterventionEvent(int(m.step), m.field, float(m.value)) for m in store.marks(record.id).itertuples()]
    given, lines = ["experiment"], []
    cells = []
    if marks:
        cells.append(text_cell("Somebody changed settings in mid-run. The same changes are made at the same steps."))
        rows = "".join(f"    pc.InterventionEvent({m.step}, {m.field!r}, {m.value!r}),\n" for m in marks)
        lines.append(f"interventions = [\n{rows}]")
        given.append("interventions=interventions")
    if record.status == "stopped":
        cells.append(text_cell(f"It was stopped after {count(record.step)} of {count(record.steps)} steps."))
        lines.append(f"control = pc.Control()\ncontrol.stop_after({record.step})")
        given.append("control=control")
    lines.append(f"result = pc.run({', '.join(given)})\nresult")
    return [*cells, code_cell("\n".join(lines))]


def _pictures(experiment: Experiment) -> list[nbformat.NotebookNode]:
    cells = [code_cell("figures.draw_gradient_norm(figures.gradient_norm_data(result.history))")]
    if experiment.clip is not None:
        cells.append(code_cell("figures.draw_clipped_share(figures.clipped_share_data(result.history))"))
    if experiment.prune is not None:
        cells.append(code_cell("figures.draw_sparsity(figures.sparsity_data(result.history))"))
    return cells


def _checks(record: RunRecord, result: str) -> str:
    assert record.accuracy is not None and record.sparsity is not None, "it has a result"
    return (
        f'assert {result}.status == "{record.status}" and {result}.step == {record.step}\n'
        f"assert abs({result}.accuracy - {record.accuracy!r}) <= {TOLERANCE}, {result}.accuracy\n"
        f"assert abs({result}.sparsity - {record.sparsity!r}) < 1e-9, {result}.sparsity\n"
        f"same = {result}.accuracy == {record.accuracy!r}\n"
        f'print("the same to the last bit" if same else "the same within {TOLERANCE:.0%}")'
    )


def text_cell(source: str) -> nbformat.NotebookNode:
    """A cell of Markdown."""
    cell: nbformat.NotebookNode = nbformat.v4.new_markdown_cell(source)
    return cell


def code_cell(source: str) -> nbformat.NotebookNode:
    """A cell of Python."""
    cell: nbformat.NotebookNode = nbformat.v4.new_code_cell(source)
    return cell


def made(cells: Sequence[nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """A validated notebook of these cells; the same cells give the same file."""
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"  # the same content gives the same file
    whole: nbformat.NotebookNode = nbformat.v4.new_notebook(
        cells=list(cells), metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    nbformat.validate(whole)
    return whole


_SAME = (
    "Run from top to bottom, this notebook trains again from the same seed and compares. On the same machine with the "
    "same versions the results are the same to the last bit; another processor may round otherwise, so a difference of "
    f"up to {100 * TOLERANCE:g} percentage point is let pass."
)
_FROM_FILE = (
    "It starts from the weights of an earlier run, in the file that `start` names: bring that file along, or change "
    "the path. `sha256` says whether it is the right one."
)
_OVERLAY = """runs = [
    {
        "name": name,
        "idea": figures.idea_of(clipped=r.experiment.clip is not None, pruned=r.experiment.prune is not None),
        "history": r.history,
    }
    for name, r in results.items()
]
figures.draw_overlay(figures.overlay_data(runs, "accuracy"))"""
_OVERLAY_SPARSITY = 'figures.draw_overlay(figures.overlay_data(runs, "sparsity"))'
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
