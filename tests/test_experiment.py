"""The experiment: identity, copies with dotted paths, round trips, and sentences for mistakes."""

from __future__ import annotations

import pytest

import prune_core as pc


def make() -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(),
        model=pc.SmallCNN(),
        clip=pc.ValueClip(threshold=0.01),
        prune=pc.Pruning(criterion=pc.Magnitude(), scope="global", schedule=pc.Cubic(final=0.9, start=100, stop=300)),
        train=pc.Training(steps=400),
    )


def test_round_trips_keep_the_digest() -> None:
    exp = make()
    assert pc.Experiment.from_json(exp.to_json()) == exp
    assert pc.Experiment.from_yaml(exp.to_yaml()).digest == exp.digest
    assert pc.Experiment.from_dict(exp.to_dict()).digest == exp.digest


def test_digest_sees_every_leaf() -> None:
    exp = make()
    seen = {exp.digest}
    changes = {
        "data": pc.Moons(),
        "model": pc.LeNet300(),
        "clip": None,
        "clip.threshold": 0.02,
        "prune": None,
        "prune.scope": "layer",
        "prune.criterion": pc.Random(),
        "prune.schedule.final": 0.8,
        "train.seed": 1,
        "train.lr": 0.2,
        "train.device": "cpu",
        "start": pc.FromCheckpoint(path="x"),
    }
    for path, value in changes.items():
        extra = {"model": pc.MLP()} if path == "data" else {}
        seen.add(exp.with_(**{path: value, **extra}).digest)
    assert len(seen) == len(changes) + 1
    assert make().digest == exp.digest


def test_with_changes_together_and_leaves_the_original() -> None:
    exp = make()
    # each alone would not fit: a shorter run needs an earlier end of pruning
    short = exp.with_(**{"train.steps": 50, "prune.schedule.start": 5, "prune.schedule.stop": 40})
    assert (short.train.steps, short.prune.schedule.end, exp.train.steps) == (50, 40, 400)
    assert exp.differences(short) == {
        "prune.schedule.start": (100, 5),
        "prune.schedule.stop": (300, 40),
        "train.steps": (400, 50),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clip.treshold": 0.1}, ["clip.threshold"]),
        ({"trian.lr": 0.1}, ["train.lr"]),
        ({"clip.threshold": -1}, ["threshold", "greater than 0", "-1"]),
        ({"clip.threshold": float("nan")}, ["threshold", "finite", "nan"]),
        ({"clip.threshold": "much"}, ["threshold", "number", "'much'"]),
        ({"prune.schedule.final": 1.0}, ["final", "less than 1", "1.0"]),
        ({"prune.schedule.final": -0.1}, ["final", "at least 0", "-0.1"]),
        ({"prune.schedule.stop": 500}, ["schedule", "400", "500"]),
        ({"train.batch_size": 60_000}, ["batch_size", "60000"]),
        ({"train.optimizer": "sdg"}, ["optimizer", "'sgd'", "'sdg'"]),
        ({"data": pc.Moons()}, ["SmallCNN", "MLP"]),
        ({"train.warmup": 400}, ["warmup", "400"]),
        ({"train.momentum": 0, "train.nesterov": True}, ["nesterov", "momentum"]),
    ],
)
def test_mistakes_are_sentences(change: dict[str, object], words: list[str]) -> None:
    with pytest.raises(pc.ConfigError) as caught:
        make().with_(**change)
    for word in words:
        assert word in str(caught.value)


def test_a_path_into_nothing_says_so() -> None:
    with pytest.raises(pc.ConfigError, match="clip is None"):
        make().with_(clip=None).with_(**{"clip.threshold": 1.0})


@pytest.mark.parametrize("text", ["[1, 2]", "data: {kind: digit}\nmodel: {kind: mlp}", "a: [", "data: 3"])
def test_wrong_files_are_sentences(text: str) -> None:
    with pytest.raises(pc.ConfigError):
        pc.Experiment.from_yaml(text)


def test_unregistered_parts_run_but_cannot_be_written_down() -> None:
    class Mine(pc.ValueClip):
        """Only here."""

    exp = make().with_(clip=Mine(threshold=0.1), **{"train.steps": 300})
    assert len(exp.digest) == 16
    with pytest.raises(pc.ConfigError, match=r"pc\.register"):
        exp.to_json()


def test_registering_anothers_name_raises_and_ones_own_replaces() -> None:
    class Taken(pc.ValueClip):
        """Not the owner of the name."""

    with pytest.raises(pc.ConfigError, match="belongs to"):
        pc.register("value", label="mine")(Taken)
    pc.register("value_again_for_test", label="a")(Taken)
    pc.register("value_again_for_test", label="b")(Taken)
    assert pc.ClipStrategy.registry["value_again_for_test"].label == "b"
    pc.ClipStrategy.registry._entries.pop("value_again_for_test")


def test_in_a_notebook_it_says_what_was_chosen() -> None:
    made = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=pc.ValueClip(threshold=0.02), prune=pc.Pruning())
    html = made._repr_html_()
    for word in ("Digits()", "SmallCNN()", "ValueClip(threshold=0.02)", "Pruning()", made.digest):
        assert word in html
    assert "None" in made.replace(prune=None)._repr_html_()
