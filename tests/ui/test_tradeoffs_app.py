"""The Trade-offs page without a browser: the sample, the form that makes sweeps, what is shown, what is taken away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import ConfigError
from prune_core.figures.parallel_axes import Span
from prune_core.jobs import Estimate, Lab
from prune_core.tracking import Store, Sweeps
from prune_ui import race_link, session, tradeoffs_cost, tradeoffs_read, tradeoffs_state
from prune_ui.tradeoffs_charts import heat_map, shown_of, titles_of
from prune_ui.tradeoffs_fields import fields_of

BASE = pc.Experiment(
    data=pc.Digits(), model=pc.MLP(), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=5)), train=pc.Training(steps=12),
)  # fmt: skip
SWEEP = pc.Sweep(
    experiment=BASE,
    space=pc.Grid(
        vary={
            "prune.criterion": [pc.Magnitude(), pc.Random()],
            "prune.schedule.final": [0.5, 0.9],
            "train.seed": [0, 1],
        }
    ),
)
COST = Estimate(members=8, reused=3, shared=1, steps=60, steps_spared=36, seconds=75.0, workers=2, timed=1)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with the sweep, run once for all tests and found again for a second owner; ids by owner."""
    folder = tmp_path_factory.mktemp("ran")
    store = Store(f"sqlite:///{folder}/lab.db")
    lab = Lab(store=store, home=folder)
    ids = {owner: lab.sweep(SWEEP, name="mine", owner=owner, where="here").id for owner in ("somebody", "me")}
    store.close()
    return folder, ids


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store that the page reads; estimates are given, and no engine is asked."""
    monkeypatch.setattr(session, "owner", lambda: "me")
    monkeypatch.setattr(tradeoffs_read, "FRESH_S", 0.0)
    monkeypatch.setattr(tradeoffs_read, "ENDED_S", 0.0)
    monkeypatch.setattr(tradeoffs_cost.estimates, "ask", lambda sweep: COST)
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)  # only app.py knows the pages
    return Store()


@pytest.fixture
def finished(home: Path, ran: tuple[Path, dict[str, str]], store: Store) -> str:
    """A sweep of one's own that has been run, and the same of somebody else."""
    store.close()
    # by SQLite itself: what it has not yet moved from its log into the file would be missing from a copy of files
    with closing(sqlite3.connect(ran[0] / "lab.db")) as there, closing(sqlite3.connect(home / "lab.db")) as here:
        there.backup(here)
    return ran[1]["me"]


def page(**link: str) -> AppTest:
    def script() -> None:
        from prune_ui import tradeoffs_state, tradeoffs_view

        tradeoffs_state.open_link()
        tradeoffs_view.show()

    app = AppTest.from_function(script, default_timeout=60)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(str(e.value) for e in (*app.markdown, *app.caption, *app.error, *app.success))


# --- what is shown ----------------------------------------------------------------------------------------------------
def test_the_first_view_is_the_sample_and_says_so(store: Store) -> None:
    app = page()
    assert "shipped with the lab" in said(app)
    assert "On the Pareto front" in said(app) and "Where it bends (knees)" in said(app)
    assert not [b for b in app.button if b.label in ("Stop", "Go on", "Delete")]


def test_the_sample_was_measured_in_full() -> None:
    view = tradeoffs_read.sample()
    assert len(view.results) == view.sweep.total == 144
    assert view.results["status"].eq("finished").all()
    for column in ("accuracy", "kept_bytes", "kept_macs", "latency_ms"):
        assert np.isfinite(view.results[column]).all()
    kept = view.results.groupby("target")["kept_bytes"].mean()
    assert kept.is_monotonic_decreasing


def test_ones_newest_sweep_is_shown_with_its_words(store: Store, finished: str) -> None:
    app = page()
    assert "8 of 8 runs" in said(app)
    assert app.selectbox("tradeoffs/choose").value == finished
    assert any("magnitude" in m.value and "2 seeds" in m.value for m in app.markdown)
    assert "no difference shown" in said(app) or "is better than" in said(app)
    assert "corrected for 1 pair" in said(app)


def test_somebody_elses_sweep_can_be_looked_at_only(finished: str, ran: tuple[Path, dict[str, str]]) -> None:
    other = ran[1]["somebody"]
    app = page(sweep=other)
    assert not [b for b in app.button if b.label in ("Stop", "Delete")]
    tradeoffs_state.delete(other)
    assert "belongs to somebody else" in tradeoffs_state.SAID.pop()


