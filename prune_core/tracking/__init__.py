"""Tracking: the live store that runs are recorded in, read back from and steered through; ended ones go to MLflow."""

from prune_core.tracking.database import without_password
from prune_core.tracking.executing import execute
from prune_core.tracking.giving import DONE, Given
from prune_core.tracking.home import checkpoint_path, home, run_folder, store_url
from prune_core.tracking.publishing import publish, publish_again, publishes, start_publisher
from prune_core.tracking.records import LAB, RETRY, STOPPED, SWEEP, ControlRecord, Cursor, LiveDelta, RunRecord
from prune_core.tracking.sample import export_sample
from prune_core.tracking.store import Store, new_token
from prune_core.tracking.sweep_records import MEASURED, SweepRecord, results
from prune_core.tracking.sweeps import Sweeps

__all__ = [
    "DONE",
    "LAB",
    "MEASURED",
    "RETRY",
    "STOPPED",
    "SWEEP",
    "ControlRecord",
    "Cursor",
    "Given",
    "LiveDelta",
    "RunRecord",
    "Store",
    "SweepRecord",
    "Sweeps",
    "checkpoint_path",
    "execute",
    "export_sample",
    "home",
    "new_token",
    "publish",
    "publish_again",
    "publishes",
    "results",
    "run_folder",
    "start_publisher",
    "store_url",
    "without_password",
]
