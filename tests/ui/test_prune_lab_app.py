"""The Prune page's sections: only the open one is computed; criteria, pictures, what was forgotten, noise."""

from __future__ import annotations

import pandas as pd
import pytest
from prune_bench import DENSE, Bench, Open, answer, button, errors, lesson, said, url
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import ConfigError
from prune_core.jobs import AgreementProbe, AnswersProbe, ExamplesProbe, NoiseProbe, PreviewRequest
from prune_core.probing import LEVELS
from prune_ui import prune_asking, prune_criteria, prune_sections
from prune_ui.gallery import Card, gallery


def html(page: AppTest) -> str:
    return " ".join(h.proto.body for h in page.get("html"))


def asked(bench: Bench, kind: type) -> list:
    return [p for p in bench.probes if isinstance(p.questions[0], kind)]


def progress(page: AppTest) -> str:
    return " ".join(bar.proto.text for bar in page.get("progress"))


# --- sections ---------------------------------------------------------------------------------------------------------
def test_hidden_sections_cost_nothing(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE)
    assert not errors(page) and not bench.probes
    assert "show" not in url(page) and not any(request.tiles for request, _ in bench.asked)
    page.session_state[prune_sections.OPEN.name] = prune_sections.NAMES["noise"]
    page.run()
    assert url(page)["show"] == "noise"
    assert {type(q) for p in bench.probes for q in p.questions} == {NoiseProbe}


def test_every_section_opens_by_its_link(prune_page: Open) -> None:
    page = prune_page(run=DENSE, show="nosection", sparsity="0.9")
    for name, label in prune_sections.NAMES.items():
        page.session_state[prune_sections.OPEN.name] = label
        page.run()
        assert not errors(page) and "of 13584 weights" in lesson(page)
        assert url(page).get("show", "cut") == name


def test_every_section_says_what_it_cannot_do_without_data(prune_page: Open) -> None:
    page = prune_page(model="squeezenet1_1", weights="random", show="criteria")
    assert not errors(page) and "there are no curves" in said(page) and "ρ" in said(page)
    for name in ("forgotten", "noise", "layers", "pictures"):
        page.session_state[prune_sections.OPEN.name] = prune_sections.NAMES[name]
        page.run()
        assert not errors(page)
        assert name == "pictures" or "belong to this model" in said(page) or "belongs to this model" in said(page)


def test_a_slider_that_moved_takes_its_question_back(prune_page: Open, bench: Bench) -> None:
    bench.at_once = 0
    page = prune_page(run=DENSE, show="noise", sparsity="0.5")
    (first,) = bench.probes
    assert page.session_state["prune/growing"] and f"0 of {len(LEVELS)} levels" in progress(page)
    page.slider(key="prune/sparsity").set_value(0.7).run()
    assert first.cancelled and not bench.probes[-1].cancelled and len(bench.probes) == 2
    other = prune_page(run=DENSE, show="noise", sparsity="0.7")  # somebody else looks at the same
    assert len(bench.probes) == 2
    page.slider(key="prune/sparsity").set_value(0.2).run()
    assert not bench.probes[1].cancelled, "the other one still waits for it"
    assert not errors(other)


def test_what_fails_is_said_once_and_asked_again_by_a_button(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="noise")
    bench.probes[-1].known = {}
    one = next(iter(prune_asking._asked.values()))
    one._made.clear()

    def fail() -> dict[int, object]:
        raise ConfigError("The worker is on fire.")

    bench.probes[-1].replies = fail
    page.run()
    page.run()
    assert "The worker is on fire." in errors(page) and len(bench.probes) == 1, "not asked again by itself"
    button(page, "Try again").click().run()
    assert not errors(page) and len(bench.probes) == 2


