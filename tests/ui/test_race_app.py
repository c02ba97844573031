"""The Race page without a browser: its first view, its sentence, what its sliders do, and who may steer."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.comparing import race_finding
from prune_core.jobs import RaceHandle
from prune_core.tracking import SAMPLE_RACE, Races, Store, execute_race, race_table, repeat_space
from prune_core.training import RACE_PRESETS
from prune_ui import race_link, race_state, race_words, session

APP = str(Path(__file__).resolve().parents[2] / "app.py")


class NoEngine:
    """A lab whose races and sweeps wait for ever."""

    swept: ClassVar[list[Any]] = []

    def race(self, experiment: pc.Experiment, *, owner: str = "") -> RaceHandle:
        return self.race_handle(Races(session.store()).create(experiment, owner=owner))

    def race_handle(self, race: str) -> RaceHandle:
        return RaceHandle(race, Races(session.store()), lambda: None)

    def sweep(self, experiment: pc.Experiment, space: Any, **_: Any) -> None:
        NoEngine.swept.append([experiment.with_(**changes) for changes in space])


@pytest.fixture
def page(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The app in a home of its own, which opens with Race. No engine: whatever is launched waits."""
    monkeypatch.setattr(session, "lab", NoEngine)
    yield AppTest.from_file(APP, default_timeout=60)
    session._process.clear()


def bodies(page: AppTest) -> str:
    return "\n".join(block.proto.body for block in page.get("html"))


def lesson(page: AppTest) -> str:
    found = re.search(r'<p class="lab-lesson"[^>]*>(.*?)</p>', bodies(page), re.S)
    assert found
    return html.unescape(re.sub("<[^>]+>", "", found[1]))


def labels(page: AppTest) -> list[str]:
    return [b.label for b in page.button]


def shown(page: AppTest) -> str:
    name = race_state.SHOWN.name
    return str(page.session_state[name]) if name in page.session_state else ""


def small(steps: int = 6) -> pc.Experiment:
    return pc.Experiment(
        data=pc.Digits(), model=pc.MLP(), clip=pc.ValueClip(threshold=0.01),
        prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=2)),
        train=pc.Training(steps=steps, eval_every=3, snapshot_every=3, device="cpu"),
    )  # fmt: skip


def ended(experiment: pc.Experiment) -> str:
    store = session.store()
    race = Races(store).create(experiment, owner=session.owner())
    execute_race(store, race, list(Races(store).lanes(race).values()))
    return race


