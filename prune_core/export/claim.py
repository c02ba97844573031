"""A claim's trial as a notebook: the claim with every setting, tried again, and compared with what was recorded."""

from __future__ import annotations

import json

import nbformat
import pandas as pd

from prune_core.claims import Claim, Verdict
from prune_core.export.notebook import TOLERANCE, code_cell, made, text_cell

START = "import prune_core as pc\nfrom prune_core import figures"
_DRAW = """for picture in claim.pictures:
    if picture.kind == "curve":
        display(figures.draw_claim_curve(figures.claim_curve_data(trial.table, picture)))
    else:
        display(figures.draw_claim_dots(figures.claim_dots_data(trial.table, picture)))"""


def claim_notebook(claim: Claim, table: pd.DataFrame, verdict: Verdict) -> nbformat.NotebookNode:
    """The trial that gave ``table`` and ``verdict``, to be done again.

    What the seed decides is asserted to be as recorded, within a percentage point of accuracy. So is the verdict where
    nothing in it depends on the machine's clock; else both verdicts are printed.
    """
    recorded = table[(table["measure"] == "accuracy") & table["value"].notna()]
    rows = [[str(r.arm), None if pd.isna(r.at) else r.at, int(r.seed), float(r.value)] for r in recorded.itertuples()]
    on = f" It depends on {verdict.on}." if verdict.on else ""
    values = json.dumps(claim.to_dict(), indent=4).replace("null", "None").replace("true", "True")
    cells = [
        text_cell(
            f"# “{claim.statement}”\n\n**Rule, fixed before looking:** {claim.rule}\n\n**Recorded verdict:** "
            f"{verdict.word}. {verdict.sentence}{on}\n\nRun from top to bottom, this notebook makes all "
            f"{claim.experiments().total} runs again, in this process, and judges them by the same rule."
        ),
        code_cell(START),
        code_cell(f"claim = pc.Claim.from_dict({values.replace('false', 'False')})"),
        code_cell("trial = pc.trial(claim)\ntrial"),
        code_cell(_DRAW),
        code_cell("trial.table"),
        text_cell("## The same as recorded?"),
        code_cell(_checks(claim, rows, verdict)),
    ]
    return made(cells)


def _checks(claim: Claim, rows: list[list[object]], verdict: Verdict) -> str:
    lines = []
    if rows:
        listed = "".join(f"    {row!r},\n" for row in rows)
        lines.append(
            f"recorded = [  # arm, place, seed, accuracy\n{listed}]\n"
            'found = trial.table[trial.table["measure"] == "accuracy"]\n'
            "for arm, at, seed, accuracy in recorded:\n"
            '    own = found[(found["arm"] == arm) & (found["seed"] == seed)]\n'
            '    own = own[own["at"].isna()] if at is None else own[own["at"] == at]\n'
            f'    assert abs(own["value"].item() - accuracy) <= {TOLERANCE}, (arm, at, seed)'
        )
    if claim.looks:  # at the clock: another machine may come to another verdict
        lines.append(f'print("recorded:", "{verdict.word}", " here:", trial.verdict.word)')
    else:
        lines.append(f'assert trial.verdict.word == "{verdict.word}", trial.verdict')
    return "\n".join(lines)
