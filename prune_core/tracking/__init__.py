"""Tracking: the live store that runs are recorded in, read back from and steered through; ended ones go to MLflow."""

from prune_core.tracking.database import without_password
from prune_core.tracking.executing import execute, execute_race
from prune_core.tracking.giving import DONE, Given
from prune_core.tracking.home import checkpoint_path, home, run_folder, store_url
from prune_core.tracking.publishing import publish, publish_again, publishes, start_publisher
from prune_core.tracking.publishing_sweeps import publish_sweep, publish_sweep_again
from prune_core.tracking.races import SAMPLE_RACE, Races
from prune_core.tracking.records import (
    LAB,
    RACE,
    RETRY,
    STOPPED,
    SWEEP,
    ControlRecord,
    Cursor,
    LiveDelta,
    Publishable,
    RunRecord,
    race_of,
)
from prune_core.tracking.repeats import Repeats, race_row, race_table, repeat_space, repeats
from prune_core.tracking.sample import export_sample
from prune_core.tracking.store import Store, new_token
from prune_core.tracking.sweep_records import MEASURED, SweepRecord, results
from prune_core.tracking.sweeps import Sweeps
from prune_core.tracking.trials import TrialRecord, Trials

__all__ = [
    "DONE",
    "LAB",
    "MEASURED",
    "RACE",
    "RETRY",
    "SAMPLE_RACE",
    "STOPPED",
    "SWEEP",
    "ControlRecord",
    "Cursor",
    "Given",
    "LiveDelta",
    "Publishable",
    "Races",
    "Repeats",
    "RunRecord",
    "Store",
    "SweepRecord",
    "Sweeps",
    "TrialRecord",
    "Trials",
    "checkpoint_path",
    "execute",
    "execute_race",
    "export_sample",
    "home",
    "new_token",
    "publish",
    "publish_again",
    "publish_sweep",
    "publish_sweep_again",
    "publishes",
    "race_of",
    "race_row",
    "race_table",
    "repeat_space",
    "repeats",
    "results",
    "run_folder",
    "start_publisher",
    "store_url",
    "without_password",
]