def test_a_link_to_a_sweep_that_is_gone_says_so_and_shows_the_sample(store: Store) -> None:
    app = page(sweep="s000000000000")
    assert any("s000000000000" in e.value for e in app.error)
    assert "shipped with the lab" in said(app)


def test_the_axis_and_the_point_come_from_the_link(store: Store, finished: str) -> None:
    run = tradeoffs_read.view(finished).results["run"].iloc[0]
    app = page(sweep=finished, x="kept_bytes", point=run)
    assert app.session_state["tradeoffs/cost"] == "kept_bytes"
    assert any(m.value.startswith("**magnitude**, 50\u00a0% to be removed") for m in app.markdown)
    assert "means of 2 runs" in said(app)


def test_a_point_is_raced_with_its_own_settings(store: Store, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    links: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("streamlit.page_link", lambda page, **given: links.append((page, given)))
    row = tradeoffs_read.view(finished).results.iloc[3]
    page(sweep=finished, point=row["run"])
    page(
        sweep="sample", point=tradeoffs_read.sample().results["run"].iloc[0]
    )  # of the sample: its runs are not in the store
    races = [given for place, given in links if place == "pages/race.py"]
    member = SWEEP.member(next(c for i, c in enumerate(SWEEP.space.rows()) if i == row["member"]))
    assert len(races) == 2 and races[0]["query_params"] == race_link.params_of(member)
    assert "filled in" not in races[0]["help"] and "no clipping: the Race page's own is filled in" in races[1]["help"]


def test_of_a_search_no_line_is_made_for_each_drawn_value(store: Store) -> None:
    vary = {"prune.criterion": [pc.Magnitude(), pc.LAMP()], "clip.threshold": pc.Uniform(low=0.001, high=0.1)}
    raw = tradeoffs_read.sample().results.iloc[:6].assign(threshold=np.linspace(0.001, 0.1, 6))
    raw["prune.criterion"] = raw["prune"] = ["magnitude", "LAMP"] * 3
    raw["clip.threshold"] = raw["threshold"]
    for space, drawn in ((pc.RandomSample(vary=vary, n=6), True), (pc.Points(points=[{"clip.threshold": 0.1}]), False)):
        sweep = pc.Sweep(experiment=BASE, space=space)
        trade = shown_of(tradeoffs_read.View("s", "", "me", "running", "", sweep, raw, raw)).trade
        assert (len(trade.lines) == 2) == drawn, [line.name for line in trade.lines]


def test_a_search_has_no_heat_map_of_empty_cells_and_compares_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tradeoffs_read.sample().results.iloc[:20].reset_index(drop=True)
    raw = raw.assign(threshold=np.linspace(0.001, 0.1, 20), target=np.linspace(0.3, 0.9, 20), prune=["a", "b"] * 10)
    raw["clip.threshold"], raw["prune.criterion"] = raw["threshold"], raw["prune"]
    vary = {"prune.criterion": [pc.Magnitude(), pc.LAMP()], "clip.threshold": pc.Uniform(low=0.001, high=0.1)}
    sweep = pc.Sweep(experiment=BASE, space=pc.RandomSample(vary=vary, n=20))
    view = tradeoffs_read.View("s", "", "me", "finished", "", sweep, raw, raw)
    monkeypatch.setattr(tradeoffs_state, "shown", lambda: view)
    assert "No two runs aim at the same sparsity" in said(page())
    drawn: list[str] = []
    monkeypatch.setattr("prune_ui.tradeoffs_charts._show", lambda name, *_, **__: drawn.append(name))
    few = shown_of(view)
    assert not heat_map(few) and heat_map(
        replace(few, rows=raw.assign(threshold=[0.1, 0.2] * 10, target=0.5 + (raw.index > 9) / 4))
    )
    assert drawn == ["heat"]


def test_filters_act_on_everything_and_can_be_taken_back(store: Store, finished: str) -> None:
    app = page(sweep=finished)
    app.session_state["tradeoffs/filters"] = {"prune": Span(levels=("random",))}
    app.run()
    assert "Is one method better?" not in [s.value for s in app.subheader]
    app.button("tradeoffs/drop/prune").click().run()
    assert "Is one method better?" in [s.value for s in app.subheader]


def test_a_stopped_sweep_can_go_on_and_an_ended_one_be_deleted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_id = Sweeps(store).create(SWEEP, owner="me")
    monkeypatch.setattr(session, "lab", lambda: Lab(store=store))
    monkeypatch.setattr(Lab, "_wake", lambda self: None)
    app = page(sweep=sweep_id)
    app.button("tradeoffs/stop").click().run()
    assert Sweeps(store).record(sweep_id).status == "stopped"
    app.button("tradeoffs/resume").click().run()
    assert Sweeps(store).record(sweep_id).status == "running"
    app.button("tradeoffs/stop").click().run()
    app.button("tradeoffs/delete").click().run()
    assert sweep_id not in [s.id for s in Sweeps(store).list()]
    assert "shipped with the lab" in said(app)


def test_a_sweep_is_published_by_its_owner(store: Store, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNE_LAB_PUBLISH", "off")
    app = page(sweep=finished)
    first = tradeoffs_read.view(finished).results
    app.button("tradeoffs/publish").click().run()
    assert Sweeps(store).record(finished).publishing == "waiting"
    assert "Waits to be published to MLflow" in said(app)
    Sweeps(store).set_publishing(finished, "", published="f00d")
    assert tradeoffs_read.view(finished).results is first, "for this alone no results are read"
    assert "In MLflow as `f00d`" in said(app.run())
    assert app.button("tradeoffs/publish").label == "Publish again"


def test_results_are_read_when_something_has_finished_only(store: Store, finished: str) -> None:
    first = tradeoffs_read.view(finished)
    assert tradeoffs_read.view(finished).results is first.results
    assert shown_of_once(finished) is shown_of_once(finished)


def test_members_of_a_sweep_that_is_done_are_not_counted_again(
    store: Store, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tradeoffs_read.view(finished)
    with monkeypatch.context() as patch:
        patch.setattr(Sweeps, "_counts", lambda *_: pytest.fail("with thousands of members this takes a while"))
        assert tradeoffs_read.view(finished) is first
        assert finished in [one.id for one in tradeoffs_read.listing(now=True)]
    Sweeps(store).set_publishing(finished, "waiting")
    assert tradeoffs_read.view(finished).to_be_published, "but whatever is done to it is seen"


def test_pairs_that_one_seed_says_nothing_of_are_one_sentence() -> None:
    def script() -> None:
        from prune_core.comparing import Difference
        from prune_ui.tradeoffs_words import _answers

        nan = float("nan")
        one = [Difference(a, "c", 0.5, 1, 2, False, 0.1, nan, nan, nan, nan) for a in "ab"]
        _answers([Difference("a", "b", 0.5, 2, 2, True, 0.1, 0.05, 0.15, 0.01, 0.01), *one], True)

    (said,) = AppTest.from_function(script).run().markdown
    assert said.value.startswith("- a ") and "2 of 3 pairs have a method with one seed" in said.value
    assert len(said.value.splitlines()) == 2


def shown_of_once(sweep_id: str) -> Any:
    return shown_of(tradeoffs_read.view(sweep_id)).trade


# --- the form ---------------------------------------------------------------------------------------------------------
def opened() -> AppTest:
    app = page()
    app.session_state["tradeoffs/open"] = True
    return app.run()


def test_the_form_says_what_it_will_cost_and_starts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "lab", lambda: Lab(store=store))
    monkeypatch.setattr(Lab, "_wake", lambda self: None)
    app = opened()
    assert "**8 runs** · 3 of them there already · 36 of 96 steps shared · about **75 s** with 2 workers" in said(app)
    app.text_input("tradeoffs/form/name").set_value("my question").run()
    assert app.button("tradeoffs/start").label == "Start 36 runs"  # 2 criteria, 6 sparsities, 3 seeds
    app.button("tradeoffs/start").click().run()
    (record,) = Sweeps(store).list()
    assert (record.name, record.owner, record.total, record.status) == ("my question", "me", 36, "running")
    assert "0 of 36 runs" in "".join(str(p.proto) for p in app.get("progress")) + said(app)
    assert app.session_state["tradeoffs/open"] is False
    app.session_state["tradeoffs/open"] = True
    app.run()
    app.button("tradeoffs/start").click().run()  # somebody who clicks twice
    assert len(Sweeps(store).list()) == 1


def test_each_way_to_combine_makes_its_space(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[pc.Sweep] = []
    monkeypatch.setattr(tradeoffs_cost.estimates, "ask", lambda sweep: asked.append(sweep) or COST)
    app = opened()
    for kind, cls, total in (("random", pc.RandomSample, 7), ("search", pc.Search, 7)):
        app.session_state["tradeoffs/draft"] = {"kind": kind, "trials": 7}
        app.run()
        space = asked[-1].space
        assert isinstance(space, cls) and space.total == total
        assert space.vary["prune.schedule.final"] == pc.Uniform(low=0.3, high=0.99)
        assert space.vary["train.seed"] == pc.IntUniform(low=0, high=9)
    app.session_state["tradeoffs/draft"] = {"kind": "points"}
    app.run()
    assert isinstance(asked[-1].space, pc.Points) and asked[-1].total == 1


def test_a_mistake_is_a_sentence_and_nothing_can_be_started(store: Store) -> None:
    app = opened()
    app.session_state["tradeoffs/draft"] = {"values:given:prune.schedule.final": ["0.5", "much"]}
    app.run()
    assert any("must be a number or a range" in e.value and "much" in e.value for e in app.error)
    assert app.button("tradeoffs/start").disabled


def test_early_stopping_is_part_of_the_sweep_but_not_with_two_objectives(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[pc.Sweep] = []
    monkeypatch.setattr(tradeoffs_cost.estimates, "ask", lambda sweep: asked.append(sweep) or COST)
    app = opened()
    app.toggle("tradeoffs/form/halving").set_value(True).run()
    assert asked[-1].halving == pc.Halving(min_steps=100, factor=3)
    app.session_state["tradeoffs/draft"] = {"kind": "search", "halving": True}
    app.run()
    assert asked[-1].halving is None and not app.error
    assert app.toggle("tradeoffs/form/halving").disabled


def test_one_like_it_fills_the_forms(store: Store, finished: str) -> None:
    app = page(sweep=finished)
    app.button("tradeoffs/copy").click().run()
    assert app.session_state["tradeoffs/open"] is True
    assert app.session_state["tradeoffs/draft"]["paths"] == list(SWEEP.space.paths)
    assert "MLP on Digits" in said(app)


# --- fields -----------------------------------------------------------------------------------------------------------
def test_every_dotted_number_and_choice_can_be_swept() -> None:
    fields = fields_of(BASE)
    leaves = {p for p, v in BASE.flat().items() if isinstance(v, int | float) and p != "start"}
    assert leaves <= set(fields)
    assert {"clip", "prune.criterion", "model", "data", "prune.scope", "train.optimizer"} <= set(fields)
    assert "prune.layer_sparsity.fc1" in fields or any(p.startswith("prune.layer_sparsity.") for p in fields)
    for path, field in fields.items():  # what stands there when a field is added can be read
        assert field.values(field.first(drawn=False)), path
        assert field.drawn(field.first(drawn=True)) is not None, path


def test_values_and_ranges_are_read() -> None:
    fields = fields_of(BASE)
    final, seed, lr, clip = (fields[p] for p in ("prune.schedule.final", "train.seed", "train.lr", "clip"))
    assert final.values(["0.5", "0,9", "0.5"]) == [0.5, 0.9]
    assert final.values(["0.1..0.9:3"]) == [0.1, 0.5, 0.9]
    assert seed.values(["0..3", "7"]) == [0, 1, 2, 3, 7]
    assert lr.values(["0.001..0.1:3"]) == [0.001, 0.01, 0.1]  # a logarithmic field: equal ratios
    assert lr.drawn(["0.001..0.1"]) == pc.Uniform(low=0.001, high=0.1, log=True)
    assert final.drawn(["0.5", "0.9"]) == pc.Choice(values=(0.5, 0.9))
    assert clip.values(["none", "value"]) == [None, BASE.clip]
    for texts, why in ((["x"], "a number or a range"), (["0.5..0.9"], "whole numbers"), ([], "at least one")):
        with pytest.raises(ConfigError, match=why):
            seed.values(texts)


def test_names_are_those_that_people_read(store: Store, finished: str) -> None:
    view = tradeoffs_read.view(finished)
    assert titles_of(view)["prune.schedule.final"] == "sparsity"
    assert set(view.results["prune"]) == {"magnitude", "random"} == set(view.raw["prune"])
    swept = tradeoffs_read.dressed(pd.DataFrame({"clip": ["value 0.01", None, "value 0.001"]}))
    assert swept["clip"].tolist()[0] == "by value 0.01" and pd.isna(swept["clip"].iloc[1])
