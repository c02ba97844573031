"""Races in the store: four runs in one transaction, told and queued again together, repeated with other seeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import prune_core as pc
from prune_core.comparing import race_finding
from prune_core.measuring import stored_bytes
from prune_core.tracking import (
    SAMPLE_RACE,
    Races,
    Store,
    execute,
    execute_race,
    race_table,
    repeat_space,
    repeats,
)
from prune_core.tracking.costs import Costs
from prune_core.training import LANES, RACE_PRESETS
from prune_core.training.state import RunState
from prune_core.training.stream import events


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{home}/lab.db")
    yield made
    made.close()


def both(steps: int = 12, seed: int = 0) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(), model=pc.MLP(), clip=pc.ValueClip(threshold=0.001),
        prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=4)),
        train=pc.Training(steps=steps, seed=seed, eval_every=4, snapshot_every=4, device="cpu"),
    )  # fmt: skip


def run(store: Store, experiment: pc.Experiment) -> str:
    race = Races(store).create(experiment)
    execute_race(store, race, list(Races(store).lanes(race).values()))
    return race


def test_the_sentence_is_recomputed_from_the_runs_themselves(store: Store) -> None:
    """Every number once from the store and once from runs in this process that no store has seen."""
    race = run(store, both())
    found = race_finding(race_table(store, Races(store).lanes(race).values()))
    alone = {lane: pc.run(one, progress=False) for lane, one in pc.lanes_of(both()).items()}
    zeros = {n: sum(int((p == 0).sum()) for p in r.model.parameters()) for n, r in alone.items()}
    assert (found.lost_clipping, found.lost_pruning) == (zeros["clipping"], zeros["pruning"])
    assert zeros["clipping"] == 0 < zeros["pruning"]
    assert found.parameters == sum(p.numel() for p in alone["baseline"].model.parameters())
    assert found.clipped.mean == pytest.approx(alone["clipping"].history["clipped"].mean(), rel=1e-6)
    assert found.cost_pruning.mean == pytest.approx(alone["baseline"].accuracy - alone["pruning"].accuracy)


def test_repeats_are_found_by_digest_and_nothing_else_is(store: Store) -> None:
    experiment = both()
    assert repeats(store, experiment).total == 16 == len(repeat_space(experiment))
    points = [experiment.with_(**changes) for changes in repeat_space(experiment)]
    assert {p.digest for p in points[:4]} == {e.digest for e in pc.lanes_of(both(seed=1)).values()}
    for one in points[:5]:
        execute(store, store.create(one))
    store.create(points[5])
    touched = store.create(points[6])
    store.send(touched, "set:lr", 0.01)
    execute(store, touched)
    found = repeats(store, experiment)
    assert set(found.done) == {(1, lane) for lane in LANES} | {(2, "baseline")}
    assert found.going == 1
    race = run(store, experiment)
    rows = pd.concat([race_table(store, ids) for ids in (Races(store).lanes(race).values(), found.done.values())])
    assert race_finding(rows).seeds == (0, 1), "a seed of which one lane is done does not count yet"


def test_costs_are_measured_again_where_masks_changed_and_change_no_number() -> None:
    experiment = both()
    state = RunState(experiment)
    costs, said = Costs(state), []
    for event in events(state, pc.Control()):
        costs._due = 0.0  # as if there were time
        if found := costs.after(event):
            said.append(found)
            assert found["kept_bytes"] == stored_bytes(state.model, state.masks.masks)[1]
    assert [one["cost_step"] for one in said] == [0, 4]
    assert said[0]["nonzero"] == said[0]["parameters"] > said[1]["nonzero"]
    assert said[0]["kept_macs"] == said[0]["macs"] > said[1]["kept_macs"] and said[0]["dense_bytes"] > 0
    alone = pc.run(experiment, progress=False)
    assert alone.history["loss"].tolist() == state.rows[:, 0].double().tolist()


def test_what_waits_together_is_told_and_cancelled_together(store: Store) -> None:
    races = Races(store)
    race = races.create(both(), name="Mine", owner="ann")
    lanes = races.lanes(race)
    assert [store.run(i).name for i in lanes.values()] == [f"Mine: {lane}" for lane in LANES]
    other = store.create(both(), owner="ann")
    assert store.together(other) == ("", [other])
    assert store.together(lanes["both"]) == (race, list(lanes.values()))
    assert store.turn(2) == [lanes["baseline"], other]
    with pytest.raises(pc.UnknownNameError):
        races.send(race, "dance")
    races.cancel(race)
    assert {store.run(i).status for i in lanes.values()} == {"cancelled"}
    with pytest.raises(pc.StoreError, match="all its lanes have ended"):
        races.send(race, "pause")
    assert races.requeue(race) == list(lanes.values())
    assert races.send(race, "stop") > 0
    assert set(execute_race(store, race, list(lanes.values())).values()) == {"stopped"}
    assert {store.run(i).step for i in lanes.values()} == {0}, "what it was told while it waited counts from the start"
    store.delete(lanes.values())
    with pytest.raises(pc.RunNotFoundError):
        races.lanes(race)


def test_one_lane_that_fails_takes_no_other_with_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from prune_core.tracking import executing

    made, race = executing._state_of, Races(store).create(both())
    lanes = Races(store).lanes(race)

    def broken(store: Store, record: object, token: str) -> RunState:
        if record.id == lanes["pruning"]:  # type: ignore[attr-defined]
            raise RuntimeError("no luck")
        return made(store, record, token)  # type: ignore[arg-type]

    monkeypatch.setattr(executing, "_state_of", broken)
    outcomes = execute_race(store, race, list(lanes.values()))
    assert [outcomes[i] for i in lanes.values()] == ["finished", "finished", "failed", "finished"]
    assert "no luck" in store.run(lanes["pruning"]).reason


def test_a_race_that_is_broken_off_leaves_no_lane_at_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from prune_core.tracking import executing

    def interrupted(*_: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(executing, "lockstep", interrupted)
    race = Races(store).create(both())
    lanes = Races(store).lanes(race)
    with pytest.raises(KeyboardInterrupt):
        execute_race(store, race, list(lanes.values()))
    assert {(store.run(i).status, store.run(i).reason) for i in lanes.values()} == {("stopped", "its race was ended")}


def test_the_sample_race_is_the_default_one_and_whole(store: Store) -> None:
    lanes = Races(store).lanes(SAMPLE_RACE)
    assert list(lanes) == list(LANES)
    made = pc.lanes_of(RACE_PRESETS[0].experiment)
    assert {lane: store.run(i).digest for lane, i in lanes.items()} == {n: e.digest for n, e in made.items()}
    assert not set(lanes.values()) & {r.id for r in store.samples()}, "other pages show single runs"
    found = race_finding(race_table(store, lanes.values()))
    assert found.lost_clipping == 0 < found.lost_pruning and found.n == 1
    assert all(store.snapshot(i) is not None for i in lanes.values())


@pytest.mark.parametrize("preset", RACE_PRESETS, ids=lambda preset: preset.name)
def test_every_preset_is_a_race_of_four(preset: object) -> None:
    assert len({one.digest for one in pc.lanes_of(preset.experiment).values()}) == 4  # type: ignore[attr-defined]
