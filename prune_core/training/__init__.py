"""Training: the loop as a generator, runs in this process, evaluation, checkpoints, steering."""

from prune_core.training.checkpoint import Checkpoint, load_checkpoint, restore_model
from prune_core.training.control import Control, check_intervention
from prune_core.training.evaluate import Evaluation, evaluate, wilson
from prune_core.training.gradient import Gradient, gradient_at, gradient_of
from prune_core.training.lockstep import LANES, LaneName, lane_of, lanes_of, race
from prune_core.training.race_presets import RACE_PRESETS, RacePreset
from prune_core.training.recalibrate import recalibrate_
from prune_core.training.run import Result, run
from prune_core.training.sensitivity import Cell, Sensitivity, sensitivity_cells, sensitivity_scan
from prune_core.training.stream import stream
from prune_core.training.sweeping import sweep
from prune_core.training.timing import StepTime, stepper, time_steps

__all__ = [
    "LANES",
    "RACE_PRESETS",
    "Cell",
    "Checkpoint",
    "Control",
    "Evaluation",
    "Gradient",
    "LaneName",
    "RacePreset",
    "Result",
    "Sensitivity",
    "StepTime",
    "check_intervention",
    "evaluate",
    "gradient_at",
    "gradient_of",
    "lane_of",
    "lanes_of",
    "load_checkpoint",
    "race",
    "recalibrate_",
    "restore_model",
    "run",
    "sensitivity_cells",
    "sensitivity_scan",
    "stepper",
    "stream",
    "sweep",
    "time_steps",
    "wilson",
]
