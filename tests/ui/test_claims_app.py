"""The Claims page without a browser: the samples, the form, a trial that is shown, found again, and taken away."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.claims import HEARD, Claim, ClippingPrunes, ManyTrainings, PruningCosts, claims
from prune_core.figures import IDEAS
from prune_core.jobs import Estimate, Lab
from prune_core.tracking import Store, Trials, execute
from prune_ui import claims_evidence, claims_read, session, tradeoffs_cost

TINY = PruningCosts(model=pc.MLP(width=8), seeds=2, steps=24, sparsities=(0.5, 0.9))
COST = Estimate(members=6, reused=2, shared=0, steps=60, steps_spared=0, seconds=11.2, workers=2, timed=1)


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An empty store that the page reads; estimates are given, and trials run in this process."""
    monkeypatch.setattr(session, "owner", lambda: "me")
    monkeypatch.setattr(claims_read, "FRESH_S", 0.0)
    monkeypatch.setattr(claims_read, "ENDED_S", 0.0)
    monkeypatch.setattr(tradeoffs_cost.estimates, "ask", lambda sweep: COST)
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)  # only app.py knows the pages
    made = Lab(store=Store(), home=home)
    monkeypatch.setattr(session, "lab", lambda: made)
    return made


def page(**link: str) -> AppTest:
    def script() -> None:
        from prune_ui import claims_state, claims_view

        claims_state.open_link()
        claims_view.show()

    app = AppTest.from_function(script, default_timeout=60)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def linked(app: AppTest, name: str) -> str:
    """What the URL says under ``name``; a list where a test put it there itself."""
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else value


def texts(app: AppTest) -> str:
    return " ".join(str(m.value) for m in [*app.markdown, *app.caption, *app.title, *app.error, *app.warning])


def test_every_claim_has_its_verdict_before_anything_is_clicked(lab: Lab) -> None:
    app = page()
    shown = texts(app)
    for entry in claims():
        assert entry.cls.statement.removesuffix(".") in shown
    words = [claims_read.samples()[name].verdict for name in HEARD]
    assert len(words) == len(HEARD) and all(words)
    assert shown.count("Does not hold") == sum(v is not None and v.word == "does not hold" for v in words)


def test_a_claim_opens_with_rule_verdict_formula_and_reference_and_goes_back(lab: Lab) -> None:
    app = page()
    app.button(key="claims/open/clipping_shrinks").click().run()
    shown = texts(app)
    assert Claim.registry["clipping_shrinks"].cls.rule in shown and "Rule, fixed before looking" in shown
    sample = claims_read.samples()["clipping_shrinks"]
    assert sample.verdict is not None and "Clipping removed no parameter" in sample.verdict.sentence
    assert "Clipping removed no parameter" in shown and "Reference" in shown
    assert sample.claim.formula(sample.table) in app.latex[0].value
    assert linked(app, "claim") == "clipping_shrinks"
    app.button(key="claims/back").click().run()
    assert app.title[0].value == "Claims" and "claim" not in app.query_params


@pytest.mark.parametrize("name", HEARD)
def test_every_claim_opens_by_its_link(name: str, lab: Lab) -> None:
    app = page(claim=name)
    assert Claim.registry[name].cls.statement.rstrip(".") in app.title[0].value
    view = claims_read.samples()[name]
    for picture in view.claim.pictures:
        figure = claims_evidence.drawn(view.table, picture)
        assert figure["data"] and figure["layout"]["meta"]["alt"].startswith(picture.title)
    assert {arm.idea for arm in view.claim.arms()} <= set(IDEAS)


def test_a_trial_is_started_shown_found_again_and_steered_by_its_owner_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    trial = lab.trial

    def here(claim: Claim, **more: Any) -> Any:
        asked.append({"claim": claim, **more})
        return trial(claim, owner=more["owner"], where="here")

    monkeypatch.setattr(lab, "trial", here)
    app = page(claim="pruning_costs", model="mlp", **{"model.width": "8"}, seeds="2", steps="24", sparsities="0.5, 0.9")
    claims_state_open(app)
    assert "6 runs" in texts(app) and "2 of them there already" in texts(app) and "12 s" in texts(app)
    app.button(key="claims/start").click().run()
    assert [one["claim"] for one in asked] == [TINY] and asked[0]["owner"] == "me" and asked[0]["estimate"] == COST
    trial_id = linked(app, "trial")
    shown = texts(app)
    found = lab.trial_handle(trial_id)
    assert found.verdict().sentence.split(";")[0].replace("\u00a0", " ")[:20] in shown.replace("\u00a0", " ")
    assert "Digits" in shown and "MLP" in shown and "2 seeds" in shown

    monkeypatch.setattr(session, "owner", lambda: "somebody else")
    other = page(trial=trial_id)
    assert "Pruning costs accuracy" in other.title[0].value
    assert claims_read.view(trial_id).mine is False
    with pytest.raises(KeyError):
        other.button(key="claims/stop")
    assert linked(other, "trial") == trial_id


