"""One reader a run for everybody; what pages get is ready, bounded, and never half of something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_core.clipping import ValueClip
from prune_core.data import Digits
from prune_core.errors import RunNotFoundError, StoreUnavailableError
from prune_core.events import EvalEvent, InterventionEvent
from prune_core.experiment import Experiment, Training
from prune_core.models import SmallCNN
from prune_core.tracking import Store
from prune_ui import live
from prune_ui.live import LiveFeed

TOKEN = "token"


class Counted:
    """A store that counts its reads and can be made to fail."""

    def __init__(self, store: Store) -> None:
        self.store, self.reads, self.error = store, 0, ""

    def live(self, run_id: str, since: Any = None) -> Any:
        self.reads += 1
        if self.error:
            raise StoreUnavailableError(self.error)
        return self.store.live(run_id, since)


@pytest.fixture
def store(home: Path) -> Iterator[Counted]:
    opened = Store()
    yield Counted(opened)
    opened.close()


@pytest.fixture
def feed(store: Counted) -> LiveFeed:
    return LiveFeed(lambda: store, tick=0.02)  # type: ignore[return-value, arg-type]


def experiment(steps: int = 100) -> Experiment:
    return Experiment(data=Digits(), model=SmallCNN(), clip=ValueClip(), train=Training(steps=steps))


def start(store: Counted, steps: int = 100) -> str:
    run_id = store.store.create(experiment(steps))
    assert store.store.claim(run_id, TOKEN)
    return run_id


def rows(first: int, last: int, clipped: float = 0.5) -> np.ndarray:
    """Steps first..last; loss is 1/step."""
    step = np.arange(first, last + 1, dtype=float)
    ones = np.ones_like(step)
    return np.stack([step, 1 / step, ones, ones, clipped * ones, ones, 0.1 * ones, 0 * ones], axis=1)


def until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_a_run_that_waits_has_a_place_and_no_points(store: Counted, feed: LiveFeed) -> None:
    first, second = store.store.create(experiment()), store.store.create(experiment())
    assert (feed.get(first).position, feed.get(second).position) == (1, 2)
    run = feed.get(second)
    assert run.active and run.last == {} and run.step == 0 and run.snapshot is None
    assert list(run.evals.columns)[:4] == ["step", "accuracy", "loss", "n"]


def test_what_is_new_arrives_without_the_page_reading(store: Counted, feed: LiveFeed) -> None:
    run_id = start(store)
    assert feed.get(run_id).step == 0
    store.store.append(run_id, TOKEN, steps=rows(1, 10), evals=[EvalEvent(10, 0.5, 1.0, 100, (0.5,) * 10)])
    until(lambda: feed.get(run_id).step == 10, "steps")
    store.store.append(run_id, TOKEN, steps=rows(11, 20, clipped=0.1))
    store.store.append(run_id, TOKEN, marks=[InterventionEvent(15, "clip_threshold", 0.3, "page")])
    until(lambda: len(feed.get(run_id).marks) == 1, "mark")
    run = feed.get(run_id)
    assert run.history["step"].tolist() == list(range(1, 21))
    assert run.last["loss"] == pytest.approx(1 / 20)
    assert run.means["clipped"] == pytest.approx(0.3)  # (10 · 0.5 + 10 · 0.1) / 20
    assert run.evals["accuracy"].tolist() == [0.5]
    assert run.marks["value"].tolist() == [0.3]


def test_many_who_watch_cost_one_read_a_tick(store: Counted, feed: LiveFeed) -> None:
    run_id = start(store)
    feed.get(run_id)
    began, before = time.monotonic(), store.reads

    def watch() -> None:
        for _ in range(100):
            feed.get(run_id)
            time.sleep(0.001)

    people = [threading.Thread(target=watch) for _ in range(8)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    ticks = (time.monotonic() - began) / 0.02
    assert store.reads - before <= ticks + 2  # 800 looks


def test_a_snapshot_never_changes_and_nothing_new_means_no_new_one(store: Counted, feed: LiveFeed) -> None:
    run_id = start(store)
    store.store.append(run_id, TOKEN, steps=rows(1, 5))
    run = feed.get(run_id)
    made = run.made("x", lambda r: object())
    assert run.made("x", lambda r: object()) is made
    for _ in range(3):
        assert feed.get(run_id, now=True) is run
    store.store.append(run_id, TOKEN, steps=rows(6, 6))
    later = feed.get(run_id, now=True)
    assert later is not run and later.version > run.version and len(run.history) == 5
    assert later.made("x", lambda r: object()) is not made


def test_the_thread_ends_when_nobody_watches(store: Counted, feed: LiveFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "UNWATCHED_S", 0.1)
    run_id = start(store)
    feed.get(run_id)
    assert feed.running
    until(lambda: not feed.running, "thread ends")
    feed.get(run_id)
    assert feed.running
    store.store.finish(run_id, TOKEN, "finished", "all steps made", {})
    until(lambda: not feed.running, "thread ends with the run")
    assert feed.get(run_id).record.status == "finished"


def test_an_ended_run_is_read_once_and_seen_again_when_it_goes_on(
    store: Counted, feed: LiveFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(store)
    store.store.append(run_id, TOKEN, steps=rows(1, 30), checkpoint=20)
    store.store.finish(run_id, TOKEN, "failed", "out of memory", {})
    assert feed.get(run_id).step == 30
    before = store.reads
    for _ in range(20):
        feed.get(run_id)
    assert store.reads == before
    store.store.requeue(run_id)
    monkeypatch.setattr(live, "CHECK_S", 0.0)
    again = feed.get(run_id)
    assert again.record.status == "queued" and again.record.attempt == 2
    assert again.history["step"].tolist() == list(range(1, 21))  # what came after the checkpoint is gone
    assert again.means["clipped"] == pytest.approx(0.5)


def test_a_long_run_stays_bounded_and_keeps_its_extremes(
    store: Counted, feed: LiveFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_ROWS", 2000)
    run_id = start(store, 10_000)
    feed.get(run_id)
    for first in range(1, 6001, 500):
        part = rows(first, first + 499)
        if first == 2501:
            part[100, 1] = 77.0  # a spike in the loss
        store.store.append(run_id, TOKEN, steps=part)
        feed.get(run_id, now=True)
    run = feed.get(run_id)
    assert len(run.history) <= 2000
    assert run.history["loss"].max() == 77.0 and run.step == 6000 and run.history["step"].iloc[0] == 1
    assert run.history["step"].is_monotonic_increasing
    assert run.means["clipped"] == pytest.approx(0.5)


def test_numbers_that_are_not_finite_do_not_spoil_the_means(store: Counted, feed: LiveFeed) -> None:
    run_id = start(store)
    part = rows(1, 4)
    part[3, 1:6] = np.nan
    store.store.append(run_id, TOKEN, steps=part)
    assert feed.get(run_id).means == pytest.approx({"clipped": 0.5, "cosine": 1.0})


def test_a_store_that_is_away_leaves_what_is_known_and_says_so(store: Counted, feed: LiveFeed) -> None:
    run_id = start(store)
    store.store.append(run_id, TOKEN, steps=rows(1, 3))
    assert feed.get(run_id).step == 3
    store.error = "The store is locked."
    run = feed.get(run_id, now=True)
    assert run.problem == "The store is locked." and run.step == 3
    store.error = ""
    assert feed.get(run_id, now=True).problem == ""


def test_a_run_that_is_not_there_raises_and_leaves_nothing_behind(store: Counted, feed: LiveFeed) -> None:
    for _ in range(2):
        with pytest.raises(RunNotFoundError, match="nope"):
            feed.get("nope")
    store.error = "The store is away."
    run_id = store.store.create(experiment())
    with pytest.raises(StoreUnavailableError, match="away"):
        feed.get(run_id)
    store.error = ""
    assert feed.get(run_id).record.status == "queued"


def test_speed_and_time_left_come_from_what_was_seen(store: Counted, feed: LiveFeed) -> None:
    run_id = start(store, steps=1000)
    store.store.append(run_id, TOKEN, steps=rows(1, 10))
    feed.get(run_id)
    assert feed.get(run_id).rate is None and feed.get(run_id).seconds_left is None
    time.sleep(0.6)
    store.store.append(run_id, TOKEN, steps=rows(11, 70))
    run = feed.get(run_id, now=True)
    assert run.rate is not None and 0 < run.rate <= 100
    assert run.seconds_left == pytest.approx(930 / run.rate)


def test_memory_is_bounded(store: Counted, feed: LiveFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_RUNS", 3)
    for run_id in [store.store.create(experiment()) for _ in range(6)]:
        feed.get(run_id)
    assert len(feed._readers) == 3
