"""Training: the loop as a generator, runs in this process, evaluation, checkpoints, steering."""

from prune_core.training.checkpoint import Checkpoint, load_checkpoint, restore_model
from prune_core.training.control import Control, check_intervention
from prune_core.training.evaluate import Evaluation, evaluate, wilson
from prune_core.training.run import Result, run, sweep
from prune_core.training.stream import stream

__all__ = [
    "Checkpoint",
    "Control",
    "Evaluation",
    "Result",
    "check_intervention",
    "evaluate",
    "load_checkpoint",
    "restore_model",
    "run",
    "stream",
    "sweep",
    "wilson",
]
