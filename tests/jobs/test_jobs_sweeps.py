"""Sweeps on the engine: whoever dies in the middle, all members are done once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from lab_processes import Other
from lab_test_tools import until

import prune_core as pc
from prune_core.claims import WORDS, ClippingPrunes
from prune_core.jobs import Lab
from prune_core.tracking import Trials

Make = Callable[..., pc.Experiment]
LOOKING = ClippingPrunes(model=pc.MLP(width=8), seeds=2, steps=20, thresholds=(0.01,), sparsity=0.5)

ASKER = """
import sys, time
sys.path.insert(0, sys.argv[2])
import lab_test_parts, prune_core as pc
from prune_core.jobs import Lab
from prune_core.tracking import Trials
exp = pc.Experiment(data=pc.Digits(), model=lab_test_parts.Slow(), train=pc.Training(steps=40, eval_every=10_000))
lab = Lab(home=sys.argv[1], workers=2)
trial = lab.trial(pc.Claim.from_dict(eval(sys.argv[3])), where="workers")
trial.sweep.wait(60)
sweep = lab.sweep(exp, {"train.seed": range(4)}, where="workers")
print(sweep.id, trial.id, Trials(lab.store).take(trial.id), flush=True)
time.sleep(600)
"""


def small(steps: int = 40) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(), model=pc.MLP(), prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=30)),
        train=pc.Training(steps=steps, eval_every=10, device="cpu"),
    )  # fmt: skip


def done_once(handle: pc.jobs.SweepHandle, n: int) -> None:
    found = handle.results()
    assert found["status"].tolist() == ["finished"] * n
    assert found["run"].nunique() == n
    assert found["accuracy"].notna().all()


def test_a_sweep_gives_what_it_gives_in_this_process(lab: Lab):
    grid = {"prune.criterion": [pc.Magnitude(), pc.Random()], "train.seed": [0, 1]}
    handle = lab.sweep(small(), grid, name="first", owner="ann", where="workers")
    assert handle.wait(60) == "finished"
    done_once(handle, 4)
    assert handle.results()["accuracy"].tolist() == [r.accuracy for r in pc.sweep(small(), grid, progress=False)]
    assert handle.record.estimate["shared"] == handle.cost().shared_runs == 2
    assert handle.cost().steps_shared == 4 * 29
    again = lab.sweep(small(), grid)
    assert again.wait(60) == "finished"
    assert again.progress.reused == 4
    listed = lab.sweeps(owner="ann")
    assert listed["id"].tolist() == [handle.id]


def test_a_killed_worker_costs_its_member_nothing(lab: Lab, experiment: Make):
    handle = lab.sweep(experiment(steps=60), {"train.seed": range(3)}, where="workers")
    until(lambda: handle.record.running == 2, "two members train")
    busy = lab.workers().query("state == 'busy' and role == 'train'")
    psutil.Process(int(busy["pid"].iloc[0])).kill()
    assert handle.wait(60) == "finished"
    done_once(handle, 3)


def test_a_sweep_and_a_trial_go_on_when_whoever_asked_for_them_is_killed(lab: Lab, started):
    claim = repr(LOOKING.to_dict())
    asker = Other(ASKER, str(started.home), str(Path(__file__).parent), claim, PRUNE_LAB_HOME=str(started.home))
    sweep_id, trial_id, token = asker.stdout.readline().split()
    trial = lab.trial_handle(trial_id)
    assert trial.state == "measuring"
    assert str(asker.pid) in trial.record.measured_by, "whoever asked is measuring it, and this process leaves it to it"
    asker.kill()
    assert trial.wait(60).verdict().word in WORDS
    assert not Trials(lab.store).beat(trial_id, token), "the one that died lost the right to say more"
    assert lab.trial(LOOKING).id == trial_id and lab.trials()["id"].tolist() == [trial_id]
    handle = lab.sweep_handle(sweep_id)
    assert handle.wait(60) == "finished"
    done_once(handle, 4)


def test_who_launches_in_mid_sweep_waits_for_no_more_than_what_has_begun(lab: Lab, experiment: Make):
    """Whose turn is next is looked up ahead; that must hold up nobody who comes in between."""
    handle = lab.sweep(experiment(steps=5), {"train.seed": range(40)}, owner="ann", where="workers")
    until(lambda: handle.record.done >= 2, "it goes")
    run = lab.launch(experiment(steps=6), owner="bob", priority=1)
    assert run.wait(60) == "finished"
    mine = lab.store.run(run.id)
    others = [lab.store.run(i) for i in handle.results()["run"] if i]
    before = [one.id for one in others if one.started and mine.created < one.started < mine.started]
    assert len(before) <= 2, "only what the two workers were just given"
    assert handle.wait(60) == "finished"
    done_once(handle, 40)


def test_stop_keeps_what_is_done_and_resume_goes_on(lab: Lab, experiment: Make):
    handle = lab.sweep(experiment(steps=50), {"train.seed": range(4)}, where="workers")
    until(lambda: handle.record.done >= 1 and handle.record.running, "one is done, others train")
    handle.stop()
    done = handle.record.done
    until(lambda: not handle.record.running, "what trained has stopped")
    assert handle.status == "stopped"
    assert 1 <= done < 4
    handle.resume()
    assert handle.wait(60) == "finished"
    done_once(handle, 4)


def test_hopeless_members_are_stopped_in_mid_run(lab: Lab):
    exp = small(4000).with_(prune=None, **{"train.eval_every": 20})
    space = [{"train.lr": 0.1}, *({"train.lr": 1e-6 * i} for i in range(1, 4))]
    handle = lab.sweep(exp, space, halving=pc.Halving(min_steps=20, factor=2), where="workers")
    assert handle.wait(90) == "finished"
    found = handle.results()
    stopped = found[found["status"] == "stopped"]
    assert len(stopped) >= 1
    assert stopped["note"].str.contains("successive halving").all()
    assert found["status"].iloc[0] == "finished", "the best of all at every rung"
    assert handle.cost().steps_stopped > 0


def test_a_search_tries_what_the_runs_before_it_suggest(lab: Lab):
    space = pc.Search(
        vary={
            "prune.layer_sparsity.*": pc.Uniform(low=0.1, high=0.95),
            "prune.criterion": [pc.Magnitude(), pc.Random()],
        },
        objectives=("accuracy", "kept_bytes"),
        trials=5,
    )
    handle = lab.sweep(small(), space, where="workers")
    assert handle.wait(90) == "finished"
    found = handle.results()
    done_once(handle, 5)
    by_share = found.sort_values("prune.layer_sparsity.*")["kept_bytes"]
    assert by_share.is_monotonic_decreasing, "the more goes, the fewer bytes are left"


def test_a_tiny_sweep_runs_here_without_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PRUNE_LAB_HOME", str(tmp_path))
    lab = Lab(home=tmp_path)
    handle = lab.sweep(small(), {"train.seed": [0, 1]}, where="here")
    assert handle.status == "finished"
    done_once(handle, 2)
    assert lab._place.read() is None, "no engine was started"


def test_a_mistake_in_one_member_starts_nothing(lab: Lab):
    before = len(lab.sweeps())
    with pytest.raises(pc.ConfigError, match="Combination 2 of 2"):
        lab.sweep(small(), {"prune.schedule.final": [0.5, 2]})
    assert len(lab.sweeps()) == before
