"""A figure as the bytes that go to the browser.

Arrays travel as base64 of the smallest type that keeps what can be seen (float32: seven digits), our own template not
at all, since the browser has it, and a digest says whether anything changed since the last time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

# id of an array sent in this message -> (its number, the array: held, or another could get its id)
Known = dict[int, tuple[int, np.ndarray]]
SMALL = 6  # entries; below that a plain list is no longer than base64
_INTEGERS = ("i1", "u1", "i2", "u2", "i4", "u4")
_LIMITS = {kind: np.iinfo(kind) for kind in _INTEGERS}


def encode(figure: Any, **more: Any) -> bytes:
    """The message for one update: ``{"id": digest, "data": [...], "layout": {...}, "theme": ..., **more}`` as JSON.

    ``figure`` is a Plotly figure or a dictionary with ``data`` and ``layout``. Not-a-number and infinity become null:
    JSON has neither, and Plotly draws a gap.
    """
    plain = figure if isinstance(figure, Mapping) else figure.to_plotly_json()
    layout = dict(plain.get("layout") or {})
    meta = layout.get("meta")
    theme = meta.get("theme", "") if isinstance(meta, Mapping) else ""
    if theme:
        layout.pop("template", None)
    known: Known = {}
    content = {"data": _slim(list(plain.get("data") or ()), known), "layout": _slim(layout, known), "theme": theme}
    content.update(_slim(more, known))
    body = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    digest = hashlib.blake2b(body, digest_size=8).hexdigest()
    return b'{"id":"' + digest.encode() + b'",' + body[1:]


def _slim(value: Any, known: Known) -> Any:
    """``value`` in JSON's types. ``known`` holds the arrays sent so far: lines that share their x send it once."""
    if isinstance(value, Mapping):
        if "bdata" in value:  # plotly.py's own typed array, usually float64
            return _array(_typed(value), known)
        return {str(key): _slim(inner, known) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return _array(value, known)
    if isinstance(value, (list, tuple)):
        if len(value) > SMALL and all(type(v) in (int, float) for v in value):
            return _array(np.asarray(value), known)
        return [_slim(inner, known) for inner in value]
    if isinstance(value, np.generic):
        return _slim(value.item(), known)
    if isinstance(value, float):
        return _round(value)
    if hasattr(value, "to_plotly_json"):
        return _slim(value.to_plotly_json(), known)
    if hasattr(value, "to_numpy"):
        return _array(value.to_numpy(), known)
    return value


def _array(values: np.ndarray, known: Known) -> Any:
    if values.dtype.kind not in "biuf" or values.size <= SMALL:
        return [_slim(v, known) for v in values.tolist()]
    if id(values) in known:
        return {"same": known[id(values)][0]}
    known[id(values)] = (len(known), values)
    kind = _narrow(values)
    packed: dict[str, Any] = {
        "dtype": kind,
        "bdata": base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode(),
        "as": known[id(values)][0],
    }
    if values.ndim > 1:
        packed["shape"] = ",".join(map(str, values.shape))
    return packed


def _narrow(values: np.ndarray) -> str:
    if values.dtype.kind == "b":
        return "u1"
    if values.dtype.kind == "f":
        # what overflows float32, a diverging loss say, keeps its size
        return "f8" if np.nanmax(np.abs(values), initial=0, where=np.isfinite(values)) > 3e38 else "f4"
    low, high = int(values.min()), int(values.max())
    return next((k for k in _INTEGERS if _LIMITS[k].min <= low and high <= _LIMITS[k].max), "f8")


def _typed(value: Mapping[str, Any]) -> np.ndarray:
    raw = value["bdata"]
    values = np.frombuffer(base64.b64decode(raw) if isinstance(raw, str) else raw, dtype=np.dtype(value["dtype"]))
    shape = value.get("shape")
    if shape is None:
        return values
    sizes = [int(n) for n in (shape.split(",") if isinstance(shape, str) else shape)]
    return values.reshape(sizes)


def _round(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.6g}") if abs(value) < 1e6 else value
