"""What a run begins with: its device, the checkpoint it starts from, the changes that are replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

from prune_core.errors import ConfigError
from prune_core.events import InterventionEvent, WarningEvent
from prune_core.experiment import Experiment
from prune_core.pruning import Groups
from prune_core.training.checkpoint import Checkpoint, load_checkpoint
from prune_core.training.control import check_intervention

LISTED = 6  # names of layers in a sentence


def pick_device(wanted: str) -> torch.device:
    """``auto`` is the first GPU if there is one. Raises ConfigError where a GPU is asked for and there is none."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("Training.device must be 'auto' or 'cpu' on this machine, which has no GPU, got 'cuda'.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def start_of(experiment: Experiment) -> Checkpoint | None:
    """The checkpoint that the experiment starts from. Raises CheckpointError where it is not there or another."""
    start = experiment.start
    return None if start is None else load_checkpoint(start.path, sha256=start.sha256)


def by_step(experiment: Experiment, interventions: Iterable[InterventionEvent]) -> dict[int, list[InterventionEvent]]:
    """Interventions to replay by their step. Raises ConfigError for one that is out of bounds."""
    found: dict[int, list[InterventionEvent]] = defaultdict(list)
    for mark in interventions:
        check_intervention(experiment, mark.field, mark.value)
        found[mark.step].append(mark)
    return dict(found)


def say_uncut(groups: Groups | None) -> WarningEvent | None:
    """Which layers stay dense because they cannot be cut into ``groups``; None where all can."""
    if groups is None or not groups.dense:
        return None
    names = ", ".join(groups.dense[:LISTED])
    more = f" and {len(groups.dense) - LISTED} more" if len(groups.dense) > LISTED else ""
    return WarningEvent(0, f"Not cut into the groups that are removed, so dense: {names}{more} (Pruning.granularity).")
