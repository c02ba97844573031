"""Presenter mode: one chart at a time, large, with the arrow keys."""

from __future__ import annotations

from prune_ui import present_view

present_view.show()
