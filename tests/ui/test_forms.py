"""Forms come from the settings' own fields; a mistake gets its sentence beside the field and loses nothing."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from prune_core.clipping import NormClip, ValueClip
from prune_core.data import Digits, Moons
from prune_core.experiment import Experiment, Training
from prune_core.models import MLP, SmallCNN
from prune_core.pruning import Cubic, OneShot, Pruning, Random
from prune_core.settings import FieldSpec, Settings, setting
from prune_ui.draft import Draft, flatten, from_text, is_part, parse, short, to_text
from prune_ui.fields import field_help, log_options, slider_span

SKIP = frozenset({"start"})


class Everything(Settings):
    """A field of every kind."""

    whole: int = setting(3, ge=1, le=9, help="Whole.")
    share: float = setting(0.5, ge=0, lt=1, help="Share.", unit="parts")
    wide: float = setting(0.01, gt=0, le=1e6, log=True, help="Wide.")
    yes: bool = setting(False, help="Yes or no.")
    one_of: Literal["a", "b"] = setting("a", help="One of.")
    maybe: int | None = setting(None, ge=1, help="Maybe.")
    many: tuple[str, ...] = setting((), help="Many.", advanced=True)
    needed: str = setting(help="Needed.")


def spec(cls: type[Settings], name: str) -> FieldSpec:
    return next(s for s in cls.fields() if s.name == name)


def experiment(**changes: object) -> Experiment:
    values: dict[str, object] = {"data": Digits(), "model": SmallCNN()}
    return Experiment(**{**values, **changes})


def draft(value: Experiment | None = None) -> Draft[Experiment]:
    made: Draft[Experiment] = Draft(Experiment, SKIP)
    made.take(value or experiment())
    return made


# --- drafts -----------------------------------------------------------------------------------------------------------
EXPERIMENTS = [
    experiment(),
    experiment(clip=ValueClip(threshold=0.1 + 0.2), train=Training(lr=1e-3, steps=77)),
    experiment(clip=NormClip(max_norm=2, norm_type="inf"), prune=Pruning(scope="layer", keep_dense=("0.*", "7.*"))),
    experiment(prune=Pruning(scope="layer", layer_sparsity=("7=0.95", "*=0.5"))),
    experiment(prune=Pruning(criterion=Random(), schedule=OneShot(final=0.25, at=10)), train=Training(nesterov=True)),
    experiment(data=Moons(noise=0.3, label_noise=0.05), model=MLP(width=7, activation="tanh")),
    experiment(data=Digits(train_size=500), prune=Pruning(schedule=Cubic(final=0.5, start=0, stop=7, every=2))),
]


@pytest.mark.parametrize("value", EXPERIMENTS, ids=lambda e: e.digest)
def test_an_experiment_survives_form_and_link(value: Experiment) -> None:
    one = draft(value)
    assert one.build().value == value
    params = one.params()
    assert all(isinstance(v, str) for v in params.values())
    other = draft(experiment(clip=ValueClip(threshold=5), prune=Pruning(), train=Training(steps=999, lr=0.5)))
    assert other.read(params) == []
    assert other.build().value == value
    assert other.build().value.digest == value.digest


def test_a_link_names_what_was_chosen_and_what_differs_from_the_defaults() -> None:
    value = experiment(clip=ValueClip(threshold=0.02), prune=Pruning(schedule=Cubic(final=0.8)))
    assert draft(value).params() == {
        "data": "digits",
        "model": "small_cnn",
        "clip": "value",
        "clip.threshold": "0.02",
        "prune": "magnitude",
        "prune.granularity": "weights",
        "prune.schedule": "cubic",
        "prune.schedule.final": "0.8",
    }


def test_a_bad_link_says_what_is_wrong_and_keeps_the_rest() -> None:
    one = draft()
    wrong = one.read({"data": "digit", "clip": "norm", "clip.max_norn": "3", "train.steps": "50"})
    assert len(wrong) == 2
    assert "digit" in wrong[0] and "did you mean 'digits'?" in wrong[0]
    assert "clip.max_norn" in wrong[1] and "did you mean 'clip.max_norm'?" in wrong[1]
    built = one.build().value
    assert built is not None
    assert built.clip == NormClip() and built.train.steps == 50 and built.data == Digits()


def test_a_wrong_value_in_a_link_stays_visible_in_the_form() -> None:
    one = draft()
    assert one.read({"clip": "value", "clip.threshold": "abc"}) == []
    built = one.build()
    assert built.value is None
    assert "'abc'" in built.problems["clip:value.threshold"]


def test_changing_the_strategy_and_back_keeps_what_was_typed() -> None:
    one = draft(experiment(clip=ValueClip(threshold=0.5)))
    one.put("clip", "norm")
    one.put("clip:norm.max_norm", "7")
    assert one.build().value.clip == NormClip(max_norm=7)
    one.put("clip", "value")
    assert one.build().value.clip == ValueClip(threshold=0.5)
    one.put("clip", "none")
    assert one.build().value.clip is None


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("0", "greater than 0"),
        ("-1", "greater than 0"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("ten", "'ten'"),
        ("", "''"),
    ],
)
def test_a_wrong_threshold_is_named_with_bound_and_value(typed: str, problem: str) -> None:
    one = draft(experiment(clip=ValueClip()))
    one.put("clip:value.threshold", typed)
    built = one.build()
    assert built.value is None
    assert list(built.problems) == ["clip:value.threshold"]
    sentence = built.problems["clip:value.threshold"]
    assert problem in sentence and sentence.startswith("Threshold α must be")


def test_contradictions_stand_beside_the_part_they_belong_to() -> None:
    one = draft(experiment(prune=Pruning(schedule=Cubic(start=0, stop=300))))
    one.put("train.steps", 200)
    assert "200" in one.build().problems["prune"] and "300" in one.build().problems["prune"]
    one.put("data", "moons")
    assert "MLP" in one.build().problems["model"]
    two = draft()
    two.put("train.batch_size", 5000)
    assert two.build().problems["train"].startswith("Batch size must be at most 1442")
    two.put("train.batch_size", 64)
    two.put("train.warmup", 400)
    assert "Warmup must be less than steps (400)" in two.build().problems["train"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_and_read_to_the_same_bits(value: float) -> None:
    again = from_text(spec(Everything, "wide"), to_text(value))
    assert again == value and isinstance(again, float)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("wide", "0,5", 0.5),
        ("wide", " 1e-3 ", 0.001),
        ("wide", "−2", -2.0),
        ("wide", "1\u2009000", 1000.0),
        ("wide", "1\u202f000", 1000.0),
        ("whole", "4.0", 4),
        ("whole", "4.5", 4.5),
        ("maybe", "", None),
        ("maybe", "none", None),
        ("yes", "true", True),
        ("many", "a, b,,", ("a", "b")),
        ("needed", " x ", "x"),
    ],
)
def test_what_people_type_is_understood(name: str, text: str, value: object) -> None:
    assert parse(spec(Everything, name), text) == value


def test_every_field_of_every_registered_thing_can_be_drawn_and_linked() -> None:
    for _, part in ((s.name, s) for s in Experiment.fields() if is_part(s) and hasattr(s.type, "registry")):
        for entry in part.type.registry:
            for field in entry.cls.fields():
                assert field.help, f"{entry.name}.{field.name} has no help"
                assert field_help(field)
                if not field.required and not isinstance(field.default, Settings):
                    assert from_text(field, to_text(field.default)) == field.default


def test_problems_of_settings_are_sorted_by_field() -> None:
    found = Everything.problems({"whole": 0, "share": 2.0})
    assert set(found) == {"whole", "share", "needed"}
    assert Everything.problems({"needed": "x"}) == {}
    assert set(Training.problems({"nesterov": True, "momentum": 0.0})) == {""}


# --- sliders ----------------------------------------------------------------------------------------------------------
def test_a_logarithmic_slider_goes_through_the_decades_around_its_default() -> None:
    low, high = slider_span(spec(Everything, "wide"))
    assert (low, high) == pytest.approx((1e-5, 1))
    options = log_options((low, high))
    assert options[0] == pytest.approx(1e-5) and options[-1] == pytest.approx(1)
    assert all(a < b for a, b in pairwise(options))
    assert 0.013 in log_options((low, high), 0.013)
    assert len(log_options((low, high), 0.01)) == len(options)
    assert all(math.log2(o).is_integer() for o in log_options((1, 4096), whole=True))


def test_a_share_gets_a_slider_and_a_count_does_not() -> None:
    assert slider_span(spec(Everything, "share")) == (0, 0.99)
    assert slider_span(spec(Everything, "whole")) is None
    assert slider_span(spec(Everything, "maybe")) is None


# --- widgets ----------------------------------------------------------------------------------------------------------
def form_app() -> None:
    import streamlit as st

    from prune_core.clipping import ValueClip
    from prune_core.data import Digits
    from prune_core.experiment import Experiment
    from prune_core.models import SmallCNN
    from prune_core.pruning import Pruning
    from prune_ui.forms import Form

    first = Experiment(data=Digits(), model=SmallCNN(), clip=ValueClip(), prune=Pruning())
    form = Form("page", Experiment, first, skip=frozenset({"start"}))
    for part in ("data", "model", "train", "clip", "prune"):
        form.part(part)
    st.text(form.value.digest if form.value else "wrong")


def app() -> AppTest:
    found = AppTest.from_function(form_app, default_timeout=20).run()
    assert not found.exception
    return found


def captions(found: AppTest) -> str:
    return "\n".join(c.value for c in found.caption)


def test_the_form_shows_every_field_and_makes_the_experiment() -> None:
    found = app()
    first = Experiment(data=Digits(), model=SmallCNN(), clip=ValueClip(), prune=Pruning())
    assert found.text[0].value == first.digest
    for path, value in flatten(first):
        if short(path) not in (*SKIP, "train"):
            shown = [k for k in (f"page/{path}", f"page/{path}#text") if k in found.session_state]
            assert shown, (path, value)


def test_a_typed_mistake_is_said_beside_the_field_and_kept() -> None:
    found = app()
    field = found.text_input(key="page/clip:value.threshold#text")
    field.set_value("none of it").run()
    assert not found.exception
    assert found.text[0].value == "wrong"
    assert "Threshold α must be a number greater than 0" in captions(found) and "none of it" in captions(found)
    assert found.text_input(key="page/clip:value.threshold#text").value == "none of it"
    found.number_input(key="page/train.steps").set_value(333).run()
    assert found.text_input(key="page/clip:value.threshold#text").value == "none of it"
    found.text_input(key="page/clip:value.threshold#text").set_value("0,25").run()
    assert not found.exception and found.text[0].value != "wrong"
    assert found.select_slider(key="page/clip:value.threshold#slider").value == 0.25


def test_slider_and_exact_field_are_one_number() -> None:
    found = app()
    found.select_slider(key="page/clip:value.threshold#slider").set_value(0.1).run()
    assert found.text_input(key="page/clip:value.threshold#text").value == "0.1"
    found.slider(key="page/prune.schedule:cubic.final#slider").set_value(0.3).run()
    assert found.text_input(key="page/prune.schedule:cubic.final#text").value == "0.3"
    found.text_input(key="page/prune.schedule:cubic.final#text").set_value("0.987").run()
    assert found.slider(key="page/prune.schedule:cubic.final#slider").value == pytest.approx(0.987)
    assert not found.exception


def test_out_of_bounds_whole_numbers_are_said_too() -> None:
    found = app()
    found.number_input(key="page/train.steps").set_value(-5).run()
    assert "Steps must be a whole number at least 1" in captions(found) and "-5" in captions(found)
    assert found.number_input(key="page/train.steps").value == -5


def test_parts_come_and_go_and_remember() -> None:
    found = app()
    found.text_input(key="page/clip:value.threshold#text").set_value("0.5").run()
    found.selectbox(key="page/clip").set_value("norm").run()
    assert "page/clip:norm.max_norm#text" in found.session_state
    found.selectbox(key="page/clip").set_value("none").run()
    assert not found.exception and found.text[0].value != "wrong"
    found.selectbox(key="page/clip").set_value("value").run()
    assert found.text_input(key="page/clip:value.threshold#text").value == "0.5"
    found.toggle(key="page/prune").set_value(False).run()
    assert not [s for s in found.selectbox if s.key == "page/prune.criterion"]
    assert not found.exception