def test_a_trial_that_goes_on_says_how_far_it_is_and_has_its_engine_looked_after(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = threading.Event()
    monkeypatch.setattr(lab, "_wake", woken.set)
    claim = ManyTrainings(model=pc.MLP(width=8), seeds=2, steps=20)
    trials = Trials(lab.store)
    trial = trials.begin(claim.to_dict(), claim.experiments(), owner="me", estimate=COST.to_dict())
    app = page(trial=trial)
    assert woken.wait(10), "an engine that died is started again by whoever looks"
    assert "Your trial" in badges(app) and "On trial" in badges(app) and "MLP" in texts(app)
    bar = app.get("progress")[0].proto
    assert bar.text.startswith("0 of 10 runs · ") and bar.text.endswith(" left") and "You may leave" in texts(app)
    view = claims_read.view(trial)
    height = claims_evidence.drawn(view.table, claim.pictures[0], claims_evidence._places(view, claim.pictures[0]))
    done = claims_evidence.drawn(claims_read.samples()["many_trainings"].table, claim.pictures[0])
    assert height["layout"]["height"] == done["layout"]["height"], "the chart will not grow when rows come in"
    app.button(key="claims/stop").click().run()
    assert trials.record(trial).status == "stopped"
    assert "Stopped after 0 of 10 runs" in texts(app) and "Go on" in texts(app)
    app.button(key="claims/resume").click().run()
    assert trials.record(trial).status == "running" and app.button(key="claims/stop")

    sweeps = trials.sweeps  # two runs of it are done, and it was stopped for an hour in between
    given = sweeps.give(sweeps.record(trial), [(p, claim.experiments().members()[p].experiment) for p in (0, 1)])
    for run_id in given:
        assert execute(lab.store, run_id) == "finished"
    sweeps.settle(trial, {0: {"state": "done"}, 1: {"state": "done"}})
    with lab.store.database.writing() as connection:
        connection.execute(text("UPDATE lab_sweeps SET created = created - 3600"))
    left = claims_read.view(trial, now=True).progress
    assert left is not None and left.done == 2 and left.seconds_left is not None and left.seconds_left < 120

    def broken() -> None:
        raise pc.LabError("No engine can be started here.")

    monkeypatch.setattr(lab, "_wake", broken)
    claims_read._woken.clear()
    claims_read._wake(lab.trial_handle(trial))
    assert claims_read.view(trial, now=True).problem == "No engine can be started here."


def test_of_a_trial_that_looks_at_models_the_figures_are_announced_and_what_is_done_is_not_asked_for_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "_wake", lambda: None)
    looks = ClippingPrunes(model=pc.MLP(width=8), seeds=2, steps=20, thresholds=(0.01,))
    trial = Trials(lab.store).begin(looks.to_dict(), looks.experiments(), owner="somebody else")
    app = page(trial=trial)
    assert "To be seen here once it is measured: weights that are exactly zero" in texts(app)
    assert "A trial in this lab" in badges(app) and not [b for b in app.button if b.key == "claims/stop"]
    app = page(trial=trial, guess="first")
    assert "On trial" in badges(app) and "To be seen here" not in texts(app), "figures wait for the guess, too"
    app.radio[0].set_value("holds").run()
    app.button(key=f"predict/claims/clipping_prunes/{trial}/done").click().run()
    assert not app.exception and "To be seen here" in texts(app) and not app.radio
    assert "Your guess" in " ".join(str(h.value) for h in app.get("html")), "in sight until the verdict"

    lab.trial(TINY, where="here", owner="somebody else")
    monkeypatch.setattr(tradeoffs_cost.estimates, "ask", lambda sweep: dataclasses.replace(COST, reused=6))
    app = page(claim="pruning_costs", model="mlp", **{"model.width": "8"}, seeds="2", steps="24", sparsities="0.5, 0.9")
    claims_state_open(app)
    assert "tried in this lab already" in texts(app)


def badges(app: AppTest) -> str:
    return " ".join(str(m.value) for m in app.markdown if "-badge[" in str(m.value))


def claims_state_open(app: AppTest) -> None:
    """Open the settings, as a click on their fold does."""
    app.session_state["claims/open"] = True
    app.run()
    assert not app.exception, app.exception


def test_mistakes_are_sentences(lab: Lab) -> None:
    app = page(claim="no_such_claim")
    assert "There is no claim" in texts(app) and app.title[0].value == "Claims"
    app = page(trial="s00000000")
    assert app.error and "There is no" in app.error[0].value
    app = page(claim="pruning_costs", sparsities="0.5, 2")
    claims_state_open(app)
    assert "must be 1 to 12 numbers" in texts(app) and app.button(key="claims/start").disabled


def test_whoever_wants_to_guess_first_sees_no_verdict_before(lab: Lab) -> None:
    app = page()
    app.toggle(key="claims/guess").set_value(True).run()
    assert "Guess first" in texts(app) and "Does not hold" not in texts(app)
    app.button(key="claims/open/pruned_faster").click().run()
    assert linked(app, "guess") == "first"
    verdict = claims_read.samples()["pruned_faster"].verdict
    assert verdict is not None and verdict.sentence not in texts(app)
    app.radio[0].set_value("holds").run()
    app.button(key="predict/claims/pruned_faster/sample/done").click().run()
    assert not app.exception and not app.radio
    assert verdict.sentence in texts(app).replace("\\", "")
