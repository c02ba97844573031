"""The Runs page without a browser: the table, its filter, comparison, deleting and coming back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import EngineError, StoreUnavailableError
from prune_core.events import EvalEvent
from prune_core.jobs import Lab
from prune_core.tracking import Store
from prune_ui import runs_engine, runs_state, runs_table, runs_view, session
from prune_ui.naming import differing, short_names, title_of, value_text
from prune_ui.runs_table import matching

PLAIN = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=20))
CLIPPED = PLAIN.with_(clip=pc.ValueClip(threshold=0.02))


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store that the pages read; nothing asks an engine."""
    made = Store()
    monkeypatch.setattr(runs_engine, "engine", lambda: runs_engine.Engine())
    monkeypatch.setattr(runs_table, "FRESH_S", 0.0)
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)  # only app.py knows the pages
    return made


def add(store: Store, experiment: pc.Experiment, status: str = "finished", **more: Any) -> str:
    """A run that has ended, with all that the page shows of it."""
    run_id = store.create(experiment, **more)
    store.claim(run_id, "token")
    rows = np.column_stack([np.arange(1, 21.0), np.linspace(2, 1, 20), *([np.full(20, 0.5)] * 6)])
    store.append(run_id, "token", steps=rows, evals=[EvalEvent(20, 0.9, 0.3, 355, (0.9,) * 10)])
    store.finish(run_id, "token", status, "as told", {"accuracy": 0.9, "loss": 0.3, "nonzero": 8970})
    return run_id


def test_older_runs_are_counted_and_shown_when_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_table, "FIRST", 2)
    monkeypatch.setattr(runs_table, "MOST", 4)
    monkeypatch.setattr(runs_view, "MOST", 4)
    for seed in range(5):
        add(store, PLAIN.with_(**{"train.seed": seed}))
    app = page()
    assert any("The newest 2 of 5 runs" in one.value for one in app.caption)
    seeds = app.dataframe[0].value["seed"]
    assert {4, 3} <= set(seeds) and 0 not in set(seeds[-2:])
    app.text_input(key="runs/text").set_value("mlp").run()
    assert {4, 3, 2, 1} <= set(app.dataframe[0].value["seed"].dropna()), "a filter looks through more"
    app.text_input(key="runs/text").set_value("").run()
    app.button(key="runs/more/button").click().run()
    assert {4, 3, 2, 1} <= set(app.dataframe[0].value["seed"].dropna()) and app.query_params["more"] in ("yes", ["yes"])
    assert any("The newest 4 of 5 runs." in one.value for one in app.caption)
    app.button(key="runs/older").click().run()
    assert not app.exception
    assert {0, 1, 2, 3, 4} <= set(app.dataframe[0].value["seed"].dropna())
    assert not any("The newest" in one.value for one in app.caption)
    assert app.query_params["all"] == "yes"


def page(*chosen: str) -> AppTest:
    def script() -> None:
        from prune_ui import runs_state, runs_view

        runs_state.open_link()
        runs_view.show()

    app = AppTest.from_function(script, default_timeout=60)
    if chosen:
        app.query_params["runs"] = ",".join(chosen)
    app.run()
    assert not app.exception, app.exception
    return app


