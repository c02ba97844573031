"""Claims that are really tried: in this process, and in the lab, which finds its runs again."""

from __future__ import annotations

import json
import signal

import pandas as pd
import pytest
from lab_processes import Other
from sqlalchemy import update

import prune_core as pc
from prune_core.claims import COLUMNS, ClippingPrunes, ClippingShrinks, PrunedFaster, PruningCosts
from prune_core.errors import ConfigError, StoreError
from prune_core.jobs import Lab
from prune_core.tracking import Store, Sweeps, Trials
from prune_core.tracking.schema import runs

TINY = PruningCosts(model=pc.MLP(width=8), seeds=2, steps=24, sparsities=(0.5, 0.9))


def test_a_tiny_claim_is_run_measured_and_judged_twice_alike():
    first, again = pc.trial(TINY, progress=False), pc.trial(TINY, progress=False)
    assert list(first.table.columns) == list(COLUMNS) and len(first.table) == 6
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.verdict == again.verdict == TINY.judge(first.table)
    by_hand = pc.run(TINY.experiments().members()[4].experiment, progress=False)
    row = first.table.iloc[4]
    assert (row["arm"], row["at"], row["seed"], row["run"]) == ("pruned", 0.5, TINY.first_seed + 1, by_hand.digest)
    assert row["value"] == by_hand.accuracy and row["unit"] == "share"
    assert "holds" in repr(first) or "depends" in repr(first) or "not decided" in repr(first)


def test_unknown_names_are_refused():
    with pytest.raises(pc.UnknownNameError, match="pruning_costs"):
        pc.trial("pruning_cost")


def test_clipping_leaves_every_parameter_where_it_is():
    found = pc.trial(ClippingShrinks(model=pc.MLP(width=8), seeds=2, steps=20), progress=False)
    counts = found.table[found.table["measure"].isin(["parameters", "nonzero", "kept_macs", "dense_bytes"])]
    table = counts.pivot(index=["measure", "seed"], columns="arm", values="value")
    assert (table["with clipping"] == table["without clipping"]).all()
    assert set(found.table["measure"]) >= {"latency", "step"} and (found.table["value"] > 0).all()


def test_zeros_are_counted_in_the_weights():
    claim = ClippingPrunes(model=pc.MLP(width=8), seeds=2, steps=20, thresholds=(0.01,), near=1.0, sparsity=0.5)
    table = pc.trial(claim, progress=False).table
    zero = table[table["measure"] == "zero"].groupby("arm")["value"].mean()
    assert zero["without clipping"] == zero["clipped at 0.01"] == 0
    assert zero["pruned by |w|"] == pytest.approx(0.5, abs=0.01)
    near = table[(table["measure"] == "near zero") & (table["arm"] == "pruned by |w|")]["value"]
    assert near.tolist() == pytest.approx([0.5, 0.5], abs=0.01), "those that are zero do not count twice"


def test_every_form_of_a_pruned_model_is_timed(monkeypatch):
    monkeypatch.setattr(PrunedFaster, "measuring_s", 0.2)
    found = pc.trial(PrunedFaster(model=pc.MLP(width=16), seeds=2, steps=20), progress=False)
    assert set(found.table["arm"]) == {"dense", "masked", "sparse (CSR)", "outputs taken out"}
    assert set(found.table["unit"]) == {"ms", "×"} and set(found.table["measure"]) >= {"batch 1", "batch 64 ratio"}
    # a recurrent network has neither linear rows worth it inside nor outputs that could simply go
    lstm = pc.trial(PrunedFaster(model=pc.RowLSTM(hidden=8), seeds=2, steps=20), progress=False)
    assert set(lstm.table["arm"]) == {"dense", "masked", "sparse (CSR)"}


# --- in the lab -------------------------------------------------------------------------------------------------------
LOOKING = ClippingPrunes(model=pc.MLP(width=8), seeds=2, steps=20, thresholds=(0.01,), sparsity=0.5)


@pytest.fixture
def lab(home):
    store = Store()
    yield Lab(store=store, home=home)
    store.close()


@pytest.fixture
def other(home, tmp_path):
    """Another server on the same store, with a home of its own."""
    store = Store()
    yield Lab(store=store, home=tmp_path / "other")
    store.close()


def test_a_trial_in_the_lab_is_found_again_and_runs_nothing_twice(lab, other):
    first = lab.trial(TINY, where="here", owner="me")
    assert first.state == "done" and first.sweep.record.reused == 0
    there = other.trial_handle(first.id)
    assert there.claim == TINY and there.verdict() == first.verdict()
    again = other.trial(TINY, where="here", owner="somebody else")
    assert again.id == first.id, "the same trial is not begun a second time"
    more = other.trial(TINY.replace(sparsities=(0.5, 0.8, 0.9)), where="here")
    assert more.id != first.id and more.sweep.record.reused == 6
    alone = pc.trial(TINY, progress=False)
    assert again.table()["value"].tolist() == alone.table["value"].tolist()
    assert set(again.table()["run"]) <= set(lab.runs()["id"]), "every figure says which run it is of"
    listed = other.trials()
    assert listed["id"].tolist() == [more.id, first.id] and listed["claim"].tolist() == ["pruning_costs"] * 2
    assert listed["state"].tolist() == ["done"] * 2 and listed["verdict"][1] == first.verdict().word
    assert other.trials(owner="me")["id"].tolist() == [first.id]


def test_the_verdict_outlives_the_runs_it_was_made_of(lab, other):
    first = lab.trial(TINY, where="here")
    said, table = first.verdict(), first.table()
    lab.store.delete(lab.runs()["id"])
    lab.store.purge()
    there = other.trial_handle(first.id)
    assert there.state == "done" and there.verdict() == said
    pd.testing.assert_frame_equal(there.table(), table)


