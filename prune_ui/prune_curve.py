"""The accuracy-over-sparsity curves that fill in behind the slider: one a model and method, for all who look at it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from prune_core.errors import LabError
from prune_core.jobs import Curve, PreviewRequest
from prune_ui import session

SPARSITIES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
MOST = 32  # curves kept; those asked for longest ago go first
BUDGET_S = 0.15  # for measuring accuracy at one stop of the slider

_curves: OrderedDict[str, Curve] = OrderedDict()
_lock = threading.Lock()


def within(most: float) -> tuple[float, ...]:
    """The sparsities up to ``most``, and that itself."""
    return SPARSITIES if most >= 1 else (*(s for s in SPARSITIES if s < most), most)


def curve(request: PreviewRequest, stamp: str) -> tuple[list[dict[str, Any]], bool]:
    """Points measured so far, and whether more will come. ``stamp`` changes when the weights do."""
    asked = request.replace(sparsity=None, threshold=None, layer="", picture=False)
    key = f"{stamp}/{asked.model_dump_json()}"
    with _lock:
        found = _curves.get(key)
        if found is None:
            found = _curves[key] = session.lab().curve(asked, within(asked.granularity.most))
        _curves.move_to_end(key)
        while len(_curves) > MOST:
            _curves.popitem(last=False)[1].cancel()
    try:
        points = found.points()
    except (LabError, OSError):
        with _lock:
            _curves.pop(key, None)  # asked again when somebody looks again
        raise
    rows = [
        {"sparsity": reply.sparsity, "accuracy": a.accuracy, "low": a.interval[0], "high": a.interval[1]}
        for _, reply in points
        if (a := reply.accuracy) is not None
    ]
    return rows, not found.done
