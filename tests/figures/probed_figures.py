"""Ways to make the data of the Pruning lab's figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from prune_core import figures
from prune_core.probing import Forgotten, layer_tiles
from prune_core.pruning import NofM

NAMES = ("Magnitude", "Random", "LAMP")
CURVES = [
    {"criterion": name, "sparsity": s, "accuracy": a, "low": a - 0.02, "high": a + 0.02}
    for i, name in enumerate(NAMES)
    for s in (0.0, 0.5, 0.9)
    for a in [0.97 - (0.1 + 0.2 * i) * s]
]
RHO = pd.DataFrame([[1, 0.02, 0.9], [0.02, 1, -0.1], [0.9, -0.1, 1]], NAMES, NAMES)
NOISE = [
    {"model": m, "noise": s, "accuracy": 0.9 - 0.3 * s, "low": 0.85 - 0.3 * s, "high": 0.93 - 0.3 * s, "examples": 355}
    for m in ("before", "after")
    for s in (0.0, 0.5, 1.0)
]
SIZES = {"conv": 72, "fc1": 9000, "fc2": 640}


def answers(n: int = 400, classes: int = 10) -> Forgotten:
    """Before right for nearly all, after for fewer."""
    draw = np.random.default_rng(0)
    label = np.arange(n) % classes
    before = np.where(draw.random(n) < 0.95, label, (label + 1) % classes)
    after = np.where(draw.random(n) < 0.7, label, (label + 2) % classes)
    shares = draw.random((2, n))
    table = {"index": np.arange(n), "label": label, "before": before, "after": after,
             "confidence_before": shares[0], "confidence_after": shares[1]}  # fmt: skip
    return Forgotten(pd.DataFrame(table), tuple(f"class {c}" for c in range(classes)))


def cut(shape: tuple[int, ...], granularity: Any = None) -> Any:
    """Half of the weights of a layer removed."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return layer_tiles("layer", weight, weight.abs() > 0.67, granularity)


def spots(n: int) -> np.ndarray:
    return np.random.default_rng(1).random((n, 2))


PROBED: dict[str, list[Callable[[], Any]]] = {
    "criteria_curves": [
        lambda: figures.criteria_curves_data(CURVES, NAMES, dense=0.97, at=0.8, n=355, total=355),
        lambda: figures.criteria_curves_data([], NAMES),
        lambda: figures.criteria_curves_data(CURVES[:4], NAMES, n=200, total=355),
    ],
    "agreement": [
        lambda: figures.agreement_data(RHO, weights=13584),
        lambda: figures.agreement_data(RHO.abs(), measure="overlap", chance=0.05, sparsity=0.9),
        lambda: figures.agreement_data(np.full((2, 2), np.nan), ("a", "b")),
    ],
    "filter_tiles": [
        lambda: figures.filter_tiles_data(cut((8, 1, 3, 3))),
        lambda: figures.filter_tiles_data(cut((64, 32, 3, 3))),
        lambda: figures.filter_tiles_data(cut((16, 8, 5))),
        lambda: figures.filter_tiles_data("conv", torch.ones(4, 20, 3, 3), torch.ones(4, 20, 3, 3).bool()),
    ],
    "n_of_m_tiles": [lambda: figures.n_of_m_tiles_data(cut((32, 64), NofM()))],
    "weight_dots": [
        lambda: figures.weight_dots_data(cut((10, 32))),
        lambda: figures.weight_dots_data(cut((300, 784))),
        lambda: figures.weight_dots_data("fc", torch.ones(4, 3), torch.zeros(4, 3).bool()),
    ],
    "class_change": [
        lambda: figures.class_change_data(answers().per_class),
        lambda: figures.class_change_data(answers(400, 40).per_class),
        lambda: figures.class_change_data([]),
    ],
    "confusion_change": [
        lambda: figures.confusion_change_data(answers().confusions, answers().class_names),
        lambda: figures.confusion_change_data([], ()),
    ],
    "noise_accuracy": [
        lambda: figures.noise_accuracy_data(NOISE, chance=0.1),
        lambda: figures.noise_accuracy_data([]),
    ],
    "flipped_points": [
        lambda: figures.flipped_points_data(spots(400), np.arange(400) % 10, answers().flips),
        lambda: figures.flipped_points_data(spots(50), np.arange(50) % 2, []),
    ],
    "layer_budget": [
        lambda: figures.layer_budget_data(SIZES, {"fc1": 0.9, "conv": 0.3}, bears={"fc1": 0.95}, chosen="fc1"),
        lambda: figures.layer_budget_data(SIZES, {}, other=dict.fromkeys(SIZES, 0.5)),
        lambda: figures.layer_budget_data({f"l{i}": i + 1 for i in range(60)}, {}, chosen="l0"),
        lambda: figures.layer_budget_data({}, {}),
    ],
    "allocation_accuracy": [
        lambda: figures.allocation_accuracy_data(
            [("yours", 0.8, 0.9, 0.87, 0.93), ("global", 0.8, 0.88, 0.85, 0.91)], dense=0.97
        ),
        lambda: figures.allocation_accuracy_data([]),
    ],
}
