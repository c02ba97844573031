"""Going on from training that several runs have in common, as if each had done it itself."""

from __future__ import annotations

import copy
import dataclasses

import torch

from prune_core.errors import CheckpointError
from prune_core.sweeping import Trunk
from prune_core.training.checkpoint import Checkpoint
from prune_core.training.control import Control
from prune_core.training.state import RunState
from prune_core.training.stream import events


def grow(trunk: Trunk) -> Checkpoint:
    """Train ``trunk`` in this process and return the state at its end."""
    state, control = RunState(trunk.experiment), Control()
    control.stop_after(trunk.steps)
    for _ in events(state, control):
        pass
    return state.checkpoint()


def branch_(state: RunState, checkpoint: Checkpoint, trunk: Trunk) -> None:
    """Let a run that has not begun go on from the end of ``trunk``: bitwise what it would have come to by itself.

    Raises CheckpointError where ``checkpoint`` is not of that experiment, or not of that step.
    """
    found, wanted = (checkpoint.digest, checkpoint.step), (trunk.experiment.digest, trunk.steps)
    if found != wanted:
        raise CheckpointError(f"Shared training {wanted[0]} was to end at step {wanted[1]}, found {found}.")
    checkpoint = copy.deepcopy(checkpoint)  # what is loaded is trained on, and others begin with it too
    own = {
        "masks": state.masks.state_dict(),  # before the first removal they are as at the start
        "rewinding": state.rewinding.state_dict(),
        "teacher": None,
    }
    state.load(dataclasses.replace(checkpoint, digest=state.experiment.digest, masks={}, rest=checkpoint.rest | own))
    if state.flat.moved is not state.flat.weights:  # where removed weights keep their values: none is removed yet
        with torch.no_grad():
            state.flat.moved.copy_(state.flat.weights)
        state.keep_good()
