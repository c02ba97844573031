"""The stops of the guided tour: what each says, asks and measures."""

from __future__ import annotations

from prune_ui.tour import Step

STEPS: tuple[Step, ...] = (
    Step("pages/race.py", "One network, four times", "Four lanes start from the same weights and see the same data."),
)
