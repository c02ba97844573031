"""Races on the engine: one worker, four runs, steered as one; each recorded as the run that it is alone."""

from __future__ import annotations

import psutil
import pytest
from lab_test_tools import until

import prune_core as pc
from prune_core.events import ENDED
from prune_core.jobs import Lab, RaceHandle
from prune_core.measuring import count_parameters, macs, stored_bytes
from prune_core.models import ModelSource

LONG = 50_000


def both(model: ModelSource | None = None, steps: int = LONG, **train: object) -> pc.Experiment:
    settings = {"steps": steps, "eval_every": 100_000, "snapshot_every": 20, "device": "cpu"} | train
    return pc.Experiment(
        data=pc.Digits(), model=model or pc.MLP(), clip=pc.ValueClip(threshold=0.01),
        prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=4)), train=pc.Training(**settings),
    )  # fmt: skip


def going(lab: Lab, experiment: pc.Experiment, owner: str = "") -> RaceHandle:
    race = lab.race(experiment, owner=owner)
    until(lambda: min(r.step for r in race.records.values()) > 8, f"{race} makes steps")
    return race


def steps(race: RaceHandle) -> list[int]:
    return [record.step for record in race.records.values()]


def end(race: RaceHandle) -> None:
    race.stop()
    race.wait(30)


def test_each_lane_is_recorded_as_its_run_alone_and_costs_what_is_measured(lab):
    experiment = both(steps=30, seed=3)
    race = lab.race(experiment, name="Mine")
    assert set(race.wait(60).values()) == {"finished"}
    for lane, alone in pc.lanes_of(experiment).items():
        record, here = race.records[lane], pc.run(alone, progress=False)
        assert (record.name, record.digest, record.parent) == (f"Mine: {lane}", alone.digest, race.id)
        assert race.lanes[lane].history()["loss"].tolist() == here.history["loss"].tolist()
        assert record.accuracy == here.accuracy
        count = count_parameters(here.model, here.masks)
        kept_macs = macs(here.model, (1, 8, 8), here.masks).effective
        found = {name: record.summary[name] for name in ("parameters", "nonzero", "kept_bytes", "kept_macs")}
        assert found == {
            "parameters": count.total, "nonzero": count.nonzero,
            "kept_bytes": stored_bytes(here.model, here.masks)[1], "kept_macs": kept_macs,
        }  # fmt: skip
        assert record.publishing == "", "of many runs people publish those they want"
    with pytest.raises(pc.LabError, match="all its lanes have ended"):
        race.pause()


def test_a_race_has_one_worker_and_says_what_it_costs_while_it_goes(lab):
    race = going(lab, both())
    busy = lab.workers().query("state == 'busy'")
    assert len(busy) == 1 and {r.worker for r in race.records.values()} == set(busy["name"])
    until(lambda: all("nonzero" in r.summary for r in race.records.values()), "all lanes are measured")
    until(lambda: race.records["pruning"].summary["cost_step"] >= 4, "and again once masks have changed")
    left = {lane: r.summary["nonzero"] for lane, r in race.records.items()}
    total = race.records["baseline"].summary["parameters"]
    assert left["baseline"] == left["clipping"] == total
    assert left["pruning"] == left["both"] < 0.25 * total
    end(race)


def test_pause_holds_all_lanes_at_one_step_and_changes_count_from_one_step_on(lab):
    race = going(lab, both())
    race.pause()
    until(lambda: set(race.statuses.values()) == {"paused"}, "all hold")
    held = steps(race)
    assert len(set(held)) == 1
    race.step(3)
    until(lambda: steps(race) == [held[0] + 3] * 4, "all make three steps")
    race.set(clip_threshold=0.5, lr=0.02, sparsity=0.9, sender="a test")
    with pytest.raises(pc.ConfigError, match=r"less than 1, got 1\.5"):
        race.set(sparsity=1.5)
    marks = {"baseline": {"lr"}, "clipping": {"lr", "clip_threshold"}, "pruning": {"lr", "sparsity"},
             "both": {"lr", "clip_threshold", "sparsity"}}  # fmt: skip
    store = lab.store
    until(lambda: {n: set(store.marks(h.id)["field"]) for n, h in race.lanes.items()} == marks, "each takes its own")
    assert {int(s) for h in race.lanes.values() for s in store.marks(h.id)["step"]} == {held[0] + 4}
    race.pace(20)
    race.resume()
    until(lambda: min(steps(race)) > held[0] + 4, "it goes on, slowly")
    assert max(steps(race)) < held[0] + 500
    race.pace(None)
    until(lambda: min(steps(race)) > held[0] + 500, "and at full speed")
    race.lanes["pruning"].stop()
    assert race.lanes["pruning"].wait(30) == "stopped"
    at = race.records["clipping"].step
    until(lambda: race.records["clipping"].step > at, "the others go on")
    end(race)
    assert set(race.statuses.values()) == {"stopped"}


def test_a_killed_worker_fails_all_lanes_and_retry_resumes_them_as_a_race(lab):
    race = going(lab, both(steps=1200))
    race.pause()  # writes checkpoints
    until(lambda: set(race.statuses.values()) == {"paused"}, "all hold")
    until(lambda: all(r.checkpoint for r in race.records.values()), "all are saved")
    held = race.records["both"].checkpoint
    pid = next(int(w.pid) for w in lab.workers().itertuples() if w.run in {h.id for h in race.lanes.values()})
    psutil.Process(pid).kill()
    assert set(race.wait(30).values()) == {"failed"}
    race.retry()
    until(lambda: min(steps(race)) > held, "all go on")
    assert len({r.pid for r in race.records.values()}) == 1
    assert set(race.wait(90).values()) == {"finished"}
    alone = pc.run(pc.lanes_of(both(steps=1200))["both"], progress=False)
    assert race.records["both"].accuracy == alone.accuracy
    assert race.lanes["both"].history()["loss"].tolist() == alone.history["loss"].tolist()


def test_a_race_waits_as_one_and_counts_as_one(lab, experiment):
    held = [lab.launch(experiment(), owner=who) for who in ("ann", "bob")]
    until(lambda: all(h.status == "running" for h in held), "both workers are busy")
    mine = lab.race(both(steps=5), owner="ann")
    single = lab.launch(experiment(steps=1), owner="bob")
    queue = lab.queue()
    assert queue["id"].tolist() == [*(h.id for h in mine.lanes.values()), single.id]
    assert queue["position"].tolist() == [1, 1, 1, 1, 2]
    assert lab.store.turn(5) == [mine.lanes["baseline"].id, single.id]
    other = lab.race(both(steps=5), owner="ann")
    other.stop()
    assert set(other.statuses.values()) == {"cancelled"}
    held[0].stop()
    assert set(mine.wait(60).values()) == {"finished"}
    assert single.wait(60) in ENDED


def test_a_race_needs_both_ideas(lab):
    with pytest.raises(pc.ConfigError, match="clip must be set, got None"):
        lab.race(both().replace(clip=None))
    with pytest.raises(pc.RunNotFoundError, match="no race"):
        lab.race_handle("race-nothing")
