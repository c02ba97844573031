from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest
from lab_test_tools import until

import prune_core as pc
from prune_core.jobs import Lab

Make = Callable[..., pc.Experiment]


def pid_of(lab: Lab, run_id: str) -> int:
    """The worker process that trains a run."""
    frame = lab.workers()
    return int(frame.loc[frame["run"] == run_id, "pid"].item())


def running(lab: Lab, experiment: pc.Experiment, **more: str) -> pc.jobs.RunHandle:
    handle = lab.launch(experiment, **more)
    until(lambda: handle.status == "running" and handle.record.step > 0, f"{handle} makes steps")
    return handle


def test_a_run_is_what_it_is_in_this_process(lab):
    exp = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=30, seed=3, device="cpu"))
    handle = lab.launch(exp, name="same")
    assert handle.wait(60) == "finished"
    assert handle.record.digest == exp.digest
    here = pc.run(exp, progress=False)
    assert handle.history()["loss"].tolist() == here.history["loss"].tolist()


def test_two_runs_train_at_once(lab, experiment: Make):
    first, second = running(lab, experiment()), running(lab, experiment())
    assert first.status == second.status == "running"
    assert pid_of(lab, first.id) != pid_of(lab, second.id)


def test_a_run_is_steered(lab, experiment: Make):
    handle = running(lab, experiment())
    handle.pause()
    until(lambda: handle.status == "paused", "it holds")
    held = handle.record.step
    handle.step(2)
    until(lambda: handle.record.step == held + 2, "it makes two steps")
    handle.set(lr=0.5, sender="a test")
    handle.resume()
    until(lambda: handle.record.step > held + 4, "it goes on")
    handle.stop()
    assert handle.wait(30) == "stopped"
    history = handle.history().set_index("step")
    assert history["lr"].loc[held + 2] == pytest.approx(0.1)
    assert history["lr"].loc[held + 4] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"lr": -1.0}, "lr"), ({"clip_threshold": 0.1}, "does not clip"), ({"sparsity": 0.5}, "does not prune")],
)
def test_a_change_out_of_bounds_is_refused_at_once(lab, experiment: Make, change, sentence):
    handle = running(lab, experiment())
    with pytest.raises(pc.ConfigError, match=sentence):
        handle.set(**change)


def test_a_run_that_has_ended_cannot_be_steered(lab, experiment: Make):
    handle = lab.launch(experiment(steps=1))
    handle.wait(30)
    with pytest.raises(pc.ConfigError, match="it has ended"):
        handle.pause()


def test_a_killed_worker_takes_its_own_run_only(lab, experiment: Make):
    victim, other = running(lab, experiment()), running(lab, experiment())
    psutil.Process(pid_of(lab, victim.id)).kill()
    assert victim.wait(30) == "failed"
    assert "worker process died" in victim.record.reason
    assert victim.record.publishing == "waiting"  # what it did until then goes to MLflow like any other run
    assert other.status == "running"
    other.stop()
    other.wait(30)
    # the pool fills up again
    assert {lab.launch(experiment(steps=2)).wait(60) for _ in range(2)} == {"finished"}
    until(lambda: len(lab.workers()) == 3, "there are three workers again")


def test_a_killed_run_goes_on_from_its_checkpoint(lab, experiment: Make):
    handle = running(lab, experiment(steps=400))
    handle.pause()  # writes a checkpoint
    until(lambda: handle.status == "paused", "it holds")
    step = handle.record.step
    psutil.Process(pid_of(lab, handle.id)).kill()
    assert handle.wait(30) == "failed"
    handle.retry()
    until(lambda: handle.record.step > step, "it goes on")
    assert handle.record.attempt == 2
    assert handle.history()["step"].tolist() == list(range(1, len(handle.history()) + 1))


@pytest.mark.parametrize("leave", [False, True])
def test_code_that_fails_fails_the_run_and_not_the_worker(lab, experiment: Make, leave):
    before = set(lab.workers()["pid"])
    handle = lab.launch(experiment(model="test_failing", leave=leave))
    assert handle.wait(30) == "failed"
    assert ("SystemExit" if leave else "the sky is falling") in handle.record.reason
    assert "\n" not in handle.record.reason
    assert set(lab.workers()["pid"]) == before


def test_the_queue_is_fair_and_says_so(lab, experiment: Make):
    running(lab, experiment(), owner="ann"), running(lab, experiment(), owner="ann")
    ann = [lab.launch(experiment(steps=1), owner="ann").id for _ in range(3)]
    bob = [lab.launch(experiment(steps=1), owner="bob").id for _ in range(2)]
    queue = lab.queue()
    # ann has two at work, so both of bob's first runs go before her third
    assert queue["id"].tolist() == [bob[0], bob[1], *ann]
    assert queue["position"].tolist() == [1, 2, 3, 4, 5]


def test_a_waiting_run_is_cancelled_at_once(lab, experiment: Make):
    first = [running(lab, experiment()) for _ in range(2)]
    waiting, next_one = lab.launch(experiment()), lab.launch(experiment(steps=1))
    waiting.cancel()
    assert waiting.status == "cancelled"
    assert lab.queue()["id"].tolist() == [next_one.id]
    first[0].stop()
    assert next_one.wait(30) == "finished"
    assert waiting.record.started is None
    assert waiting.record.publishing == ""  # it has nothing to publish


def test_only_its_owner_cancels_a_run(lab, experiment: Make):
    handle = running(lab, experiment(), owner="ann")
    with pytest.raises(pc.LabError, match=r"ann|own"):
        handle.cancel(owner="bob")
    assert handle.status == "running"


@pytest.mark.slow
def test_a_run_that_does_not_listen_loses_its_process(lab, experiment: Make):
    other = running(lab, experiment())
    deaf = lab.launch(experiment(seconds=600.0))
    until(lambda: deaf.status == "running", "it runs")
    pid = pid_of(lab, deaf.id)
    deaf.stop()
    assert deaf.wait(30) == "stopped"
    assert "process was ended" in deaf.record.reason
    until(lambda: not psutil.pid_exists(pid), "its process is gone")
    assert other.status == "running"


def test_a_part_that_workers_cannot_know_is_refused(lab):
    class Mine(pc.MLP):
        """Not in any module of the lab."""

    with pytest.raises(pc.ConfigError, match=r"Mine is defined in .*, which worker processes do not import"):
        lab.launch(pc.Experiment(data=pc.Digits(), model=Mine()))


def test_an_unknown_run_is_a_sentence(lab):
    with pytest.raises(pc.RunNotFoundError):
        lab.handle("nothing")
