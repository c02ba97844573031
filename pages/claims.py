"""Sentences heard about clipping and pruning, each put to a measured test."""

from __future__ import annotations

from prune_ui import claims_state, claims_view

claims_state.open_link()
claims_view.show()
