"""Taking things away: settings as Python, runs, comparisons and sweeps as notebooks that check themselves."""

from __future__ import annotations

from prune_core.export.claim import claim_notebook
from prune_core.export.code import claim_code, claim_command, clip_code, prune_code, sweep_code
from prune_core.export.notebook import comparison_notebook, run_notebook, sweep_notebook, written
from prune_core.export.python import as_python

__all__ = [
    "as_python", "claim_code", "claim_command", "claim_notebook", "clip_code", "comparison_notebook", "prune_code",
    "run_notebook", "sweep_code", "sweep_notebook", "written",
]  # fmt: skip
