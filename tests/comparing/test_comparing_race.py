"""The sentence of a race: every number in it worked out by hand, and honest with one seed."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from prune_core.comparing import RACE_COLUMNS, blew_up, mean_interval, race_finding

LANES = ("baseline", "clipping", "pruning", "both")


def rows(seed: int, accuracies: tuple[float, ...], clipped: float = 0.1, **more: object) -> list[dict[str, object]]:
    """Four lanes of a network of 1,000 parameters, of which pruning takes 900."""
    return [
        {"lane": lane, "seed": seed, "status": "finished", "step": 10, "accuracy": a, "loss": 0.1, "parameters": 1000,
         "nonzero": 100 if lane in ("pruning", "both") else 1000, "classes": 10,
         "clipped": clipped if lane in ("clipping", "both") else 0.0, **more}
        for lane, a in zip(LANES, accuracies, strict=True)
    ]  # fmt: skip


def table(*seeds: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([row for seed in seeds for row in seed], columns=list(RACE_COLUMNS))


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")


def test_one_seed_says_so_and_has_no_interval() -> None:
    found = race_finding(table(rows(0, (0.95, 0.96, 0.93, 0.94))))
    assert plain(found.sentence) == (
        "Clipping changed 10.0 % of the gradient entries and removed 0 of 1 000 parameters; "
        "pruning removed 900 and cost 2.0 points (1 seed)."
    )
    assert [idea for idea, _ in found.parts() if idea] == ["clipping", "clipping", "pruning", "pruning"]


def test_a_gain_is_called_one_and_one_point_is_singular() -> None:
    assert "gained 3.0 points" in race_finding(table(rows(0, (0.90, 0.9, 0.93, 0.9)))).sentence
    assert "cost 1.0 point (1 seed)" in race_finding(table(rows(0, (0.94, 0.9, 0.93, 0.9)))).sentence


def test_seeds_are_compared_pair_by_pair_with_a_95_percent_interval() -> None:
    found = race_finding(table(rows(3, (0.95, 0.9, 0.93, 0.9), 0.2), rows(4, (0.97, 0.9, 0.96, 0.9), 0.1)))
    # differences 2 and 1 points: mean 1.5, s = 1/sqrt 2, t(0.975, 1) = 12.706, half = 12.706 * 0.7071 / 1.4142 = 6.353
    assert (found.cost_pruning.low, found.cost_pruning.high) == pytest.approx((-0.04853, 0.07853), abs=1e-5)
    assert found.clipped == mean_interval([0.2, 0.1])
    assert "cost 1.5 points (-4.9 to 7.9) (2 seeds, mean and 95 % interval)." in plain(found.sentence)


def test_a_stopped_race_counts_as_far_as_it_came() -> None:
    part = rows(0, (0.95, 0.96, 0.93, 0.94), status="stopped")
    assert "when all four lanes have ended" in race_finding(table(part)).sentence, "unless that is what is asked"
    found = race_finding(table(part), stopped=True)
    assert found.stopped == 10
    assert plain(found.sentence).endswith("pruning removed 900 and cost 2.0 points (1 seed, stopped at step 10).")
    part[0] |= {"status": "diverged", "step": 4, "accuracy": 0.1, "loss": math.nan}
    assert "Diverged: baseline in 1 of 1." in race_finding(table(part), stopped=True).sentence
    part[1] |= {"step": 9}
    assert not race_finding(table(part), stopped=True).n, "lanes that came to different steps are not compared"


def test_a_seed_counts_only_when_all_four_lanes_have_ended() -> None:
    half = rows(1, (0.5, 0.5, 0.5, 0.5))[:3]
    running = rows(2, (0.5, 0.5, 0.5, 0.5), status="running")
    assert race_finding(table(rows(0, (0.95, 0.96, 0.93, 0.94)), half, running)).seeds == (0,)
    assert "when all four lanes have ended" in race_finding(table(half)).sentence


def test_divergence_is_said_and_costs_nothing_that_can_be_told() -> None:
    wild = rows(0, (0.1, 0.92, 0.11, 0.9))
    for lane in (0, 2):
        wild[lane]["loss"] = 800.0
    found = race_finding(table(wild))
    assert found.diverged == {"baseline": 1, "clipping": 0, "pruning": 1, "both": 0} and found.clipping_saved_it
    assert math.isnan(found.cost_pruning.mean)
    words = plain(found.sentence)
    assert "its cost cannot be told, as the baseline diverged" in words
    assert "Without clipping every run diverged and ended at 10.5 % accuracy; with it they learned, to 91.0 %" in words
    wild[1]["status"] = "diverged"
    assert "Diverged: baseline in 1 of 1, clipping in 1 of 1, pruning in 1 of 1." in race_finding(table(wild)).sentence


def test_far_worse_than_guessing_is_ten_times_its_loss() -> None:
    assert not blew_up(10 * math.log(10), 10)
    assert blew_up(10 * math.log(10) + 0.01, 10) and blew_up(math.nan, 10) and blew_up(None, 10)
