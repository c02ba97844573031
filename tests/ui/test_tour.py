"""The tour without a browser: its steps point at real pages and settings, and its answers are measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prune_core.errors import LabError
from prune_core.training import RACE_PRESETS
from prune_ui import glossary, predict, race_state, race_words, session, tour, tour_answers, tour_steps
from prune_ui.predict import Answer
from prune_ui.tour_steps import STEPS, SURVIVORS, TRUTHS, TURNS, VERDICTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def away(home: Path) -> Iterator[None]:
    """A home of its own, without an engine."""
    yield
    session._process.clear()


def test_there_are_eight_to_ten_stops_on_pages_that_are_there() -> None:
    assert 8 <= len(STEPS) <= 10
    app = (ROOT / "app.py").read_text(encoding="utf-8")
    for step in STEPS:
        assert (ROOT / step.page).is_file() and step.page in app
        assert step.title and step.text
        assert (step.question is None) == (step.answer is None), step.title
        assert bool(step.action) == (step.act is not None), step.title
        assert not step.veiled or step.question is not None, "a veil that nothing lifts"
    keys = [step.question.key for step in STEPS if step.question is not None]
    assert len(keys) == len(set(keys)) >= 5
    assert {step.name for step in STEPS} >= {"race", "clipping", "prune", "trade_offs", "claims"}
    assert {step.name for step in STEPS} <= set(glossary.WORDS)


def test_clipping_removes_what_the_stored_race_says(home: Path) -> None:
    answer = tour_answers.removed_by_clipping()
    view = race_state.shown()
    clipped, bare = view.lanes["clipping"].record.summary, view.lanes["baseline"].record.summary
    assert answer.truth == (clipped["parameters"] - clipped["nonzero"]) / clipped["parameters"]
    assert bare["nonzero"] >= clipped["nonzero"] > 0.99 * clipped["parameters"]
    assert answer.words == race_words.finding(view).sentence


@pytest.mark.parametrize(("strategy", "threshold"), [("value", 0.001), ("norm", 0.1)])
def test_how_far_a_strategy_turns_the_sample_gradient_is_what_its_own_clipping_does(
    strategy: str, threshold: float
) -> None:
    import math

    import torch

    import prune_core as pc
    from prune_ui import clipping_gradient, clipping_state

    answer = tour_answers.turned(strategy, threshold)
    assert answer.truth in TURNS
    before = clipping_gradient._samples()[clipping_state.FIRST_MOMENT].flat().values.double().clone()
    parameter = torch.nn.Parameter(torch.zeros_like(before, dtype=torch.float32))
    parameter.grad = before.float()
    clip = pc.ValueClip(threshold=threshold) if strategy == "value" else pc.NormClip(max_norm=threshold)
    clip.clip_([parameter])
    after = parameter.grad.double()
    cosine = float(before @ after / before.norm() / after.norm())
    angle = math.degrees(math.acos(min(cosine, 1.0)))
    place = 0 if angle < 0.1 else 1 if angle < 10 else 2 if angle <= 45 else 3
    assert answer.truth == TURNS[place]
    assert f"{angle:.2g}" in answer.words or angle < 0.1


def test_where_pruning_begins_to_cost_is_read_off_the_sweep() -> None:
    from prune_ui import tradeoffs_read

    answer = tour_answers.bend()
    rows = tradeoffs_read.sample().raw
    mine = rows[(rows["prune"] == "magnitude") & rows["clip"].isna()].groupby("target")["accuracy"].mean()
    assert mine.loc[answer.truth] < mine.iloc[0] - 0.02
    assert (mine[mine.index < answer.truth] >= mine.iloc[0] - 0.02).all()


def test_the_verdict_is_the_claims_own() -> None:
    answer = tour_answers.verdict("pruned_faster")
    assert answer.truth in VERDICTS and answer.words
    with pytest.raises(LabError, match="cannot be read"):
        tour_answers.verdict("nothing")


def test_a_race_that_was_not_run_has_no_answer_yet() -> None:
    with pytest.raises(LabError, match="Start the race"):
        tour_answers.survivors()
    link = tour_answers.preset_link("exploding")
    wanted = next(p for p in RACE_PRESETS if p.name == "exploding").experiment
    assert link["model"] == wanted.model.registered_as and float(link["train.lr"]) == wanted.train.lr


def test_the_end_names_the_true_sentence() -> None:
    answer = tour_answers.truth(TRUTHS[1])
    assert predict.verdict(TRUTHS[1], answer) == "As you said."
    assert predict.verdict(TRUTHS[0], answer) == "Not what you said."
    assert "removed 0 of" in answer.words
    assert len(SURVIVORS) == 4


def test_steps_have_no_number_of_their_own() -> None:
    assert isinstance(tour_steps.STEPS[0].answer(), Answer)
    assert tour.steps() is STEPS
