"""Two runs of one experiment at once, one of them killed in the middle: both end bitwise equal."""

from __future__ import annotations

import os
import signal
import time

from lab_processes import Other

import prune_core as pc
from prune_core.events import STEP_FIELDS
from prune_core.tracking import Store, checkpoint_path, execute
from prune_core.training import load_checkpoint


def test_twins_one_of_them_killed_end_bitwise_equal(
    store: Store, experiment: pc.Experiment, slow_executor: str
) -> None:
    experiment = experiment.with_(**{"train.steps": 200})
    killed, twin = store.create(experiment), store.create(experiment)
    processes = [Other(slow_executor, store.url, run_id, str(i)) for i, run_id in enumerate((killed, twin))]
    try:
        for process in processes:
            process.go()
        began = time.monotonic()
        while store.run(killed).step < 60 or not store.run(killed).checkpoint:
            assert time.monotonic() - began < 100, store.run(killed)
            time.sleep(0.01)
        os.kill(processes[0].pid, signal.SIGKILL)
        assert processes[1].said() == "finished\n"
    finally:
        for process in processes:
            process.kill()
    assert store.reap(older_than_s=0.05) == [killed]
    record = store.run(killed)
    assert record.status == "failed"
    assert record.reason.startswith(
        f"the process that ran it (worker 0, {processes[0].pid}) stopped answering at step "
    )
    known = load_checkpoint(checkpoint_path(killed)).step
    assert 0 < known < 200
    store.requeue(killed)
    assert execute(store, killed, "worker 2") == "finished"
    whole = pc.run(experiment, progress=False)
    expected = whole.history[["step", *STEP_FIELDS]]
    for run_id in (killed, twin):
        history = store.history(run_id)
        assert history["step"].tolist() == list(range(1, 201))
        assert history.equals(expected.astype(history.dtypes))
        record = store.run(run_id)
        assert (record.accuracy, record.loss, record.sparsity) == (whole.accuracy, whole.loss, whole.sparsity)
        looks = store.evals(run_id)
        assert looks["step"].tolist() == list(range(20, 201, 20))
    assert store.evals(killed)["accuracy"].equals(store.evals(twin)["accuracy"])
    assert store.run(killed).attempt > 1
    assert store.run(twin).attempt == 1