def table(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def test_samples_come_first_then_the_newest(store: Store) -> None:
    add(store, PLAIN, name="older")
    add(store, CLIPPED, name="newer")
    shown = table(page())
    samples = (shown["status"] == "sample").to_numpy()
    assert samples[: samples.sum()].all() and samples.any()
    assert shown["run"].tolist()[samples.sum() :] == ["newer", "older"]
    assert shown["clipping"].tolist()[samples.sum() :] == ["by value 0.02", "–"]


def test_the_filter_takes_words_a_status_and_an_owner(store: Store) -> None:
    add(store, CLIPPED, name="mine", owner="ann")
    add(store, PLAIN, status="failed", owner="bob")
    found = runs_table.listing(now=True)

    def names(*wanted: Any) -> list[str]:
        return [str(name) for name in found.frame["name"].iloc[matching(found, *wanted)]]

    assert names("mine", [], None) == ["mine"]
    assert names("VALUE mlp", [], None) == ["mine"]
    assert names(PLAIN.digest, ["failed"], None) == [""]
    assert names("mine nothing-like-it", [], None) == []
    assert found.frame["owner"].iloc[matching(found, "", ["failed"], None)].tolist() == ["bob"]
    assert names("", [], "ann") == ["mine"]
    assert found.frame["sample"].iloc[matching(found, "", ["sample"], None)].all()


def test_the_table_reads_like_words(store: Store) -> None:
    add(store, PLAIN.with_(prune=pc.Pruning(schedule=pc.OneShot(final=0.9, at=3))))
    found = runs_table.listing(now=True)
    row = found.shown.iloc[matching(found, "", ["finished"], None)[0]]
    assert (row["pruning"], row["model"], row["progress"]) == ("magnitude 90\u00a0%", "MLP", 1.0)


def test_two_runs_are_compared_by_what_differs_only(store: Store) -> None:
    app = page(add(store, PLAIN), add(store, CLIPPED))
    results, differences = app.dataframe[1].value, app.dataframe[2].value
    assert len(results) == 2
    assert results["parameters left"].tolist() == [8970, 8970]
    assert differences["setting"].tolist() == ["Clipping", "Clipping · Threshold α"]
    assert differences.iloc[1].tolist()[1:] == ["–", "0.02"]


def test_equal_settings_are_said_to_be_equal(store: Store) -> None:
    app = page(add(store, PLAIN), add(store, PLAIN))
    assert any("the same settings" in c.value and "bitwise the same" in c.value for c in app.caption)
    app = page(add(store, PLAIN), add(store, PLAIN, status="stopped"))
    assert not any("bitwise" in c.value for c in app.caption), "one of them is not at its end"


def test_one_run_shows_how_it_ended(store: Store) -> None:
    app = page(add(store, PLAIN, status="failed"))
    assert [e.value for e in app.error] == ["**Failed.** As told."]
    assert any(PLAIN.digest in c.value for c in app.caption)
    assert any("pc.Lab().handle(" in c.value for c in app.code)


def test_a_link_to_a_run_that_is_gone_says_so(store: Store) -> None:
    app = page("000000000000")
    assert any("There is no run '000000000000'" in e.value for e in app.error)


def test_delete_and_undo(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "owner", lambda: "me")
    run_id = add(store, PLAIN, name="to go", owner="me")
    app = page(run_id)
    app.button("runs/delete").click().run()
    assert "to go" not in table(app)["run"].tolist()
    assert store.run(run_id).deleted
    app.button("runs/undo").click().run()
    assert "to go" in table(app)["run"].tolist()
    assert not store.run(run_id).deleted


def test_what_is_somebody_elses_cannot_be_deleted(store: Store) -> None:
    assert page(add(store, PLAIN, owner="somebody")).button("runs/delete").disabled


def test_samples_cannot_be_deleted(store: Store) -> None:
    assert page(store.samples()[0].id).button("runs/delete").disabled


def test_without_a_run_of_ones_own_the_samples_are_shown(store: Store) -> None:
    add(store, PLAIN, owner="somebody")
    app = page()
    app.toggle("runs/mine").set_value(True).run()
    assert any("no run of your own yet" in c.value for c in app.caption)
    assert (table(app)["status"] == "sample").all()


def test_more_than_six_is_a_sentence(store: Store) -> None:
    ids = [add(store, PLAIN) for _ in range(7)]
    runs_state.choose(ids, ids)
    assert runs_state.CHOSEN.get() == tuple(ids[:6])
    assert "at most 6 runs" in runs_state.SAID.pop()
    runs_state.choose(ids[:1], ids[:3])
    assert runs_state.CHOSEN.get() == (ids[0], *ids[3:6]), "what the filter hides stays chosen"


def test_a_new_run_does_not_move_what_is_ticked(store: Store) -> None:
    first = add(store, PLAIN, name="first")
    app = page(first)
    add(store, PLAIN, name="second")
    app.run()
    assert "second" not in table(app)["run"].tolist()
    app.button("runs/fresh").click().run()
    assert "second" in table(app)["run"].tolist()
    assert app.session_state["runs/chosen"] == (first,)


def test_the_engine_is_only_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = store.create(PLAIN, name="one"), store.create(PLAIN, name="two")
    watch = runs_engine.Watch()
    now = watch._look()
    assert (now.state, now.queue["id"].tolist()) == ("off", [first, second])
    monkeypatch.setattr(runs_engine, "engine", lambda: now)
    app = page()
    assert any("2 runs cannot start" in c.value for c in app.caption)
    assert app.button("runs/engine").label == "Start the engine"
    assert app.dataframe[-1].value["run"].tolist() == ["one", "two"]


def test_an_engine_that_does_not_start_says_why(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: object) -> None:
        raise EngineError("No memory is left.")

    monkeypatch.setattr(Lab, "attach", never)
    watch = runs_engine.Watch()
    watch.start()
    assert watch._start is not None
    watch._start.join(10)
    assert (watch.known.state, watch.known.problem) == ("off", "No memory is left.")
    monkeypatch.setattr(runs_engine, "engine", lambda: watch.known)
    assert any("No memory is left." in e.value for e in page().error)


def test_a_store_that_cannot_be_opened_is_a_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Store:
        raise StoreUnavailableError("The store cannot be opened.")

    monkeypatch.setattr(session, "store", away)
    app = page("sample-dense")
    assert any("cannot be opened" in w.value for w in app.warning)
    assert app.session_state["runs/chosen"] == ("sample-dense",), "it may come back"


def test_a_store_that_is_away_is_a_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, PLAIN, name="known")
    page()

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("The store is away.")

    monkeypatch.setattr(Store, "runs", away)
    app = page()
    assert any("The store is away." in w.value for w in app.warning)
    assert "known" in table(app)["run"].tolist()


