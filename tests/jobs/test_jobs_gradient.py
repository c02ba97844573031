"""Gradients by question: of a run at any moment, of a model trained for it, and what is wrong as a sentence."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import prune_core as pc
from prune_core.clipping import ClipStrategy
from prune_core.jobs import GradientReply, GradientRequest, ScanningError
from prune_core.jobs import gradients as side
from prune_core.jobs.gradients import gradient
from prune_core.tracking import Store, execute

EXPERIMENT = pc.Experiment(
    data=pc.Moons(samples=200), model=pc.MLP(width=8), clip=pc.NormClip(max_norm=0.5),
    train=pc.Training(steps=12, batch_size=16, seed=3),
)  # fmt: skip


@pytest.fixture(autouse=True)
def forgetful():
    """Nothing is known from another test."""
    side._replies.clear()
    side._moments.clear()


@pytest.fixture
def store(home) -> Store:
    return Store()


def ask(store: Store, **fields: object) -> GradientReply:
    reply = gradient(store.url, GradientRequest(**fields))
    if isinstance(reply, pc.LabError):
        raise reply
    return pickle.loads(pickle.dumps(reply))  # as it travels


def test_the_end_of_a_run_is_its_checkpoint_and_training_again_leads_there(store):
    run_id = store.create(EXPERIMENT)
    assert execute(store, run_id) == "finished"
    end = ask(store, run=run_id, examples=32)
    assert end.gradient.step == 12
    again = ask(store, experiment=EXPERIMENT, step=12, examples=32)
    assert np.array_equal(end.gradient.values, again.gradient.values)
    assert end.gradient.norms == pytest.approx(store.history(run_id)["grad_norm_before"].to_numpy())
    middle = ask(store, run=run_id, step=5, examples=32)
    assert middle.gradient.step == 5 and len(middle.gradient.norms) == 5
    assert np.array_equal(
        middle.gradient.values, ask(store, experiment=EXPERIMENT, step=5, examples=32).gradient.values
    )


def test_every_strategy_is_answered_for(store):
    reply = ask(store, experiment=EXPERIMENT, step=12)
    assert {e.name for e in ClipStrategy.registry} <= {lane.name for lane in reply.lanes}
    assert all(lane.rows.shape[1] == len(reply.gradient.names) + 1 for lane in reply.lanes)


def test_an_earlier_moment_after_a_later_one(store):
    late = ask(store, experiment=EXPERIMENT, step=9)
    early = ask(store, experiment=EXPERIMENT, step=2)
    assert (late.gradient.step, early.gradient.step) == (9, 2)
    side._replies.clear()
    side._moments.clear()
    assert np.array_equal(early.gradient.values, ask(store, experiment=EXPERIMENT, step=2).gradient.values)


def test_a_long_way_is_gone_in_slices(store):
    request = GradientRequest(experiment=EXPERIMENT, step=12)
    answers = [gradient(store.url, request, 0.0)]
    while isinstance(answers[-1], ScanningError):
        answers.append(gradient(store.url, request, 0.0))
    assert len(answers) > 5 and "steps are made" in str(answers[0])
    assert isinstance(answers[-1], GradientReply)
    side._moments.clear()
    side._replies.clear()
    assert np.array_equal(answers[-1].gradient.values, ask(store, experiment=EXPERIMENT, step=12).gradient.values)


def test_what_is_wrong_is_a_sentence(store):
    with pytest.raises(pc.ConfigError, match="either run or experiment"):
        GradientRequest()
    with pytest.raises(pc.ConfigError, match="at most 12, got 13"):
        ask(store, experiment=EXPERIMENT, step=13)
    with pytest.raises(pc.RunNotFoundError):
        ask(store, run="nowhere")
    waiting = store.create(EXPERIMENT)
    with pytest.raises(pc.ConfigError, match="no checkpoint yet"):
        ask(store, run=waiting)


def test_a_run_that_diverges_before_says_when(store):
    wild = EXPERIMENT.replace(clip=None).with_(**{"train.lr": 1000.0, "train.steps": 400, "train.momentum": 0.99})
    with pytest.raises(pc.ConfigError, match="never reaches step 400: the"):
        ask(store, experiment=wild, step=400)


def test_the_engine_answers_the_same(lab):
    there = lab.gradient(GradientRequest(experiment=EXPERIMENT, step=6))
    here = gradient(lab.store.url, GradientRequest(experiment=EXPERIMENT, step=6))
    assert np.array_equal(there.gradient.values, here.gradient.values)
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(there.lanes, here.lanes, strict=True))
    with pytest.raises(pc.ConfigError, match="at most 12"):
        lab.gradient(GradientRequest(experiment=EXPERIMENT, step=99))