def test_an_engine_that_cannot_be_asked_is_said(
    prune_page: Open, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise ConfigError("The engine is gone.")

    monkeypatch.setattr(bench, "ask", gone)
    page = prune_page(run=DENSE, show="noise")
    assert errors(page) == "The engine is gone."


# --- criteria ---------------------------------------------------------------------------------------------------------
def test_five_criteria_are_compared_without_a_click(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="criteria", sparsity="0.9")
    assert not errors(page)
    (probe,) = [p.questions[0] for p in asked(bench, AgreementProbe)]
    assert [type(c) for c in probe.criteria] == [pc.Magnitude, pc.Random, pc.RelativeMagnitude, pc.LAMP, pc.Taylor]
    text = said(page)
    assert "Nearly one order of the weights: Magnitude and LAMP" in text
    assert "No more in common than two random masks would have (5\u00a0%): Random with every other." in text
    assert "At 90 % removed Magnitude keeps" in text
    (curves,) = asked(bench, PreviewRequest)
    first = curves.questions[5]
    assert (first.sparsity, type(first.criterion), first.picture) == (0.9, pc.Magnitude, False)


def test_criteria_are_chosen_and_kept_in_the_link(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="criteria", compare="snip,taylor,nothing")
    assert not errors(page) and url(page)["compare"] == "snip,taylor"
    assert "SNIP: defined for before training" in said(page)
    page.multiselect[0].set_value(["wanda"]).run()
    assert "Choose 2 to 5 criteria" in said(page)
    assert prune_criteria.offered()["synflow"] == "removes in rounds, scored anew in each"


def test_a_comparison_is_stopped_and_goes_on(prune_page: Open, bench: Bench) -> None:
    bench.at_once = 3
    page = prune_page(run=DENSE, show="criteria")
    assert "3 of 10 points measured" in progress(page)
    button(page, "Stop").click().run()
    (curves,) = asked(bench, PreviewRequest)
    assert curves.cancelled and "Stopped: 3 of 10 points" in said(page)
    page.run()
    assert not progress(page) and len(asked(bench, PreviewRequest)) == 1, "it stays stopped"
    bench.at_once = 99
    button(page, "Go on").click().run()
    assert not progress(page) and len(asked(bench, PreviewRequest)) == 2 and not errors(page)


def test_a_fresh_model_is_where_snip_is_defined(prune_page: Open) -> None:
    link = {"fresh": "mlp", "data": "moons", "criterion": "snip", "show": "criteria", "compare": "snip,grasp"}
    page = prune_page(**link, sparsity="0.5")
    assert not errors(page)
    assert {k: v for k, v in url(page).items() if k in link} == link
    assert "defined for before training" not in said(page)
    box = next(b for b in page.selectbox if b.label == "Criterion")
    assert box.value == "snip" and "SynFlow" not in box.options
    assert not [b for b in page.button if b.label == "Fine-tune"]


# --- pictures ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"layer": "0.weight"}, "kernel of a filter"),
        ({"layer": "9.weight"}, "dot is a weight"),
        ({"layer": "7.weight", "granularity": "n_of_m"}, "group of neighbouring inputs"),
    ],
    ids=["filters", "matrix", "n_of_m"],
)
def test_each_layer_has_its_picture(prune_page: Open, bench: Bench, link: dict[str, str], words: str) -> None:
    page = prune_page(run=DENSE, show="pictures", sparsity="0.5", **link)
    assert not errors(page) and words in said(page)
    assert bench.asked[-1][0].tiles and bench.asked[-1][0].layer in ("", link["layer"])


# --- forgotten --------------------------------------------------------------------------------------------------------
def test_flipped_examples_are_shown_with_before_and_after(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="forgotten", sparsity="0.93")
    assert not errors(page)
    now = answer(run=DENSE, sparsity=0.93)
    assert now.accuracy is not None and now.dense is not None
    lost = round((now.dense.accuracy - now.accuracy.accuracy) * 355)
    assert "predictions became wrong" in said(page)
    (examples,) = asked(bench, ExamplesProbe)
    index = examples.questions[0].index
    assert html(page).count("<figure") == len(index) == 24 and lost > 24
    assert f"Test example {index[0]}: a " in html(page) and "data:image/png;base64," in html(page)
    page.number_input(key="prune/flips/page").set_value(2).run()
    assert not errors(page)
    other = asked(bench, ExamplesProbe)[-1].questions[0].index
    assert other and not set(other) & set(index)


def test_parts_of_the_test_split_come_one_after_the_other(
    prune_page: Open, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prune_ui.prune_forgotten.PART", 100)
    bench.at_once = 2
    page = prune_page(run=DENSE, show="forgotten", sparsity="0.9")
    assert "200 of 355 test examples answered" in progress(page).replace("\u202f", "")
    assert "on 200 test examples" in said(page) and page.session_state["prune/growing"]
    for probe in bench.probes:
        probe.ready = 99
    page.run()
    assert not progress(page) and "on 355 test examples" in said(page)
    (parts,) = asked(bench, AnswersProbe)
    assert [(q.start, q.stop) for q in parts.questions][-1] == (300, 400)


def test_points_in_the_plane_have_no_images(prune_page: Open) -> None:
    page = prune_page(fresh="mlp", data="moons", show="forgotten", sparsity="0.9")
    assert not errors(page) and "<figure" not in html(page)
    assert "points in the plane, so there are no images" in said(page)


def test_where_nothing_changed_it_says_so(prune_page: Open) -> None:
    page = prune_page(run=DENSE, show="forgotten", sparsity="0")
    assert not errors(page) and "No prediction changed on 355 test examples." in said(page)


def test_a_gallery_escapes_what_it_shows() -> None:
    image = pd.Series([0, 255, 128, 7]).to_numpy("uint8").reshape(1, 2, 2)
    text = gallery([Card(image, 'a "<b>"', ("<script>",), "wrong")])
    assert "<script>" not in text and "<b>" not in text and 'class="wrong"' in text


# --- noise ------------------------------------------------------------------------------------------------------------
def test_noise_has_a_seed_that_the_link_keeps(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="noise", sparsity="0.9")
    assert not errors(page) and "noise" not in url(page)
    assert "beyond the intervals of both" in said(page)
    page.number_input(key="prune/noise/seed").set_value(3).run()
    assert url(page)["noise"] == "3" and {q.seed for q in bench.probes[-1].questions} == {3}
    again = prune_page(**url(page))
    assert again.number_input(key="prune/noise/seed").value == 3 and len(bench.probes) == 2