def test_what_a_claim_looks_at_is_measured_from_the_checkpoints_and_kept(lab, other):
    handle = lab.trial(LOOKING, where="here")
    assert handle.state == "done"
    kept = other.trial_handle(handle.id).table()
    alone = pc.trial(LOOKING, progress=False).table
    assert kept["value"].tolist() == pytest.approx(alone["value"].tolist())
    handle.measure_again()
    assert other.trial_handle(handle.id).record.figures is None and not len(handle.table())


def test_two_servers_measure_once_and_one_goes_on_where_the_other_died(lab, other, monkeypatch):
    measured = []
    measure = ClippingPrunes.measure
    monkeypatch.setattr(ClippingPrunes, "measure", lambda self, runs: measured.append(1) or measure(self, runs))
    mine = lab.trial(LOOKING, where="here")
    assert len(measured) == 1
    mine.measure_again()
    trials, theirs = Trials(lab.store), other.trial_handle(mine.id)
    token = trials.take(mine.id)  # as a server does that then dies
    assert trials.take(mine.id) is None and not theirs.measure_here()
    assert theirs.state == "measuring" and theirs.record.measured_by and len(measured) == 1
    monkeypatch.setattr("prune_core.tracking.trials.SILENT_S", -1.0)
    assert theirs.measure_here() and len(measured) == 2
    assert theirs.state == mine.state == "done"
    assert not trials.beat(mine.id, token) and not mine.conclude(token, None, "came too late")
    assert mine.state == "done" and mine.problem == ""


def test_of_two_that_begin_the_same_one_begins_it(lab, other):
    asked = TINY.experiments()
    ids = [Trials(one.store).begin(TINY.to_dict(), asked, owner=who) for one, who in ((lab, "a"), (other, "b"))]
    assert ids[0] == ids[1] and len(Sweeps(lab.store).list()) == 1
    Sweeps(lab.store).stop(ids[0])
    assert Trials(other.store).current(TINY.to_dict(), asked) is None, "what somebody stopped is nobody else's loss"
    assert Trials(other.store).begin(TINY.to_dict(), asked) != ids[0]


DIES = """
import os, signal, sys
from prune_core.jobs import Lab
from prune_core.claims import Claim
from prune_core.tracking import recorder
left, finish = [int(sys.argv[2])], recorder.Store.finish
def ends(self, *given):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(self, *given)
recorder.Store.finish = ends
Lab().trial(Claim.from_dict(eval(sys.argv[1])), where="here")
"""


def test_a_trial_whose_process_was_killed_goes_on_in_another(lab, other):
    assert Other(DIES, repr(TINY.to_dict()), "5").ended() == -signal.SIGKILL
    (cut,) = Sweeps(lab.store).list()
    there = other.trial_handle(cut.id)
    before = {run.id: run.ended for run in lab.runs(statuses=["finished"]).itertuples()}
    assert there.state == "running" and before and lab.runs(statuses=["running"])["id"].size == 1
    with lab.store.database.writing() as connection:  # nothing was heard of it for some seconds
        connection.execute(update(runs).where(runs.c.status == "running").values(heartbeat=runs.c.heartbeat - 60))
    assert other.trial(TINY, where="here").id == cut.id
    after = {run.id: run.ended for run in lab.runs(statuses=["finished"]).itertuples()}
    assert there.state == "done" and len(after) == 6 and before.items() <= after.items(), "no run was made twice"
    assert there.table()["value"].tolist() == pc.trial(TINY, progress=False).table["value"].tolist()


def test_what_cannot_be_judged_says_why_and_may_be_tried_again(lab, monkeypatch):
    monkeypatch.setattr(PruningCosts, "judge", lambda self, table: (_ for _ in ()).throw(ConfigError("No verdict.")))
    failed = lab.trial(TINY, where="here")
    assert failed.state == "failed" and failed.problem == "No verdict." and len(failed.table()) == 6
    with pytest.raises(ConfigError, match="No verdict"):
        failed.verdict()
    monkeypatch.undo()
    again = lab.trial(TINY, where="here")
    assert again.id != failed.id and again.state == "done" and again.sweep.record.reused == 6


def test_a_trial_from_before_it_stood_in_the_store_is_taken_in(lab, other):
    sweep = lab.sweep(TINY.experiments(), where="here")
    (lab.home / "claims").mkdir()
    kept = {"claim": TINY.to_dict(), "table": None, "problem": ""}
    (lab.home / "claims" / f"{sweep.id}.json").write_text(json.dumps(kept))
    with pytest.raises(StoreError, match="sweep of another kind"):
        other.trial_handle(sweep.id)
    assert lab.trial_handle(sweep.id).state == "done"
    assert other.trial_handle(sweep.id).verdict() == lab.trial(TINY, where="here").verdict()


def test_a_sweep_is_no_trial_and_notebook_claims_stay_here(lab):
    sweep = lab.sweep(TINY.base, {"train.seed": [0]}, where="here")
    with pytest.raises(StoreError, match="There is no trial"):
        lab.trial_handle(sweep.id)

    @pc.register("looks_here", label="Looks here")
    class LooksHere(PruningCosts):
        """A claim of this test."""

        looks = True

    try:
        with pytest.raises(ConfigError, match="worker processes do not import"):
            lab.trial(LooksHere(seeds=2, steps=20, sparsities=(0.5,)), where="workers")
    finally:
        pc.Claim.registry._entries.pop("looks_here")
