"""Claims that are really tried: in this process, and in the lab, which finds its runs again."""

from __future__ import annotations

import pandas as pd
import pytest

import prune_core as pc
from prune_core.claims import COLUMNS, ClippingPrunes, ClippingShrinks, PrunedFaster, PruningCosts
from prune_core.errors import ConfigError, StoreError
from prune_core.jobs import Lab
from prune_core.jobs.trials import TrialFile
from prune_core.tracking import Store

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
@pytest.fixture
def lab(home):
    store = Store()
    yield Lab(store=store, home=home)
    store.close()


def test_a_trial_in_the_lab_is_found_again_and_runs_nothing_twice(lab):
    first = lab.trial(TINY, where="here")
    assert first.state == "done" and first.sweep.record.reused == 0
    there = lab.trial_handle(first.id)
    assert there.claim == TINY and there.verdict() == first.verdict()
    again = lab.trial(TINY, where="here")
    assert again.sweep.record.reused == 6 and again.verdict() == first.verdict()
    alone = pc.trial(TINY, progress=False)
    assert again.table()["value"].tolist() == alone.table["value"].tolist()
    assert set(again.table()["run"]) <= set(lab.runs()["id"]), "every figure says which run it is of"


def test_what_a_claim_looks_at_is_measured_from_the_checkpoints_and_kept(lab):
    claim = ClippingPrunes(model=pc.MLP(width=8), seeds=2, steps=20, thresholds=(0.01,), sparsity=0.5)
    handle = lab.trial(claim, where="here")
    assert handle.state == "done"
    kept = lab.trial_handle(handle.id).table()
    alone = pc.trial(claim, progress=False).table
    assert kept["value"].tolist() == pytest.approx(alone["value"].tolist())
    handle.measure_again()
    assert TrialFile(lab.home / "claims" / f"{handle.id}.json").read()[1] is None


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