def test_first_view_is_a_finished_race_with_all_numbers_and_one_button(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error and not page.warning
    store = session.store()
    lanes = Races(store).lanes(SAMPLE_RACE)
    assert lesson(page) == race_finding(race_table(store, lanes.values())).sentence
    for lane, run_id in lanes.items():
        record = store.run(run_id)
        card = re.search(rf'<section class="lab-lane {lane}".*?</section>', bodies(page), re.S)
        text = re.sub("<[^>]+>", " ", card[0]).replace("\u202f", "")
        assert f" {record.summary['nonzero']} " in text and f"{100 * record.accuracy:.1f}\u00a0%" in text
        assert "–" not in text, "no number is missing"
    assert [b.label for b in page.button if b.proto.type == "primary"] == ["Race"]
    assert not page.query_params, "an address that says nothing but the default stays short"


def test_race_queues_the_four_lanes_of_the_form_and_names_itself_in_the_url(page: AppTest) -> None:
    page.run()
    page.number_input(key="race/train.seed").set_value(7).run()
    page.button(key="race/go").click().run()
    assert not page.exception
    wanted = RACE_PRESETS[0].experiment.with_(**{"train.seed": 7})
    store = Store()
    lanes = Races(store).lanes(shown(page))
    assert {n: store.run(i).experiment for n, i in lanes.items()} == pc.lanes_of(wanted)
    assert page.query_params["race"] in (shown(page), [shown(page)])
    assert "Pause" in labels(page) and "Race" not in labels(page)


def test_a_slider_restarts_the_race_or_changes_the_one_that_goes(page: AppTest) -> None:
    page.run()
    page.slider(key="race/slider/sparsity").set_value(0.5).run()
    assert shown(page) == "" and "race/go" in [b.key for b in page.button], "before a race it sets the next one"
    page.button(key="race/go").click().run()
    first, store = shown(page), session.store()
    page.slider(key="race/slider/sparsity").set_value(0.7).run()
    second = shown(page)
    assert second != first
    assert store.run(Races(store).lanes(second)["both"]).experiment.prune.schedule.final == 0.7
    assert {store.run(i).status for i in Races(store).lanes(first).values()} == {"cancelled"}, "the one before ended"
    page.radio(key="race/mode/widget").set_value("intervene").run()
    page.select_slider(key="race/slider/clip_threshold").set_value(0.1).run()
    assert shown(page) == second
    assert [(c.command, c.value) for c in store.controls(second)] == [("set:clip_threshold", 0.1)]
    assert page.select_slider(key="race/slider/clip_threshold").value == 0.1, "it does not jump back"


def test_what_a_browser_reports_of_the_pages_own_moves_starts_no_race(page: AppTest) -> None:
    """When a race ends its sliders go back to the form; browsers report where they stood, and where they stand now."""
    page.run()
    page.button(key="race/go").click().run()
    race, store, slider = shown(page), session.store(), "race/slider/clip_threshold"
    own = page.select_slider(key=slider).value
    page.text_input(key="race/clip:value.threshold#text").set_value("0.5").run()  # at the side, for the next race
    assert page.select_slider(key=slider).value == own != 0.5, "it stands at what holds in the race that goes"
    for run_id in Races(store).lanes(race).values():
        store.claim(run_id, "t", "w")
        store.finish(run_id, "t", "stopped", "", {})
    race_state.view_of(race, now=True)
    page.run()
    assert page.select_slider(key=slider).value == 0.5
    for reported in (own, 0.5):
        page.select_slider(key=slider).set_value(reported).run()
        assert shown(page) == race and page.select_slider(key=slider).value == 0.5
    page.select_slider(key=slider).set_value(own).run()
    assert shown(page) != race, "and then somebody means it"


def test_pause_step_speed_and_reset_reach_the_race(page: AppTest) -> None:
    page.run()
    page.button(key="race/go").click().run()
    race, store = shown(page), session.store()
    for run_id in Races(store).lanes(race).values():
        store.claim(run_id, "t", "w")
    race_state.view_of(race, now=True)  # as the feed's thread does a moment later
    page.run()
    page.segmented_control(key="race/pace/widget").set_value("slow").run()
    page.button(key="race/pause").click().run()
    page.button(key="race/step").click().run()
    told = [(c.command, c.value) for c in store.controls(race)]
    assert told == [("pace", 40.0), ("pause", None), ("step", 1.0)]
    page.button(key="race/reset").click().run()
    assert store.controls(race)[-1].command == "stop"
    assert not page.exception and "neither" in bodies(page), "cards without numbers"
    page.button(key="race/go").click().run()
    assert [c.command for c in store.controls(shown(page))] == ["pace"], "the next one goes as slowly"


@pytest.mark.parametrize("held", [False, True], ids=["running", "paused"])
def test_stop_ends_the_race_and_what_was_measured_stays(page: AppTest, held: bool) -> None:
    page.run()
    page.button(key="race/go").click().run()
    race, store = shown(page), session.store()
    lanes = Races(store).lanes(race)
    assert "Cancel" in labels(page), "what waits has nothing to keep"
    for run_id in lanes.values():
        store.claim(run_id, "t", "w")
        if held:
            store.append(run_id, "t", status="paused")
    race_state.view_of(race, now=True)  # as the feed's thread does a moment later
    page.run()
    page.button(key="race/stop").click().run()
    assert [c.command for c in store.controls(race)] == ["stop"]
    for run_id in lanes.values():
        store.append(run_id, "t", steps=[(3, 1.0, 2.0, 1.0, 0.25, 1.0, 0.1, 0.0)])
        store.finish(run_id, "t", "stopped", "", {"accuracy": 0.5, "loss": 1.0, "parameters": 8970, "nonzero": 8970})
    race_state.view_of(race, now=True)
    page.run()
    assert not page.exception
    assert bodies(page).count("Stopped at step\u00a03") == 4
    assert lesson(page).endswith("(1 seed, stopped at step 3).") and "changed 25.0" in lesson(page)
    keys = [b.key for b in page.button]
    assert "race/stop" not in keys and "race/repeat" not in keys and "race/retry" in keys
    Races(store).requeue(race)  # and goes on, to its end: no number of the stop stays
    for run_id in lanes.values():
        store.claim(run_id, "t", "w")
        store.append(run_id, "t", steps=[(4, 1.0, 2.0, 1.0, 0.75, 1.0, 0.1, 0.0)])
        store.finish(run_id, "t", "finished", "", {"accuracy": 0.5, "loss": 1.0, "parameters": 8970, "nonzero": 8970})
    race_state.view_of(race, now=True)
    page.run()
    assert lesson(page).endswith("(1 seed).") and "changed 75.0" in lesson(page)


def test_others_watch_and_cannot_steer(page: AppTest) -> None:
    race = Races(session.store()).create(small(), owner="somebody")
    page.query_params["race"] = race
    page.run()
    assert not page.exception
    assert not {"Pause", "Resume", "Cancel"} & set(labels(page)) and "Race" in labels(page)
    assert page.button(key="race/stop").disabled
    assert page.slider(key="race/slider/sparsity").disabled
    race_state._may(race)
    assert not session.store().controls(race)


def test_a_race_that_is_gone_is_said_and_the_sample_shown(page: AppTest) -> None:
    page.query_params["race"] = "race-000000000000"
    page.run()
    assert not page.exception
    assert "There is no race" in page.error[0].value and "Clipping changed" in lesson(page)


def test_a_preset_fills_the_form_and_is_named(page: AppTest) -> None:
    page.run()
    page.selectbox(key="race/preset").set_value("exploding").run()
    assert not page.exception
    assert page.selectbox(key="race/model").value == "row_lstm"
    assert page.select_slider(key="race/slider/clip_threshold").value == 0.01
    page.number_input(key="race/train.steps").set_value(300).run()
    assert page.selectbox(key="race/preset").value == "own"


def test_repeats_make_the_sentence_a_mean_over_seeds(page: AppTest) -> None:
    race = ended(small())
    page.query_params["race"] = race
    page.run()
    assert "(1 seed)" in lesson(page)
    page.button(key="race/repeat").click().run()
    assert [e.digest for e in NoEngine.swept.pop()] == [small().with_(**c).digest for c in repeat_space(small())]
    store = session.store()
    ids = [store.create(small().with_(**changes)) for changes in repeat_space(small())]
    for k, run_id in enumerate(ids):
        store.claim(run_id, "t")
        store.append(run_id, "t", steps=[(6, 1.0, 1.0, 1.0, 0.1 + k / 100, 1.0, 0.1, 0.0)])
        left = 1000 if store.run(run_id).experiment.prune is None else 200
        store.finish(run_id, "t", "finished", "", {"accuracy": 0.9, "loss": 0.3, "parameters": 8970, "nonzero": left})
    page.session_state["race/repeats started"] = 0.0
    fresh = AppTest.from_file(APP, default_timeout=60)  # somebody else, later: found again by digest
    fresh.query_params["race"] = race
    race_words._found.clear()
    fresh.run()
    table = race_table(store, [*Races(store).lanes(race).values(), *ids])
    assert lesson(fresh) == race_finding(table).sentence
    assert "5 seeds, mean and 95\u00a0% interval" in lesson(fresh)
    assert "race/repeat" not in [b.key for b in fresh.button]


def test_a_race_changed_in_mid_race_stands_for_itself(page: AppTest) -> None:
    store = session.store()
    race = Races(store).create(small(), owner=session.owner())
    Races(store).send(race, "set:lr", 0.01)
    execute_race(store, race, list(Races(store).lanes(race).values()))
    page.query_params["race"] = race
    page.run()
    assert "(1 seed)" in lesson(page) and "race/repeat" not in [b.key for b in page.button]


def test_a_link_to_a_run_from_before_leads_to_train(page: AppTest) -> None:
    page.query_params["run"] = "sample-dense"
    page.run()
    assert not page.exception
    assert "train/go" in [b.key for b in page.button]


def test_the_code_on_the_page_is_a_race(page: AppTest) -> None:
    from prune_ui import take_away

    page.session_state["race/code"] = True
    page.run()
    code = next(c.value for c in page.code if "pc.race(experiment)" in c.value)
    names: dict[str, object] = {}
    exec(code.removesuffix(take_away.RACE), names)
    assert names["experiment"] == RACE_PRESETS[0].experiment
    assert code.endswith(take_away.RACE)


# --- from a run to its race -------------------------------------------------------------------------------------------
def test_a_runs_settings_are_raced_and_what_they_lack_is_filled_in(page: AppTest) -> None:
    plain = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=40, lr=0.05, seed=3))
    own = small()
    for experiment in (own, plain, plain.replace(clip=pc.NormClip(max_norm=0.5)), own.replace(clip=None)):
        params = race_link.params_of(experiment)
        page.query_params.clear()
        for name, value in (params or {}).items():
            page.query_params[name] = value
        page.run()
        assert not page.exception and not page.warning
        form = page.session_state["race/draft"]
        said = " ".join(one.value for one in page.info)
        assert ("clipping by value 0.01" in said) == (experiment.clip is None), said
        assert ("magnitude pruning to 90" in said) == (experiment.prune is None), said
        assert form["train.steps"] == experiment.train.steps
        if experiment.prune is None:
            assert (form["prune.schedule:cubic.start"], form["prune.schedule:cubic.stop"]) == (10, 30), (
                "within 40 steps"
            )
    page.button(key="race/go").click().run()
    first = RACE_PRESETS[0].experiment
    both = Store().run(Races(Store()).lanes(shown(page))["both"]).experiment
    assert both == own.replace(clip=first.clip), "nothing else of the run's settings has changed"
    assert not page.info, "once it is raced the line goes"