def test_steps_are_downloaded_with_their_run(store: Store) -> None:
    ids = [add(store, PLAIN), add(store, CLIPPED)]
    runs = [runs_state.feed().get(i) for i in ids]
    lines = runs_state.steps_csv(runs).splitlines()
    assert lines[0].startswith("run,step,loss,")
    assert len(lines) == 41
    assert {line.split(",")[0] for line in lines[1:]} == set(ids)


def test_runs_are_named_by_what_tells_them_apart(store: Store) -> None:
    records = [store.run(add(store, e)) for e in (CLIPPED, CLIPPED.with_(**{"clip.threshold": 0.5}), CLIPPED)]
    names = short_names(records)
    assert names[1] == "clipping by value 0.5"
    assert len(set(names)) == 3
    assert names[0].startswith("clipping by value 0.02 (")
    other = CLIPPED.with_(model=pc.SmallCNN(), **{"train.seed": 3})
    records = [store.run(add(store, e)) for e in (PLAIN, other, PLAIN.with_(**{"train.seed": 3}))]
    assert short_names(records) == ["MLP, Seed 0", "Small CNN, Seed 3", "MLP, Seed 3"]
    assert short_names([store.run(add(store, PLAIN, name="best")), *records[:1]]) == ["best", "MLP on Digits (8×8)"]


def test_settings_are_titled_as_in_the_forms() -> None:
    both = [PLAIN, CLIPPED]
    assert differing(both) == ["clip", "clip.threshold"]
    assert title_of("clip.threshold", both) == "Clipping · Threshold α"
    assert title_of("train.steps", both) == "Training · Steps (steps)"
    assert value_text("clip", PLAIN) == "none"
    assert value_text("clip", CLIPPED) == "By value"
    assert value_text("clip.threshold", PLAIN) == ""
    pruned = PLAIN.with_(prune=pc.Pruning(schedule=pc.OneShot(final=0.9, at=3)))
    assert differing([pruned, CLIPPED])[:3] == ["clip", "clip.threshold", "prune.criterion"]
    assert value_text("prune.criterion", CLIPPED) == "none"
