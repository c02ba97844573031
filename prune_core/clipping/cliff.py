"""The cliff: a loss surface of two parameters with a wall in it, and descents on it with and without clipping.

A recurrent network of one unit, x_t = w σ(x_{t−1}) + b from x_0 = 0, is to end at σ(x_50) = 0.7. Where its one fixed
point becomes two, the end jumps from one to the other, and the loss is a wall whose slope reaches 10¹³. Source:
Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, section 2.3 and figure 6; the same network, steps and target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LENGTH, TARGET = 50, 0.7
W, B = (3.2, 6.2), (-3.0, -1.0)  # the part of the plane that is shown
START = (5.0, -2.0)  # on the plain beside the wall
UPDATES = 40
WAYS = ("none", "norm", "value")
FAR = 1e6  # a path that comes so far has left for good


@dataclass(frozen=True)
class Path:
    """A descent: ``points`` (n + 1, 2) are (w, b), ``losses`` (n + 1,), ``norms`` (n,) of the gradients it followed.

    It is shorter than asked for where it left the plane for good.
    """

    way: str
    points: Array
    losses: Array
    norms: Array


def loss(w: Any, b: Any) -> Array:
    """The loss at ``w`` and ``b``, numbers or arrays of one shape."""
    x = np.zeros(np.broadcast(w, b).shape)
    for _ in range(LENGTH):
        x = w * _sigmoid(x) + b
    found: Array = (_sigmoid(x) - TARGET) ** 2
    return found


def loss_and_slope(w: float, b: float) -> tuple[float, float, float]:
    """The loss and its derivatives by w and b, exact: carried along with the recurrence."""
    x = by_w = by_b = 0.0
    for _ in range(LENGTH):
        s = _logistic(x)
        k = w * s * (1 - s)
        x, by_w, by_b = w * s + b, s + k * by_w, 1 + k * by_b
    s = _logistic(x)
    outer = 2 * (s - TARGET) * s * (1 - s)
    return (s - TARGET) ** 2, outer * by_w, outer * by_b


@lru_cache(maxsize=4)
def surface(size: int = 161) -> tuple[Array, Array, Array]:
    """w (size,), b (size,) and the loss (size, size), a row for each b; the arrays are shared: do not change them."""
    w, b = np.linspace(*W, size), np.linspace(*B, size)
    return w, b, loss(w[None, :], b[:, None])


@lru_cache(maxsize=512)
def descend(way: str, lr: float, threshold: float, start: tuple[float, float] = START, updates: int = UPDATES) -> Path:
    """Gradient descent from ``start``: "none" follows the gradient, "norm" shortens it to ``threshold``, "value" cuts
    each of its two entries there, both as the strategies of those names do.
    """
    w, b = start
    points, losses, norms = [(w, b)], [], []
    for _ in range(updates):
        value, dw, db = loss_and_slope(w, b)
        losses.append(value)
        norm = math.hypot(dw, db)
        norms.append(norm)
        if way == "norm":
            by = min(1.0, threshold / (norm + 1e-6))
            dw, db = dw * by, db * by
        elif way == "value":
            dw, db = (min(max(g, -threshold), threshold) for g in (dw, db))
        w, b = w - lr * dw, b - lr * db
        points.append((w, b))
        if max(abs(w), abs(b)) > FAR:
            break
    losses.append(float(loss(w, b)))
    return Path(way, np.array(points), np.array(losses), np.array(norms))


def _sigmoid(x: Any) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))  # never overflows


def _logistic(x: float) -> float:
    return 0.5 * (1 + math.tanh(0.5 * x))
