"""Formulas with live numbers: those of the step that is shown, with the threshold that held in it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import prune_core as pc
from prune_core.formulas import share, tex, whole
from prune_core.tracking import SAMPLE_RACE, Races, Store
from prune_ui import formulas
from prune_ui.live import LiveFeed, LiveRun


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LiveRun]:
    """The sample race as pages see it."""
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('formulas')}/lab.db")
    feed = LiveFeed(lambda: store)
    return {lane: feed.get(run_id) for lane, run_id in Races(store).lanes(SAMPLE_RACE).items()}


def changed(run: LiveRun, *marks: tuple[int, str, float]) -> LiveRun:
    """The same run with changes in mid-run."""
    return replace(run, marks=pd.DataFrame(marks, columns=["step", "field", "value"]), _made={})


def test_clipping_shows_the_newest_step(lanes: dict[str, LiveRun]) -> None:
    run = lanes["clipping"]
    (found,) = formulas.clipping(run, lane=True)
    last = run.last
    assert found.head == "**Clipping lane** · by value, step 600"
    assert any("0.01" in piece for piece in found.filled)
    norms = rf"{tex(last['grad_norm_before'])} \to {tex(last['grad_norm_after'])}"
    assert any(norms in p for p in found.filled) and any(share(last["clipped"]) in p for p in found.filled)
    assert formulas.clipping(lanes["baseline"]) == [] == formulas.pruning(lanes["baseline"])
    assert [f.idea for f in formulas.of_run(lanes["both"])] == ["clipping", "pruning"]


def test_the_threshold_is_the_one_that_step_used(lanes: dict[str, LiveRun]) -> None:
    """A change made while the run is held after step 600 holds from step 601 on."""
    used = changed(lanes["clipping"], (200, "clip_threshold", 0.5), (601, "clip_threshold", 0.7))
    (found,) = formulas.clipping(used)
    assert "-0.5" in found.filled[0] and "0.7" not in found.filled[0]


def test_pruning_counts_what_is_gone_and_names_its_threshold(lanes: dict[str, LiveRun]) -> None:
    run = lanes["pruning"]
    (found,) = formulas.pruning(run)
    assert run.snapshot is not None
    gone = sum(x.numel - x.kept for x in run.snapshot.layers)
    total = sum(x.numel for x in run.snapshot.layers)
    largest = max(x.threshold for x in run.snapshot.layers if x.threshold is not None)
    assert rf"\frac{{{whole(gone)}}}{{{whole(total)}}}" in found.filled[-1]
    assert f"|w_i| > {tex(largest)}" in found.filled[0] and "step" not in found.filled[0]


def test_a_threshold_from_an_earlier_snapshot_says_so(lanes: dict[str, LiveRun]) -> None:
    run = lanes["pruning"]
    assert run.snapshot is not None
    older = replace(run, snapshot=replace(run.snapshot, step=575), _made={})
    assert r"\text{(step 575)}" in formulas.pruning(older)[0].filled[0]


def test_before_the_first_removal_the_schedule_stands_there(lanes: dict[str, LiveRun]) -> None:
    run = lanes["pruning"]
    assert run.snapshot is not None
    bare = [replace(x, threshold=None) for x in run.snapshot.layers]
    early = replace(run, snapshot=replace(run.snapshot, layers=tuple(bare)), history=run.history.iloc[:100], _made={})
    (found,) = formulas.pruning(early)
    assert found.filled[0] == r"s_{99} = 0.0\,\%" and found.filled[1].endswith(r"= 0.0\,\%")
    later = replace(early, history=run.history.iloc[:200], _made={})
    (found,) = formulas.pruning(later)
    sparsity = float(run.history["sparsity"].iloc[199])  # what step 200 was made with is what was wanted after 199
    assert found.filled[1].endswith(f"= {share(sparsity)}") and found.filled[2].endswith(f"= {share(sparsity)}")


def test_before_a_run_the_formulas_stand_without_numbers() -> None:
    experiment = pc.Experiment(
        data=pc.Digits(), model=pc.SmallCNN(), clip=pc.NormClip(), prune=pc.Pruning(granularity=pc.Filters())
    )
    clips, prunes = formulas.of_experiment(experiment)
    assert not clips.filled and not prunes.filled and r"\lVert g \rVert" in clips.plain[0]
    assert prunes.plain[-1] == formulas.GROUP_MASK
    assert formulas.of_experiment(None) == []


def test_pieces_may_be_broken_between_but_not_within() -> None:
    assert formulas.line(("a = b", "c")) == r"$\displaystyle {a = b}$&emsp; $\displaystyle {c}$"
    assert formulas.line(()) == "&nbsp;", "its place stays"
