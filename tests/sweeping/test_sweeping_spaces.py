"""What a sweep makes of one experiment: grids, lists, random samples, searches; and what it says of mistakes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import prune_core as pc
from prune_core.sweeping import Halver, changed, label, labels, short, suggest, words

EXP = pc.Experiment(
    data=pc.Digits(),
    model=pc.SmallCNN(),
    clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.Cubic(final=0.9, start=50, stop=80)),
    train=pc.Training(steps=100),
)


def test_a_grid_makes_every_combination_the_last_field_fastest():
    space = pc.Grid(vary={"prune.schedule.final": [0.5, 0.9], "train.seed": range(3)})
    found = pc.Sweep(experiment=EXP, space=space).members()
    assert [(m.experiment.prune.schedule.final, m.experiment.train.seed) for m in found] == [
        (0.5, 0), (0.5, 1), (0.5, 2), (0.9, 0), (0.9, 1), (0.9, 2),
    ]  # fmt: skip
    assert [m.place for m in found] == list(range(space.total)) == list(range(6))


def test_parts_vary_by_value_or_as_in_a_file():
    by_value = pc.Sweep(experiment=EXP, space=pc.Grid(vary={"clip": [None, pc.NormClip(max_norm=2.0)]}))
    in_a_file = pc.Sweep(experiment=EXP, space={"clip": [None, {"kind": "norm", "max_norm": 2.0}]})
    digests = [m.experiment.digest for m in by_value.members()]
    assert digests == [m.experiment.digest for m in in_a_file.members()]
    assert by_value.members()[0].experiment.clip is None


def test_a_list_changes_other_fields_in_each_row():
    rows = [{"clip": None}, {"clip.threshold": 0.5, "train.lr": 0.01}]
    found = pc.Sweep(experiment=EXP, space=rows).members()
    assert found[0].experiment.clip is None
    assert (found[1].experiment.clip.threshold, found[1].experiment.train.lr) == (0.5, 0.01)
    assert pc.Points(points=rows).paths == ("clip", "clip.threshold", "train.lr")


def test_random_samples_keep_to_their_bounds_and_come_again():
    vary = {
        "train.lr": pc.Uniform(low=1e-3, high=1.0, log=True),
        "train.batch_size": pc.IntUniform(low=16, high=64),
        "prune.criterion": [pc.Magnitude(), pc.Random()],
    }
    space = pc.RandomSample(vary=vary, n=400, seed=3)
    rows = list(space.rows())
    assert rows == list(space.rows())
    assert rows != list(space.replace(seed=4).rows())
    rates = np.array([row["train.lr"] for row in rows])
    assert rates.min() >= 1e-3
    assert rates.max() <= 1.0
    assert np.median(rates) == pytest.approx(math.sqrt(1e-3), rel=0.4)  # half lie below the geometric middle
    sizes = {row["train.batch_size"] for row in rows}
    assert sizes <= set(range(16, 65))
    assert {16, 64} <= sizes
    assert 120 < sum(isinstance(row["prune.criterion"], pc.Random) for row in rows) < 280  # fair: 200 ± 8 sigma


def test_whole_numbers_on_a_log_scale_own_what_rounds_to_them():
    import random

    chance = random.Random(0)
    drawn = [pc.IntUniform(low=1, high=8, log=True).draw(chance) for _ in range(4000)]
    assert set(drawn) == set(range(1, 9))
    # 1 owns log(1.5) - log(0.5) of log(8.5) - log(0.5)
    assert drawn.count(1) / 4000 == pytest.approx(math.log(3) / math.log(17), abs=0.03)


def test_a_layer_has_a_share_of_its_own():
    found = changed(EXP, {"prune.layer_sparsity.0.weight": 0.25, "prune.schedule.final": 0.8})
    assert (found.prune.scope, found.prune.layer_sparsity) == ("layer", ("0.weight=0.25",))
    again = changed(found, {"prune.layer_sparsity.0.weight": 0.5, "prune.layer_sparsity.3.weight": 0.75})
    assert again.prune.layer_sparsity == ("0.weight=0.5", "3.weight=0.75")


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({"prune.schedule.finl": [0.5]}, "Combination 1 of 1 .* did you mean 'prune.schedule.final'"),
        ({"prune.schedule.final": [0.5, 1.5]}, "Combination 2 of 2 .*final 1.5.* less than 1, got 1.5"),
        ({"train.seed": []}, "Grid.vary\\['train.seed'\\] must hold at least one value"),
        ({}, "Grid.vary must map at least one"),
        ([], "Points.points must be a list of mappings"),
        ({"train.seed": range(1000), "train.lr": [i / 1000 for i in range(1, 200)]}, "at most 100,000 .* 199,000"),
        ({"prune": [None], "prune.layer_sparsity.0.weight": [0.5]}, "prune is None, so prune.layer_sparsity.0"),
    ],
)
def test_mistakes_name_the_combination_the_field_and_the_bound(space, sentence):
    with pytest.raises(pc.ConfigError, match=sentence):
        pc.Sweep(experiment=EXP, space=space).members()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: pc.Uniform(low=1, high=0), "Uniform.high must be greater than low \\(1\\), got 0"),
        (lambda: pc.Uniform(low=0, high=1, log=True), "Uniform.low must be greater than 0"),
        (lambda: pc.Choice(values=[]), "Choice.values must hold at least one"),
        (lambda: pc.Search(vary={"train.lr": [1, 2]}, objectives=["speed"]), "no objective named 'speed'"),
        (lambda: pc.Search(vary={"train.lr": [1, 2]}, objectives=[]), "one to three different ones"),
        (
            lambda: pc.Sweep(experiment=EXP, space=pc.Search(vary={"train.lr": [0.1, 0.2]}), halving=pc.Halving()),
            "Sweep.halving must be None for a search with several objectives",
        ),
    ],
)
def test_bounds_are_checked_when_a_value_is_made(make, sentence):
    with pytest.raises(pc.ConfigError, match=sentence):
        make()


@pytest.mark.parametrize(
    "space",
    [
        pc.Grid(vary={"clip": [None, pc.NormClip(max_norm=2.0)], "train.seed": range(2)}),
        pc.Points(points=[{"train.lr": 0.2}, {"prune": None}]),
        pc.RandomSample(vary={"train.lr": pc.Uniform(low=0.1, high=0.2), "prune.scope": ["global", "layer"]}, n=5),
        pc.Search(vary={"prune.layer_sparsity.0.weight": pc.Uniform(low=0, high=0.9)}, trials=3),
    ],
    ids=lambda space: space.registered_as,
)
def test_a_sweep_reads_back_what_it_wrote(space):
    asked = pc.Sweep(experiment=EXP, space=space, halving=None, share=False)
    for again in (pc.Sweep.from_json(asked.to_json()), pc.Sweep.from_yaml(asked.to_yaml())):
        assert again.to_json() == asked.to_json()
        assert [m.experiment.digest for m in again.members()] == [m.experiment.digest for m in asked.members()]


def test_a_file_may_say_grid_for_short():
    file = Path(__file__).resolve().parents[2] / "examples" / "sweep.yaml"
    found = pc.Sweep.from_yaml(file)
    assert found.total == 30
    trunks = {m.trunk.key for m in found.members()}
    assert len(trunks) == 3, "one a seed"


def test_labels_are_short_and_tell_values_apart():
    assert [label(v) for v in (0.5, None, "layer", pc.ValueClip(threshold=0.01), pc.Magnitude())] == [
        0.5, None, "layer", "value 0.01", "magnitude",
    ]  # fmt: skip
    assert words({"prune.schedule.final": 0.9, "train.seed": 1}) == "schedule.final 0.9, train.seed 1"
    assert short({"prune.schedule.final": 0.9, "train.seed": 1}) == "90\u00a0%, seed 1"
    parts = {"prune.criterion": pc.Magnitude(), "clip": None, "prune.layer_sparsity.fc1": 0.5, "train.nesterov": True}
    assert short(parts) == "magnitude, clip none, fc1 50\u00a0%, nesterov on"
    assert short({"a.power": 2, "b.power": 0.5}) == "a.power 2, b.power 0.5", "else nobody could tell which"
    same = labels([pc.OneShot(final=0.5, at=10), pc.OneShot(final=0.5, at=20)])
    assert len(set(same.values())) == 2


# --- search -----------------------------------------------------------------------------------------------------------
SEARCH = pc.Search(
    vary={"train.lr": pc.Uniform(low=-1.0, high=1.0), "prune.criterion": [pc.Magnitude(), pc.Random()]},
    objectives=("loss",),
    trials=60,
)


def outcome(changes):
    """A bowl with its lowest point at 0.3, a step higher for Random: worked out by hand, 0 is the best there is."""
    return {"loss": (changes["train.lr"] - 0.3) ** 2 + isinstance(changes["prune.criterion"], pc.Random)}


def searched(search):
    tried = []
    for place in range(search.trials):
        changes = suggest(search, tried, place)
        tried.append((changes, outcome(changes)))
    return tried


def test_a_search_comes_nearer_than_chance_and_comes_again():
    found = searched(SEARCH)
    assert found == searched(SEARCH)
    by_chance = searched(SEARCH.replace(sampler="random"))
    late = [np.mean([o["loss"] for _, o in tried[30:]]) for tried in (found, by_chance)]
    assert late[0] < 0.5 * late[1]
    assert min(o["loss"] for _, o in found) < 0.01


def test_what_runs_and_what_failed_does_not_stop_a_search():
    tried = [({"train.lr": 0.1, "prune.criterion": pc.Random()}, None)]
    tried += [({"train.lr": 0.2, "prune.criterion": {"kind": "random"}}, {"loss": math.nan})]
    changes = suggest(SEARCH, tried, 2)
    assert set(changes) == set(SEARCH.vary)
    assert -1 <= changes["train.lr"] <= 1


def test_halving_stops_who_is_not_among_the_best_of_its_rung():
    halver = Halver(pc.Halving(min_steps=10, factor=2))
    assert halver.see(0, [(10, 0.5), (20, 0.6)]) == ""  # the first at each rung has nobody to lose against
    assert halver.see(1, [(5, 0.01)]) == "", "before the first rung nobody is stopped"
    why = halver.see(1, [(5, 0.01), (10, 0.1)])
    assert "10.0% at step 10 is not among the best 1 in 2" in why
    assert halver.see(2, [(10, 0.9)]) == ""
    assert halver.see(2, [(10, 0.9), (20, 0.2)]) != "", "better at one rung, worse at the next"
