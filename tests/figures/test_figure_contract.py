"""Every figure: it draws in both themes, says what to see, names its axes, has words, and fits into a page's turn."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch
from probed_figures import PROBED

from prune_core import figures
from prune_core.claims import Picture
from prune_core.clipping import FlatGradients, cliff
from prune_core.clipping.curves import lanes
from prune_core.events import Boundary, InterventionEvent, LayerSnapshot, SnapshotEvent
from prune_core.figures.palette import DARK, LIGHT
from prune_core.figures.parallel_axes import Span

STEPS = 2500
COSTS = ("sparsity", "kept_bytes", "kept_macs", "latency_ms")


def history(steps: int = STEPS) -> pd.DataFrame:
    """A run's history with a clip threshold of 1 and a spike that must survive thinning."""
    step = np.arange(1, steps + 1)
    before = 0.4 + 3 * np.exp(-step / 400)
    before[steps // 2 : steps // 2 + 1] = 250.0
    after = np.minimum(before, 1.0)
    return pd.DataFrame({
        "step": step, "loss": 0.1 + 2 * np.exp(-step / 300), "grad_norm_before": before, "grad_norm_after": after,
        "clipped": (before > 1).astype(float) * 0.7, "cosine": np.where(before > 1, 0.93, 1.0),
        "lr": np.full(steps, 0.1), "sparsity": np.clip((step - 500) / 1500, 0, 1) * 0.9,
    })  # fmt: skip


def evals() -> pd.DataFrame:
    at = np.arange(100, STEPS + 1, 100)
    return pd.DataFrame({"step": at, "accuracy": 0.96 - 0.5 * np.exp(-at / 500), "loss": 0.2, "n": 360})


def layer(name: str = "fc1.weight", kept: int = 800) -> LayerSnapshot:
    middle = np.linspace(-1, 1, 80)
    weights = np.where(np.abs(middle) > 0.2, 40, 0).astype(np.int32)
    removed = np.where(np.abs(middle) <= 0.2, 60, 0).astype(np.int32)
    gradients = np.bincount(np.arange(20, 40), minlength=60).astype(np.int32) * 30
    return LayerSnapshot(
        name, (40, 25), 1000, kept, (-1.0, 1.0), weights, removed, gradients, 12, 0.2, 2.0, 1.0, 0.3, 0.97
    )


SNAPSHOT = SnapshotEvent(400, (layer(), layer("fc2.weight", 150)))
MARKS = [InterventionEvent(700, "clip_threshold", 0.5), InterventionEvent(900, "lr", 0.01)]


def boundary(classes: int) -> Boundary:
    grid = (np.add.outer(np.arange(60), np.arange(60)) * classes // 120).astype(np.uint8)
    return Boundary((-2.0, 2.0, -1.5, 1.5), grid, np.full((60, 60), 200, np.uint8))


def run(name: str, idea: str) -> dict[str, Any]:
    return {"name": name, "idea": idea, "history": history(300), "evals": evals()}


POINTS = [
    {"sparsity": s, "accuracy": 0.97 - s**8, "low": 0.95 - s**8, "high": 0.98 - s**8} for s in (0, 0.5, 0.8, 0.95)
]
LABELS = np.arange(50) % 2
CELLS = [
    {"layer": name, "sparsity": s, "removed": round(100 * s), "weights": 100, "accuracy": a, "low": a - 0.02,
     "high": a + 0.02, "loss": 1 - a}
    for name, s, a in (("a", 0.5, 0.96), ("b", 0.5, 0.9), ("b", 0.9, 0.3))
]  # fmt: skip


def results(ways: tuple[str, ...] = ("Magnitude", "Random"), thresholds: tuple[Any, ...] = (None,), seeds: int = 3,
            targets: Any = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98), status: str = "finished") -> pd.DataFrame:  # fmt: skip
    """A sweep's results as SweepHandle gives them: accuracy falls with sparsity, and a little differently by seed."""
    rows = [
        {"run": f"{len(ways)}-{way}-{threshold}-{target}-{seed}", "status": status, "prune.criterion": way,
         "prune.schedule.final": target, "train.seed": seed, "model": "mlp", "data": "digits",
         "clip": "value" if threshold else None, "threshold": threshold or np.nan, "prune": way.lower(),
         "target": target, "seed": seed, "accuracy": 0.95 - 0.5 * target ** (8 + 4 * ways.index(way)) + 0.002 * seed,
         "sparsity": target, "kept_bytes": 1250 + 40_000 * (1 - target), "kept_macs": 1e6 * (1 - target),
         "latency_ms": 0.2 + seed / 1000}
        for way in ways for threshold in thresholds for target in targets for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(member=range(len(rows)), scope="global", schedule="cubic")


WEIGHTS = torch.linspace(-1, 1, 100).view(10, 10)
FLAT = FlatGradients(torch.linspace(-2, 3, 101), ("a.weight", "a.bias"), (0, 100, 101), (WEIGHTS, torch.ones(1)))
LANES = lanes(FLAT, [5.0, 9.0, 30.0])
PLACES = {lane.name: len(lane.thresholds) // 2 for lane in LANES if not lane.why}
PATHS = [cliff.descend(way, 1.0, 0.25) for way in cliff.WAYS]
MANY = results(ways=("Magnitude", "LAMP", "Taylor", "Random"), seeds=1, targets=np.linspace(0, 0.99, 2500))

CURVE = Picture("curve", ("accuracy",), "Accuracy as more goes", "weights removed", "test accuracy", "%", scale="left")
DOTS = Picture("dots", ("accuracy",), "Accuracy of each arm", "test accuracy", line_name="better, right of here")


def claim_table(seeds: int = 3, shares: bool = False) -> pd.DataFrame:
    """A claim's measured figures: a baseline at 0, and an arm at three places."""
    places = (
        ("not pruned", "baseline", 0.01 if shares else 0.0),
        *(("pruned", "pruning", s) for s in (0.5, 0.9, 0.98)),
    )
    rows = [
        {"arm": arm, "idea": idea, "at": at, "seed": seed, "measure": measure, "unit": "", "run": f"{arm}{at}{seed}",
         "value": float(seed % 2) if shares else 0.97 - 0.4 * at**9 + 0.004 * seed}
        for arm, idea, at in places for seed in range(seeds) for measure in ("accuracy", "seconds")
    ]  # fmt: skip
    return pd.DataFrame(rows)


MEASURED = pd.DataFrame([
    {"name": name, "rate": rate, "seed": seed, "accuracy": 0.9 - 0.01 * seed - 0.1 * rate * (name == "plain")}
    for name in ("plain", "clipped") for rate in (0.01, 0.1, 1.0) for seed in range(3)
])  # fmt: skip
# figure -> ways to make its data; a figure that is not here fails test_every_figure_is_here
CASES: dict[str, list[Callable[[], Any]]] = {
    "loss_accuracy": [
        lambda: figures.loss_accuracy_data(history(), evals(), MARKS, STEPS),
        lambda: figures.loss_accuracy_data(history(0)),
        lambda: figures.loss_accuracy_data(history(1)),
    ],
    "gradient_norm": [
        lambda: figures.gradient_norm_data(history(), 0.5, MARKS, STEPS, start=1.0),
        lambda: figures.gradient_norm_data(history()),
        lambda: figures.gradient_norm_data(history(0)),
    ],
    "clipped_share": [lambda: figures.clipped_share_data(history()), lambda: figures.clipped_share_data(history(0))],
    "clip_curves": [
        *(lambda m=m: figures.clip_curves_data(LANES, PLACES, "value", m) for m in ("norm_after", "changed", "cosine")),
        lambda: figures.clip_curves_data(LANES, PLACES, "autoclip", "norm_after"),
        lambda: figures.clip_curves_data(LANES, PLACES, "per_sample", "changed"),
    ],
    "clip_histogram": [
        lambda: figures.clip_histogram_data(FLAT.values, FLAT.values.clamp(-1, 1), "By value at 1", 1.0, (0.1, 5.0)),
        lambda: figures.clip_histogram_data(np.zeros(5), np.zeros(5), "By norm at 1"),
    ],
    "clip_arrows": [
        lambda: figures.clip_arrows_data(LANES, PLACES, "value"),
        lambda: figures.clip_arrows_data(LANES, PLACES, "per_sample"),
    ],
    "clip_layers": [
        *(lambda s=s: figures.clip_layers_data(LANES, PLACES, FLAT.names, (100, 1), s) for s in ("changed", "turned")),
        lambda: figures.clip_layers_data(LANES, PLACES, FLAT.names, (100, 1), "left"),
        lambda: figures.clip_layers_data([], {}, FLAT.names, (100, 1), "left"),
    ],
    "cliff": [lambda: figures.cliff_data(PATHS), lambda: figures.cliff_data([])],
    "cliff_surface": [lambda: figures.cliff_surface_data(PATHS), lambda: figures.cliff_surface_data([])],
    "cliff_loss": [lambda: figures.cliff_loss_data(PATHS), lambda: figures.cliff_loss_data([])],
    "sparsity": [
        lambda: figures.sparsity_data(history(), [(0, 0.0), (500, 0.0), (2000, 0.9)], MARKS),
        lambda: figures.sparsity_data(history(0)),
    ],
    "weight_histogram": [
        lambda: figures.weight_histogram_data(layer()),
        lambda: figures.weight_histogram_split("all", (-1.0, 1.0), np.full(80, 10), 0.33),
    ],
    "gradient_histogram": [
        lambda: figures.gradient_histogram_data(layer()),
        lambda: figures.gradient_histogram_data(layer(), 1e-3),
    ],
    "layer_bars": [
        lambda: figures.layer_bars_data(SNAPSHOT, "fc1.weight"),
        lambda: figures.layer_bars_data([]),
        lambda: figures.layer_bars_data([{"name": f"l{i}", "numel": 9 + i, "sparsity": 0.5} for i in range(90)]),
    ],
    "layer_sensitivity": [
        lambda: figures.layer_sensitivity_data(CELLS, ["a", "b", "c"], (0.5, 0.9), dense=0.97, n=100, total=360),
        lambda: figures.layer_sensitivity_data([]),
        lambda: figures.layer_sensitivity_data([], ["a", "b"], (0.5, 0.9), dense=0.97),
        lambda: figures.layer_sensitivity_data([{**CELLS[0], "layer": f"l{i}", "weights": i} for i in range(90)]),
    ],
    "claim_curve": [
        lambda: figures.claim_curve_data(claim_table(), CURVE),
        lambda: figures.claim_curve_data(claim_table(seeds=1), CURVE),
        lambda: figures.claim_curve_data(claim_table(shares=True), replace(CURVE, interval="wilson", scale="log")),
        lambda: figures.claim_curve_data(claim_table().head(0), CURVE),
    ],
    "claim_dots": [
        lambda: figures.claim_dots_data(claim_table(), DOTS),
        lambda: figures.claim_dots_data(claim_table(), replace(DOTS, relative_to="not pruned", scale="log", line=0.9)),
        lambda: figures.claim_dots_data(claim_table(seeds=1), replace(DOTS, measures=("accuracy", "seconds"))),
        lambda: figures.claim_dots_data(claim_table().head(0), DOTS),
    ],
    "parallel": [
        lambda: figures.parallel_data(results()),
        lambda: figures.parallel_data(MANY, filters={"prune": Span(levels=("lamp",)), "accuracy": Span(low=0.9)}),
        lambda: figures.parallel_data(results(status="running")),
        lambda: figures.parallel_data(results(thresholds=(None, 0.1), seeds=1, targets=(0.5,))),
    ],
    "threshold_sparsity": [
        lambda: figures.threshold_sparsity_data(results(thresholds=(None, 0.1, 0.01))),
        lambda: figures.threshold_sparsity_data(results(status="queued")),
        lambda: figures.threshold_sparsity_data(MANY),
    ],
    "trade_off": [
        *(lambda cost=cost: figures.trade_off_data(results(), cost) for cost in COSTS),
        lambda: figures.trade_off_data(results(status="running")),
        lambda: figures.trade_off_data(MANY, "kept_bytes"),
        lambda: figures.trade_off_data(results(targets=(0.5,), seeds=1)),
    ],
    "mask_picture": [
        lambda: figures.mask_picture_data("fc1.weight", np.eye(10, 20, dtype=bool)),
        lambda: figures.mask_picture_data("conv.weight", np.ones((64, 32, 3, 3), dtype=bool)),
    ],
    "accuracy_sparsity": [
        lambda: figures.accuracy_sparsity_data(POINTS, dot=0.6, dot_low=0.9, dot_high=0.98, n=100, total=360),
        lambda: figures.accuracy_sparsity_data([]),
        lambda: figures.accuracy_sparsity_data([], dot=0.3),
    ],
    "race_progress": [
        lambda: figures.race_progress_data({i: run(i, i) for i in figures.IDEAS}, "accuracy", STEPS, MARKS),
        lambda: figures.race_progress_data({i: {**run(i, i), "diverged": True} for i in figures.IDEAS}, "loss"),
        lambda: figures.race_progress_data({"both": {"history": history(0), "evals": evals().iloc[:0]}}),
    ],
    "lane_histograms": [
        lambda: figures.lane_histograms_data("pruning", layer(), 400, None, [layer("fc1.weight", 150)]),
        lambda: figures.lane_histograms_data("clipping", layer(), 400, 1e-3),
    ],
    "decision_boundary": [
        lambda: figures.decision_boundary_data(boundary(2), np.zeros((50, 2)), LABELS, 12),
        lambda: figures.decision_boundary_data(boundary(3)),
    ],
    "overlay": [
        lambda: figures.overlay_data([run("a", "baseline"), run("b", "clipping"), run("c", "clipping")]),
        lambda: figures.overlay_data([run("a", "both"), run("b", "pruning")], "grad_norm_before"),
        lambda: figures.overlay_data([{"name": "a", "idea": "both", "history": history(0)}]),
    ],
    "curves": [
        lambda: figures.curves_data(
            MEASURED, "rate", "accuracy", title="Accuracy by learning rate", x_title="rate", y_title="accuracy",
            ideas={"plain": "baseline", "clipped": "clipping"}, now=0.1, log="x", percent="y",
        ),
        lambda: figures.curves_data(
            MEASURED, "accuracy", "rate", by="seed", title="One line for each seed", x_title="a", y_title="b", log="y",
        ),
        lambda: figures.curves_data(
            MEASURED[:0], "rate", "accuracy", title="Nothing is here yet", x_title="a", y_title="b"
        ),
        lambda: figures.curves_data(
            POINTS, "sparsity", "accuracy", by="low", title="Accuracy by sparsity", x_title="removed", y_title="share",
            now=0.9, percent="y", sparsity=True,
        ),
    ],
}  # fmt: skip
CASES |= PROBED
EVERY = [(name, number) for name, cases in CASES.items() for number in range(len(cases))]


def test_every_figure_is_here() -> None:
    drawn = {name.removeprefix("draw_") for name in figures.__all__ if name.startswith("draw_")}
    assert drawn == set(CASES)
    for name in drawn:
        assert callable(getattr(figures, f"{name}_data")) and callable(getattr(figures, f"alt_{name}"))


@pytest.mark.parametrize(("name", "number"), EVERY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figure_keeps_the_contract(name: str, number: int, theme: figures.Theme) -> None:
    data = CASES[name][number]()
    draw = getattr(figures, f"draw_{name}")
    figure = draw(data, theme)
    assert isinstance(figure, go.Figure)  # Plotly has validated every property
    plain = json.loads(figure.to_json())
    layout = plain["layout"]
    assert len(layout["title"]["text"]) >= 15
    assert layout["xaxis"]["title"]["text"]
    assert layout["yaxis"]["title"]["text"] or name == "layer_bars"  # there the layers' names are the axis
    assert layout["uirevision"] == "keep" and 150 <= layout["height"] <= 1400
    assert layout["meta"]["theme"] == theme
    words = getattr(figures, f"alt_{name}")(data) if plain["data"] else layout["meta"]["alt"]
    assert layout["meta"]["alt"] == words and len(words) > 20 and "nan" not in words
    own, other = (LIGHT, DARK) if theme == "light" else (DARK, LIGHT)
    text = json.dumps(plain["data"]) + json.dumps(layout.get("shapes", []))
    assert not any(other.idea(idea) in text for idea in figures.IDEAS)
    assert own.ink in json.dumps(layout["template"])
    for trace in plain["data"]:
        assert length(trace.get("x")) <= 1002
        assert trace["name"]


def length(values: Any) -> int:
    if isinstance(values, dict):  # a typed array
        return len(values["bdata"]) * 3 // 4 // np.dtype(values["dtype"]).itemsize
    return len(values or ())


@pytest.mark.parametrize(("name", "number"), EVERY)
def test_plain_form_is_the_same_figure(name: str, number: int) -> None:
    data = CASES[name][number]()
    draw = getattr(figures, f"draw_{name}")
    plain = draw.plain(data)
    assert "template" not in plain["layout"]
    rebuilt = go.Figure(plain).update_layout(template=figures.template("light"))
    assert rebuilt.to_json() == draw(data).to_json()


def test_one_file_a_figure_and_only_figures_import_plotly() -> None:
    package = Path(figures.__file__).parent
    for name in CASES:
        tree = ast.parse((package / f"{name}.py").read_text(encoding="utf-8"))
        made = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {f"{name}_data", f"draw_{name}", f"alt_{name}"} <= made


def test_unknown_theme_is_refused() -> None:
    with pytest.raises(Exception, match="'light' or 'dark'"):
        figures.draw_sparsity(figures.sparsity_data(history(3)), "sepia")  # type: ignore[arg-type]
