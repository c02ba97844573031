"""The Clipping page's logic: sliders, lines and link are one truth; where a gradient comes from; what cannot be had."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.clipping import cliff
from prune_core.errors import EngineError, LabError
from prune_core.jobs import GradientReply, GradientRequest, SupersededError
from prune_core.jobs import gradients as side
from prune_core.jobs.gradients import gradient
from prune_core.training.gradient import load_gradients
from prune_ui import clipping_charts, clipping_gradient, clipping_state, clipping_words, session, theme
from prune_ui.clipping_state import Source

PAGE = Path(__file__).resolve().parents[2] / "pages" / "clipping.py"
FIRST = "50"


class Bench:
    """A lab whose preview worker is this process; ``failing`` is raised instead of an answer."""

    def __init__(self) -> None:
        self.asked: list[GradientRequest] = []
        self.failing: Exception | None = None

    def gradient(self, request: GradientRequest, *, session: str = "") -> GradientReply:
        self.asked.append(request)
        if self.failing is not None:
            raise self.failing
        reply = gradient(_url(), request)
        if isinstance(reply, LabError):
            raise reply
        return reply


def _url() -> str:
    return str(session.store().url)


@pytest.fixture
def bench(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    found = Bench()
    monkeypatch.setattr(session, "lab", lambda: found)
    for cache in (clipping_gradient._replies, side._replies, side._moments):
        cache.clear()
    yield found
    clipping_gradient._replies.clear()


@pytest.fixture
def visit(bench: Bench) -> Callable[..., AppTest]:
    def open_page(**link: str) -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=60)
        for name, value in link.items():
            page.query_params[name.replace("__", ".")] = value
        return page.run()

    return open_page


@pytest.fixture(scope="module")
def sample() -> GradientReply:
    """What the first visitor sees, made here from the file that ships."""
    return side.reply_of(load_gradients(theme.ASSETS / "samples" / "gradients.npz")[FIRST])


def slider(page: AppTest, label: str) -> Any:
    return next(s for s in page.select_slider if s.label.startswith(label))


def lesson(page: AppTest) -> str:
    """The sentence at the top, without its marks."""
    body = next(h.proto.body for h in page.get("html") if "lab-lesson" in h.proto.body)
    return re.sub(r"<[^>]*>", "", body).translate({0x2009: None, 0x202F: None, 0xA0: " "})


def errors(page: AppTest) -> str:
    assert not page.exception, [e.value for e in page.exception]
    return " ".join(e.value for e in page.error)


def url(page: AppTest) -> dict[str, str]:
    found = {name: page.query_params[name] for name in page.query_params}
    return {name: value if isinstance(value, str) else value[-1] for name, value in found.items()}


# --- what a visitor sees ----------------------------------------------------------------------------------------------
def test_a_newcomer_sees_a_gradient_without_an_engine(visit, bench, sample):
    page = visit()
    assert not errors(page) and bench.asked == []
    values = torch.from_numpy(sample.gradient.values).double()
    after = values.clamp(-0.01, 0.01)
    turn = torch.rad2deg(torch.acos(values @ after / values.norm() / after.norm()))
    text = lesson(page)
    changed = 100 * float((values.abs() > 0.01).double().mean())
    assert f"Clipping by value at 0.01 changed {changed:.1f} % of the gradient's 13706 entries" in text
    assert f"turned it by {float(turn):.1f}°" in text
    assert f"left {100 * float(after.norm() / values.norm()):.1f} % of its length" in text
    assert "removed 0 of 13706 parameters" in text and "every parameter is still there" in text
    assert {lane.name for lane in sample.lanes if not lane.why} == {
        s.key.removeprefix("clipping/at/") for s in page.select_slider if str(s.key).startswith("clipping/at/")
    }, "a slider for every strategy that has a curve"
    reasons = " ".join(c.value for c in page.caption)
    assert all(lane.why.split(";")[0] in reasons for lane in sample.lanes if lane.why)


def test_a_slider_moves_sentence_link_and_what_is_in_hand(visit, sample):
    page = visit()
    norm = next(lane for lane in sample.lanes if lane.name == "norm")
    stop = norm.thresholds[norm.nearest(0.5)]
    slider(page, "By norm").set_value(float(stop)).run()
    assert not errors(page)
    text = lesson(page)
    assert "Clipping by norm at 0.501 changed 79.8 %" in text and "did not turn it" in text
    assert f"left {100 * stop / norm.overall('norm_before')[0]:.1f} % of its length" in text
    assert url(page)["strategy"] == "norm" and url(page)["t.norm"] == "0.501"
    assert any("= 0.354 \\cdot g" in m.value for m in page.markdown), [m.value for m in page.markdown]

    again = visit(**{k.replace(".", "__"): v for k, v in url(page).items()})
    assert lesson(again) == text, "a link opens the same"
    assert slider(again, "By norm").value == pytest.approx(0.501)


def test_a_line_that_is_dragged_goes_to_the_sliders_stop(visit, monkeypatch):
    taken: dict[str, Callable[[float], None]] = {}

    def chart(figure: Any, *, key: str, on_drag: Any = None, **more: Any) -> None:
        taken[key] = on_drag

    monkeypatch.setattr(clipping_charts, "chart", chart)
    page = visit()
    assert {k for k, f in taken.items() if f} == {
        f"clipping/{n}" for n in ("norm_after", "changed", "cosine", "histogram")
    }
    assert not errors(page)
    state: dict[str, Any] = {clipping_state.LANE.name: "norm"}
    monkeypatch.setattr(session.st, "session_state", state)
    taken["clipping/changed"](0.00207)
    assert state[clipping_state.AT.name] == {"value": pytest.approx(0.002)}
    assert state[clipping_state.LANE.name] == "value"


def test_moments_that_ship_need_no_engine(visit, bench):
    page = visit()
    moment = next(s for s in page.select_slider if s.label == "Moment of training")
    for value, words in (("0", "before the first step"), ("200", "after 200 steps"), ("end", "after 400 steps")):
        moment.set_value(value).run()
        assert not errors(page) and words in lesson(page)
        moment = next(s for s in page.select_slider if s.label == "Moment of training")
    assert bench.asked == []
    assert url(page)["at"] == "end"


def test_another_batch_is_asked_for_once(visit, bench):
    page = visit(run="sample-dense", at="end", draw="7")
    assert not errors(page) and len(bench.asked) == 1
    assert bench.asked[0] == GradientRequest(run="sample-dense", step=None, examples=64, seed=7)
    text = lesson(page)
    page.run()
    assert len(bench.asked) == 1 and lesson(page) == text


def test_the_sample_that_ships_is_what_the_engine_would_say(home, sample):
    """Also a check that the file is of this version: another gradient of the same question would be a lie."""
    reply = gradient(_url(), GradientRequest(run="sample-dense", step=10))
    shipped = load_gradients(theme.ASSETS / "samples" / "gradients.npz")["10"]
    assert isinstance(reply, GradientReply)
    assert reply.gradient.values == pytest.approx(shipped.values, abs=1e-5)
    assert reply.gradient.names == shipped.names and reply.gradient.step == shipped.step == 10


def test_a_model_trained_for_it(visit, bench):
    page = visit(data="moons", model="mlp", model__depth="1", at="10", strategy="agc")
    assert not errors(page)
    assert bench.asked[0].experiment is not None and bench.asked[0].experiment.model == pc.MLP(depth=1)
    assert bench.asked[0].step == 10 and bench.asked[0].experiment.clip is None
    assert "Clipping, adaptive (AGC), at 0.01" in lesson(page)
    assert url(page)["model"] == "mlp" and url(page)["model.depth"] == "1"


def test_a_model_that_does_not_fit_its_data_is_a_sentence(visit, bench):
    page = visit(data="moons", model="small_cnn")
    assert not page.exception and bench.asked == []
    assert "Choose a run, or a model that fits" in " ".join(i.value for i in page.info)


@pytest.mark.parametrize("error", [EngineError("The engine does not answer."), OSError("gone")])
def test_no_engine_is_a_sentence_and_a_button(visit, bench, error):
    bench.failing = error
    page = visit(draw="3")
    assert str(error) in errors(page)
    bench.failing = None
    next(b for b in page.button if b.key == "clipping/again").click().run()
    assert not errors(page) and "13706" in lesson(page)


def test_a_newer_question_leaves_the_page_be(visit, bench):
    bench.failing = SupersededError("newer")
    assert not errors(visit(draw="3"))


def test_a_run_that_is_not_there(visit):
    page = visit(run="nowhere")
    assert "Run nowhere is not in this lab" in errors(page)
    assert "13706" in lesson(page), "and what everybody sees first"


@pytest.mark.parametrize(
    "link",
    [
        {"t__value": "nan", "t__norm": "-3", "t__nothing": "1", "strategy": "per_sample"},
        {"strategy": "x" * 500, "at": "77", "examples": "1e99", "draw": "-5"},
        {"at": "-1", "cliff_lr": "inf", "cliff_clip": "0", "layers": "<b>"},
    ],
)
def test_links_that_mean_nothing_do_no_harm(visit, link):
    page = visit(**link)
    assert not errors(page) and "removed 0 of" in lesson(page)


# --- the words --------------------------------------------------------------------------------------------------------
def test_every_formula_has_the_numbers_of_now(sample, monkeypatch):
    for lane in sample.lanes:
        if lane.why:
            continue
        formula = " ".join(clipping_words.formula(lane, lane.nearest(lane.quiet / 3), sample))
        assert formula, lane.name
        assert "nan" not in formula and formula.count("{") == formula.count("}")


def test_the_table_has_every_point_of_every_curve(sample):
    table = pd.read_csv(io.StringIO(clipping_words.table(sample.lanes).to_csv(index=False)))
    assert len(table) == sum(len(lane.thresholds) for lane in sample.lanes)
    row = table[(table["strategy"] == "value") & np.isclose(table["threshold"], 0.01)].iloc[0]
    assert row["changed"] == pytest.approx(float((np.abs(sample.gradient.values) > 0.01).mean()))
    assert row["norm_after"] == pytest.approx(float(np.linalg.norm(sample.gradient.values.clip(-0.01, 0.01))), rel=1e-5)


def test_the_other_norms_start_where_the_norm_does(sample):
    at = {lane.name: clipping_state.first(lane, sample.lanes) / lane.quiet for lane in sample.lanes if not lane.why}
    assert at["norm_1"] == pytest.approx(at["norm"]) == at["norm_inf"]


def test_the_cliff_says_what_its_descents_did(visit):
    page = visit(cliff_lr="0.5", cliff_clip="0.1")
    said = [h.proto.body for h in page.get("html") if "Without clipping the wall" in h.proto.body]
    plain, norm, _ = (cliff.descend(way, 0.5, 0.1) for way in cliff.WAYS)
    assert len(said) == 1 and f"w = {plain.points[-1][0]:.3g}" in said[0]
    assert f'clipped by norm at <b class="clipping">{norm.losses[-1]:.3g}</b>' in said[0]
    slider(page, "Learning rate").set_value(2.0).run()
    assert not errors(page) and url(page)["cliff_lr"] == "2"


def test_the_cliff_is_a_map_or_a_surface(visit, monkeypatch):
    shown: dict[str, Any] = {}
    monkeypatch.setattr(clipping_charts, "chart", lambda figure, *, key, **more: shown.update({key: (figure, more)}))
    page = visit()
    assert "clipping/cliff" in shown and "clipping/cliff_surface" not in shown and "cliff" not in url(page)
    shown.clear()
    page = visit(cliff="surface", cliff_lr="0.5")
    figure, more = shown["clipping/cliff_surface"]
    assert "clipping/cliff" not in shown and url(page)["cliff"] == "surface" and not errors(page)
    path = cliff.descend("norm", 0.5, clipping_state.FIRST_CLIP)
    stops = next(
        t
        for t in figure["data"]
        if t["type"] == "scatter3d" and t["name"] == "clipped by norm" and t["mode"] == "markers"
    )
    assert np.array_equal(np.column_stack([stops["x"], stops["y"]]), path.points)
    assert f"w = {path.points[-1][0]:.3g}" in more["alt"]
    page.segmented_control(key=clipping_state.CLIFF_SHOWN.name).set_value("map").run()
    assert not errors(page) and "cliff" not in url(page)


def test_a_source_is_known_by_what_decides_its_gradient():
    experiment = pc.Experiment(data=pc.Digits(), model=pc.SmallCNN())
    one = Source("a", GradientRequest(experiment=experiment, step=3), experiment)
    assert one.key == Source("b", GradientRequest(experiment=experiment, step=3), experiment).key
    assert one.key != Source("a", GradientRequest(experiment=experiment, step=4), experiment).key
