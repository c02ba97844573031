"""The Runs page without a browser: the table, its filter, comparison, deleting and coming back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import StoreUnavailableError
from prune_core.events import EvalEvent
from prune_core.tracking import Store
from prune_ui import runs_engine, runs_state, runs_table, session
from prune_ui.naming import differing, short_names, title_of, value_text
from prune_ui.runs_table import displayed, filtered

PLAIN = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=20))
CLIPPED = PLAIN.with_(clip=pc.ValueClip(threshold=0.02))


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store that the pages read; nothing asks an engine."""
    made = Store()
    nobody = runs_engine.Engine(pd.DataFrame(columns=["name", "role", "state", "run", "pid"]), pd.DataFrame())
    monkeypatch.setattr(runs_engine, "engine", lambda: nobody)
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
    frame = runs_table.listing(now=True).frame
    assert filtered(frame, "mine", [], None)["name"].tolist() == ["mine"]
    assert filtered(frame, "VALUE mlp", [], None)["name"].tolist() == ["mine"]
    assert filtered(frame, "mine nothing-like-it", [], None).empty
    assert filtered(frame, "", ["failed"], None)["owner"].tolist() == ["bob"]
    assert filtered(frame, "", [], "ann")["name"].tolist() == ["mine"]
    assert filtered(frame, "", ["sample"], None)["sample"].all()


def test_the_table_reads_like_words(store: Store) -> None:
    add(store, PLAIN.with_(prune=pc.Pruning(schedule=pc.OneShot(final=0.9, at=3))))
    row = displayed(filtered(runs_table.listing(now=True).frame, "", ["finished"], None)).iloc[0]
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


def test_one_run_shows_how_it_ended(store: Store) -> None:
    app = page(add(store, PLAIN, status="failed"))
    assert [e.value for e in app.error] == ["as told"]
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
    assert names[1] == "Threshold α 0.5"
    assert len(set(names)) == 3
    assert names[0].startswith("Threshold α 0.02 (")


def test_settings_are_titled_as_in_the_forms() -> None:
    both = [PLAIN, CLIPPED]
    assert differing(both) == ["clip", "clip.threshold"]
    assert title_of("clip.threshold", both) == "Clipping · Threshold α"
    assert title_of("train.steps", both) == "Training · Steps (steps)"
    assert value_text("clip", PLAIN) == "none"
    assert value_text("clip", CLIPPED) == "By value"
    assert value_text("clip.threshold", PLAIN) == ""
