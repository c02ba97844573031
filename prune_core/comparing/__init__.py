"""Statistics over finished runs: intervals over seeds, the Pareto front, the knee of a curve, differences in words.

Works on plain numbers and DataFrames and knows nothing of runs: every function can be used on anybody's table.
"""

from __future__ import annotations

from prune_core.comparing.differences import Difference, differences, holm
from prune_core.comparing.front import pareto_front
from prune_core.comparing.intervals import Interval, mean_by, mean_interval
from prune_core.comparing.knee import Knee, knee
from prune_core.comparing.paired import Against, against
from prune_core.comparing.race import RACE_COLUMNS, RaceFinding, blew_up, race_finding
from prune_core.comparing.tables import begun, final_rows, line_fields, names_of, settings_of, varying

__all__ = [
    "RACE_COLUMNS",
    "Against",
    "Difference",
    "Interval",
    "Knee",
    "RaceFinding",
    "against",
    "begun",
    "blew_up",
    "differences",
    "final_rows",
    "holm",
    "knee",
    "line_fields",
    "mean_by",
    "mean_interval",
    "names_of",
    "pareto_front",
    "race_finding",
    "settings_of",
    "varying",
]
