"""The lab inside a notebook: ``pc.Lab().watch(run)``."""

from __future__ import annotations

from prune_core.jupyter.watching import Watch, watch

__all__ = ["Watch", "watch"]
