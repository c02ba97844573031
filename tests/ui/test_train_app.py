"""The Train page without a browser: what it shows first, what a mistake says, and what its form makes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from prune_core.data import Digits
from prune_core.errors import StoreUnavailableError
from prune_core.experiment import Experiment
from prune_core.models import SmallCNN
from prune_core.tracking import Store
from prune_ui import session, train_charts
from prune_ui.live import LiveRun, feed
from prune_ui.train_actions import SHOWN

APP = str(Path(__file__).resolve().parents[2] / "pages" / "train.py")


@pytest.fixture
def page(home: Path) -> Iterator[AppTest]:
    """The page in a home of its own. No engine: whatever is launched here waits."""
    yield AppTest.from_file(APP, default_timeout=60)
    session._process.clear()


def texts(page: AppTest) -> str:
    return "\n".join(str(c.value).replace("\\", "") for c in [*page.caption, *page.error, *page.warning])


def train_button(page: AppTest) -> Any:
    return page.button(key="train/go")


def typed(page: AppTest, path: str, text: str) -> AppTest:
    return page.text_input(key=f"train/{path}#text").set_value(text).run()


def test_first_view_is_the_sample_run_and_one_button(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert not texts(page).count("error")
    shown = {m.label: m.value for m in page.metric}
    sample = session.store().samples()[0]
    assert shown["Test accuracy"].replace("\u00a0", " ") == f"{100 * sample.accuracy:.1f} %"
    assert math.isclose(float(shown["Weights removed"].split("\u00a0")[0]), 100 * sample.sparsity, abs_tol=0.05)
    assert not train_button(page).disabled
    said = " ".join(m.value for m in page.markdown)
    removed, total = round(sample.sparsity * 13584), r"13\,584"
    assert "max(g_i, -0.01)" in said and rf"\frac{{{removed:,}}}{{{total}}}".replace(",", r"\,", 1) in said
    assert not [b for b in page.button if b.key == "train/pause"] and page.button(key="train/stop").disabled


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("clip:value.threshold", "0", "a number greater than 0"),
        ("clip:value.threshold", "-0.5", "a number greater than 0"),
        ("clip:value.threshold", "nan", "Threshold"),
        ("clip:value.threshold", "much", "Threshold"),
        ("prune.schedule:cubic.final", "1", "less than 1"),
        ("prune.schedule:cubic.final", "-0.1", "at least 0"),
        ("train.lr", "inf", "Learning rate"),
    ],
)
def test_a_mistake_is_said_and_nothing_is_lost(page: AppTest, path: str, text: str, words: str) -> None:
    typed(page.run(), path, text)
    assert not page.exception
    assert words.lower() in texts(page).lower(), texts(page)
    assert text in texts(page) or text in ("nan", "inf"), "the value that was typed is named"
    assert train_button(page).disabled
    assert page.text_input(key=f"train/{path}#text").value == text
    typed(page, path, "0.5")
    assert not train_button(page).disabled


def test_a_schedule_past_the_end_is_said_at_pruning_and_can_be_put_right(page: AppTest) -> None:
    page.run()
    page.number_input(key="train/train.steps").set_value(50).run()
    assert train_button(page).disabled
    repair = next(b for b in page.button if str(b.key).startswith("train/repair/prune"))
    repair.click().run()
    assert not train_button(page).disabled
    assert page.number_input(key="train/train.steps").value == 50


def test_a_model_that_cannot_read_the_data_gives_way_and_says_so(page: AppTest) -> None:
    page.run()
    page.selectbox(key="train/data").set_value("moons").run()
    assert page.selectbox(key="train/model").value == "mlp"
    assert "The model is now" in texts(page)
    page.selectbox(key="train/model").set_value("small_cnn").run()  # on purpose
    assert train_button(page).disabled
    assert page.selectbox(key="train/model").value == "small_cnn", "what was chosen stays"
    assert any(str(b.key).startswith("train/repair/model") for b in page.button)


def test_a_link_makes_the_experiment_it_says(page: AppTest) -> None:
    link = {"data": "digits", "model": "mlp", "clip": "norm", "clip.max_norm": "0.25", "prune": "none",
            "train.steps": "77", "train.lr": "0.03", "train.seed": "5"}  # fmt: skip
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    made = form_value(page)
    flat = made.flat()
    assert (flat["data"], flat["model"], flat["clip"], made.prune) == ("digits", "mlp", "norm", None)
    assert (flat["clip.max_norm"], flat["train.steps"], flat["train.lr"], flat["train.seed"]) == (0.25, 77, 0.03, 5)


def form_value(page: AppTest) -> Experiment:
    """The experiment that the page's draft makes, outside the page."""
    from prune_ui.draft import Draft
    from prune_ui.train_form import SKIP

    draft: Draft[Experiment] = Draft(Experiment, SKIP, dict(page.session_state["train/draft"]))
    value = draft.build().value
    assert value is not None
    return value


