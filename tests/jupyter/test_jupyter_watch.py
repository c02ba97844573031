"""Watching a run in a notebook: charts follow it in place, buttons and sliders steer it, nothing stays behind."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import prune_core as pc
from prune_core.errors import ConfigError
from prune_core.jobs.handle import RunHandle
from prune_core.jupyter import Watch, watch, watching
from prune_core.tracking import Store, execute

EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=200), model=pc.MLP(width=8), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.Cubic(final=0.5, start=5, stop=15)), train=pc.Training(steps=1_000_000),
)  # fmt: skip


@pytest.fixture
def handle(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunHandle]:
    """A run that a thread trains, held after its third step, as it would be in a worker."""
    monkeypatch.setattr(watching, "TICK_S", 0.05)
    store = Store()
    run_id = store.create(EXPERIMENT)
    store.send(run_id, "step", 3)
    thread = threading.Thread(target=execute, args=(store, run_id))
    thread.start()
    run = RunHandle(run_id, store, lambda: None)
    until(lambda: run.status == "paused" and run.record.step == 3)
    yield run
    with contextlib.suppress(ConfigError):  # it has ended
        run.stop()
    thread.join()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def drawn(shown: Watch) -> int:
    return int(max(max(t.x, default=0) for t in shown.figures["sparsity"].data if t.x is not None and len(t.x)))


def test_the_charts_follow_in_place_and_the_buttons_steer(handle: RunHandle) -> None:
    shown = watch(handle)
    assert set(shown.figures) == {"learning", "norms", "clipped", "sparsity"}
    assert shown.status.startswith("paused: step 3 of")
    before = {name: id(figure) for name, figure in shown.figures.items()}
    pause, step, stop = shown._buttons
    assert pause.description == "Resume"
    step.click()
    until(lambda: drawn(shown) == 4)
    assert {name: id(figure) for name, figure in shown.figures.items()} == before, "no chart was made anew"
    pause.click()
    until(lambda: drawn(shown) > 20 and pause.description == "Pause")
    shown.sliders["clip_threshold"].value = 0.1
    until(lambda: "clip_threshold" in set(handle.marks()["field"]))
    assert handle.marks()["value"].iloc[-1] == pytest.approx(0.1)
    stop.click()
    until(lambda: shown.status.startswith("stopped") and not shown.watching)
    assert all(button.disabled for button in shown._buttons)


def test_what_cannot_be_done_is_said(handle: RunHandle) -> None:
    shown = watch(handle)
    shown._do(handle.set, sparsity=1.5)
    assert "less than 1, got 1.5" in shown._said.value
    shown._do(handle.set, sparsity=0.4)
    assert shown._said.value == ""
    shown.close()
    assert not shown.watching and handle.status == "paused", "the run goes on without its watcher"


def test_a_cell_that_is_run_again_leaves_no_thread_behind(handle: RunHandle) -> None:
    shown = watch(handle)
    thread = shown._thread
    shown.box.close_all()
    del shown
    gc.collect()
    until(lambda: not thread.is_alive())


def test_without_widgets_it_says_what_to_install(handle: RunHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ConfigError, match="pip install ipywidgets anywidget"):
        watch(handle)
