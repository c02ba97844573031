"""What a network costs while it is trained: parameters left, bytes, multiplications; measured, not estimated."""

from __future__ import annotations

import logging
import time
from typing import Any

from prune_core.events import Event, MaskEvent
from prune_core.measuring import count_parameters, macs, stored_bytes
from prune_core.training.state import RunState

SHARE = 0.1  # of the time at most goes into measuring

log = logging.getLogger("prune_core.tracking")


class Costs:
    """Measures ``state`` at the first event, and again wherever masks changed since the last time."""

    def __init__(self, state: RunState) -> None:
        self._state, self._stale, self._due = state, True, 0.0

    def after(self, event: Event) -> dict[str, Any] | None:
        """The figures after ``event``, where they are other than before; None where not, or where it is too soon."""
        self._stale |= isinstance(event, MaskEvent)
        began = time.monotonic()
        if not self._stale or began < self._due:
            return None
        found = cost_of(self._state)
        now = time.monotonic()
        self._stale, self._due = False, now + (now - began) * (1 / SHARE - 1)
        return {**found, "cost_step": self._state.step}


def cost_of(state: RunState) -> dict[str, Any]:
    """Parameters, those that are not zero, and bytes and MACs of all and of those left; what cannot be had is left out.

    ``kept_bytes`` are written out as one bit a prunable weight and the values left, MACs are of one example.
    """
    model, masks = state.model, state.masks.masks
    count = count_parameters(model, masks)
    found: dict[str, Any] = {"parameters": count.total, "nonzero": count.nonzero}
    try:
        found["dense_bytes"], found["kept_bytes"] = stored_bytes(model, masks)
        work = macs(model, state.data.info.shape, masks)
        found["macs"], found["kept_macs"] = work.dense, work.effective
    except Exception:  # people's own models may do what is not foreseen here; the run itself is fine
        log.exception("Run of %s: its cost could not be measured", state.experiment.model.registered_as)
    return found