def test_train_stores_exactly_the_forms_experiment(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoEngine:
        """A lab whose runs wait for ever."""

        def launch(self, experiment: Experiment, *, owner: str = "") -> Any:
            return type("Handle", (), {"id": session.store().create(experiment, owner=owner)})

    monkeypatch.setattr(session, "lab", NoEngine)
    page.run()
    page.number_input(key="train/train.steps").set_value(333).run()
    typed(page, "clip:value.threshold", "0.05")
    wanted = form_value(page)
    train_button(page).click().run()
    assert not page.exception
    runs = Store().runs(statuses=["queued"])
    assert len(runs) == 1
    stored = Store().run(runs["id"].iloc[0])
    assert stored.experiment == wanted
    assert stored.digest == wanted.digest
    assert (stored.experiment.train.steps, stored.experiment.clip.threshold) == (333, 0.05)
    assert [b.label for b in page.button if b.key == "train/stop"] == ["Cancel"], "it waits"


def test_a_run_that_is_gone_is_said_and_the_sample_shown(page: AppTest) -> None:
    page.query_params["run"] = "000000000000"
    page.run()
    assert not page.exception
    assert "There is no run" in texts(page)
    assert page.metric[0].value != "–"


def test_a_store_that_is_away_for_a_moment_loses_no_run(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Store().create(Experiment(data=Digits(), model=SmallCNN()))
    page.query_params["run"] = chosen
    sample = [m.value for m in AppTest.from_file(APP, default_timeout=60).run().metric]
    with monkeypatch.context() as patch:
        patch.setattr(Store, "live", lambda *a, **k: (_ for _ in ()).throw(StoreUnavailableError("The store is busy.")))
        page.run()
        assert not page.exception and "The store is busy" in texts(page)
    page.run()
    assert "The store is busy" not in texts(page)
    assert page.session_state[SHOWN.name] == chosen
    assert [m.value for m in page.metric] != sample, "it is the run that is shown"


def test_data_that_is_not_there_ends_with_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import prune_core as pc
    from prune_core.tracking import execute

    monkeypatch.setenv("PRUNE_LAB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr("prune_core.fetching.fetch", lambda *a, **k: pytest.fail("no internet"), raising=False)
    store = Store()
    run_id = store.create(pc.Experiment(data=pc.MNIST(), model=pc.LeNet300(), train=pc.Training(steps=5)))
    assert execute(store, run_id) == "failed"
    page = AppTest.from_file(APP, default_timeout=60)
    page.query_params["run"] = run_id
    page.run()
    assert not page.exception
    assert "MNIST" in texts(page) and "Failed" in texts(page)
    session._process.clear()


# --- races that a browser can run into --------------------------------------------------------------------------------
def late(page: AppTest, params: dict[str, str]) -> None:
    page.query_params.clear()
    for name, value in params.items():
        page.query_params[name] = value


def test_a_late_message_with_the_old_address_loses_no_run(page: AppTest) -> None:
    page.query_params["train.steps"] = "300"
    page.run()
    run_id = session.store().create(form_value(page), owner="somebody")
    before = dict(page.query_params)
    page.session_state[SHOWN.name] = run_id
    page.run()
    assert page.query_params["run"] in (run_id, [run_id])
    late(page, before)  # sent before the browser took the new address
    page.run()
    assert page.session_state[SHOWN.name] == run_id
    assert page.query_params["run"] in (run_id, [run_id])


def test_every_widget_starts_from_the_value_it_shows(page: AppTest) -> None:
    """A browser that sees only the second of two quick runs starts from the default: it must be the value."""
    page.run()
    page.run()  # in this one nothing was set anew
    for widget in (*page.selectbox, *page.number_input, *page.text_input, *page.toggle):
        default = widget.proto.default if widget.type == "toggle" or widget.proto.HasField("default") else None
        shown = widget.index if widget.type == "selectbox" else widget.value
        assert default == shown, widget.key
    for slider in page.select_slider:
        assert [slider.options[int(i)] for i in slider.proto.default] == [slider.format_func(slider.value)]
    sparsity = page.slider(key="train/prune.schedule:cubic.final#slider")
    assert list(sparsity.proto.default) == [sparsity.value]


# --- what the charts are given ----------------------------------------------------------------------------------------
def test_the_axis_of_a_long_run_grows_with_it(home: Path) -> None:
    import prune_core as pc

    store = Store()
    exp = pc.Experiment(data=pc.Digits(), model=pc.MLP(), train=pc.Training(steps=64_000))
    run_id = store.create(exp)
    store.claim(run_id, "t", "w")
    ends = []
    for step in (1, 2_000, 20_000):
        store.append(run_id, "t", steps=[(step, 1.0, 1.0, 1.0, 0.0, 1.0, 0.1, 0.0)])
        run: LiveRun = feed().get(run_id, now=True)
        ends.append(train_charts.reach(run))
        assert run.step <= ends[-1] <= 64_000
    assert ends == sorted(ends) and ends[0] <= 1000 and ends[-1] == 64_000
    session._process.clear()


def test_the_plan_follows_a_target_changed_in_mid_run(home: Path) -> None:
    import prune_core as pc
    from prune_core.events import InterventionEvent

    store = Store()
    prune = pc.Pruning(schedule=pc.Cubic(final=0.9, start=0, stop=100))
    run_id = store.create(pc.Experiment(data=pc.Digits(), model=pc.MLP(), prune=prune, train=pc.Training(steps=200)))
    store.claim(run_id, "t", "w")
    store.append(run_id, "t", marks=[InterventionEvent(50, "sparsity", 0.5, "page")])
    plan = dict(train_charts.plan(feed().get(run_id, now=True)) or [])
    assert plan[49] == pytest.approx(prune.schedule(49))
    assert plan[200] == pytest.approx(0.5)
    session._process.clear()


def test_a_criterion_for_before_training_brings_its_schedule(page: AppTest) -> None:
    page.run()
    page.selectbox(key="train/prune.criterion").select("synflow").run()
    assert not page.exception
    assert page.selectbox(key="train/prune.schedule").value == "one_shot"
    assert "for before training" in "\n".join(str(c.value) for c in [*page.caption, *page.info, *page.toast])
    assert not train_button(page).disabled
    # another schedule is possible to choose, and says what is wrong, with a way back
    page.selectbox(key="train/prune.schedule").select("cubic").run()
    assert "SynFlow is defined before training" in texts(page)
    assert train_button(page).disabled
    repair = next(b for b in page.button if "before the first step" in b.label)
    repair.click().run()
    assert not train_button(page).disabled


def test_groups_bring_their_sparsity_and_what_cannot_be_is_named(page: AppTest) -> None:
    page.run()
    box = page.selectbox(key="train/prune.granularity")
    assert "Attention heads" not in box.options  # a network without attention is chosen
    assert "it needs nn.MultiheadAttention layers" in texts(page)
    box.select("n_of_m").run()
    assert "The sparsity is now 50\xa0%" in texts(page)
    prune = form_value(page).prune
    assert prune is not None and prune.schedule.final == 0.5
    assert not {"ERK", "by sensitivity"} & set(page.selectbox(key="train/prune.scope").options)
    page.selectbox(key="train/prune.granularity").select("filters").run()
    assert "Wanda" not in page.selectbox(key="train/prune.criterion").options
    assert not train_button(page).disabled and not page.exception


@pytest.mark.parametrize(
    ("link", "words", "button"),
    [
        ({"prune.distill": "on", "prune.schedule.at": "0"}, "Distillation needs a network", "No distill"),
        ({"prune.regrow": "straight_through", "prune.rewind": "random"}, "Regrowth must be None", "No regrowth"),
    ],
)
def test_what_does_not_go_with_the_rest_can_be_left_out(page: AppTest, link: dict, words: str, button: str) -> None:
    for name, value in {"prune": "magnitude", "prune.schedule": "one_shot", **link}.items():
        page.query_params[name] = value
    page.run()
    assert words in texts(page)
    next(b for b in page.button if b.label.startswith(button)).click().run()
    assert words not in texts(page)
    prune = form_value(page).prune
    assert prune is not None
    assert (prune.distill, prune.regrow) == (None, None)


def test_the_code_on_the_page_makes_what_the_form_says(page: AppTest) -> None:
    import prune_core as pc

    page.run()
    page.session_state["train/code"] = True
    typed(page, "clip:value.threshold", "0.037")
    code = next(c.value for c in page.code if "pc.Experiment(" in c.value)
    names: dict[str, Any] = {}
    exec(code.split("result")[0], names)
    assert isinstance(names["experiment"], pc.Experiment)
    assert names["experiment"].clip == pc.ValueClip(threshold=0.037)
