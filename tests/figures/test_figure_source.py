"""Figures of a run, of a result and of a plain history are the same figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prune_core as pc
from prune_core import figures
from prune_core.errors import ConfigError
from prune_core.jobs.handle import RunHandle
from prune_core.tracking import Store, execute

DATA = ("loss_accuracy_data", "gradient_norm_data", "clipped_share_data", "sparsity_data")
EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=200), model=pc.MLP(width=8), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.Cubic(final=0.5, start=5, stop=15)), train=pc.Training(steps=20),
)  # fmt: skip


@pytest.fixture
def handle(home: Path) -> RunHandle:
    store = Store()
    run_id = store.create(EXPERIMENT)
    store.send(run_id, "set:lr", 0.05)
    execute(store, run_id)
    return RunHandle(run_id, store, lambda: None)


def equal(a: Any, b: Any) -> bool:
    return all(np.array_equal(np.asarray(x, float), np.asarray(y, float), equal_nan=True) for x, y in _arrays(a, b))


def _arrays(a: Any, b: Any) -> list[tuple[Any, Any]]:
    pairs = [(getattr(a, n), getattr(b, n)) for n in a.__dataclass_fields__]
    return [(x, y) for x, y in pairs if isinstance(x, np.ndarray) and x.dtype.kind in "fiu"]


@pytest.mark.parametrize("name", DATA)
def test_a_run_and_its_result_are_drawn_alike(name: str, handle: RunHandle) -> None:
    data = getattr(figures, name)
    result = pc.run(EXPERIMENT, interventions=[pc.InterventionEvent(1, "lr", 0.05)], progress=False)
    of_run, of_result, of_frame = data(handle), data(result), data(result.history)
    assert _arrays(of_run, of_result), "there is something to compare"
    assert equal(of_result, of_frame)
    assert np.allclose(of_run.step, of_result.step)
    assert len(of_run.marks) == len(of_result.marks) == 1 and not len(of_frame.marks)
    assert of_run.steps == 20
    drawn = getattr(figures, name.replace("_data", "").join(("draw_", "")))
    # a run knows how many examples an accuracy is of, so its interval is drawn too
    assert {t.name for t in drawn(of_result).data} <= {t.name for t in drawn(of_run).data}


def test_what_the_caller_says_goes_first(handle: RunHandle) -> None:
    assert figures.sparsity_data(handle, steps=99).steps == 99
    assert not len(figures.gradient_norm_data(handle, marks=()).marks)


def test_what_has_no_history_is_said() -> None:
    with pytest.raises(ConfigError, match="got int, which has no history"):
        figures.sparsity_data(3)
