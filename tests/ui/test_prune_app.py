"""The Prune page's logic: two sliders that are one truth, links, what cannot be answered, and fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest
from prune_bench import DENSE, PRUNED, Bench, Open, answer, errors, lesson, slider, url

import prune_core as pc
from prune_core.errors import ConfigError, ModelError
from prune_core.jobs import PreviewRequest, SupersededError
from prune_core.jobs.bench import preview
from prune_core.tracking import checkpoint_path
from prune_core.training.checkpoint import file_sha256
from prune_ui import prune_state, prune_tune, prune_view, session


# --- what a visitor sees ----------------------------------------------------------------------------------------------
def test_a_newcomer_sees_a_sample_with_all_its_weights(prune_page: Open) -> None:
    page = prune_page()
    assert not errors(page)
    assert slider(page, "Sparsity").value == 0.5
    now = answer(run=DENSE, sparsity=0.5, budget_s=prune_view.BUDGET_S).accuracy
    text = lesson(page)
    assert 'removes <b class="pruning">6792</b> of 13584 weights (50.0 %)' in text
    on = "all 355" if now.n == now.of else f"{now.n} of 355"  # a busy machine measures a sample, and says so
    assert f"{100 * now.accuracy:.1f} %" in text and f"Measured on {on} test examples" in text
    assert "95 % interval" in text and "kB instead of" in text and "Multiplications that are left" in text
    assert [s.label for s in page.selectbox if s.label == "Layer"]


@pytest.mark.parametrize("scope", ["global", "layer", "erk", "sensitivity"])
def test_the_two_sliders_are_one_truth(prune_page: Open, scope: str) -> None:
    page = prune_page(run=DENSE, scope=scope)
    slider(page, "Sparsity").set_value(0.9).run()
    wanted = answer(run=DENSE, sparsity=0.9, scope=scope)
    threshold = slider(page, "Threshold")
    assert threshold.value == pytest.approx(wanted.threshold, abs=threshold.step)
    assert threshold.max == pytest.approx(wanted.largest)

    threshold.set_value(0.1).run()
    wanted = answer(run=DENSE, threshold=0.1, scope=scope)
    assert slider(page, "Sparsity").value == pytest.approx(wanted.sparsity, abs=1e-3)
    assert slider(page, "Threshold").value == pytest.approx(0.1, abs=2 * threshold.step)
    assert f"({100 * wanted.sparsity:.1f} %)" in lesson(page)


def test_a_threshold_above_all_leaves_the_sliders_last_place(prune_page: Open) -> None:
    page = prune_page(run=DENSE)
    threshold = slider(page, "Threshold")
    threshold.set_value(threshold.max).run()
    assert not errors(page)
    assert slider(page, "Sparsity").value == prune_state.MOST


def test_scores_that_are_no_sizes_have_a_slider_of_their_own(prune_page: Open) -> None:
    page = prune_page(run=DENSE, criterion="random", sparsity="0.4")
    threshold = slider(page, "Threshold")
    assert not errors(page)
    assert threshold.value == pytest.approx(0.4, abs=0.02) and threshold.max == pytest.approx(1, abs=0.01)


def test_what_a_run_removed_stays_removed(prune_page: Open) -> None:
    page = prune_page(run=PRUNED, sparsity="0.2")
    assert slider(page, "Sparsity").min == pytest.approx(0.9, abs=1e-3)
    assert slider(page, "Sparsity").value >= 0.9
    assert any("removed 90.0" in c.value for c in page.caption)


def test_a_model_of_torchvision_has_no_accuracy_and_no_fine_tuning(prune_page: Open) -> None:
    page = prune_page(model="squeezenet1_1", weights="random", sparsity="0.8")
    assert not errors(page)
    assert "no accuracy is measured" in lesson(page) and "(80.0 %)" in lesson(page)
    assert not [b for b in page.button if b.label == "Fine-tune"]


def test_the_curve_grows_and_the_worker_is_asked_nothing_twice(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE)
    for _ in range(4):
        page.run()
    pictures = [request for request, _ in bench.asked if request.picture]
    assert len(pictures) == 1, "the same question has its answer"


# --- links ------------------------------------------------------------------------------------------------------------
def test_the_link_says_what_stands_on_the_page_and_opens_it(prune_page: Open) -> None:
    link = {"run": DENSE, "criterion": "random", "scope": "layer", "layer": "3.weight", "sparsity": "0.75"}
    page = prune_page(**link)
    assert slider(page, "Sparsity").value == 0.75
    assert slider(page, "Threshold").label == "Threshold in 3.weight"
    assert url(page) == link
    slider(page, "Sparsity").set_value(0.8).run()
    assert url(page)["sparsity"] == "0.8"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ({"run": "nowhere"}, "nowhere cannot be pruned"),
        ({"run": DENSE, "layer": "nolayer"}, ""),
        ({"run": DENSE, "sparsity": "7", "scope": "sideways", "criterion": "magic"}, ""),
        ({"run": DENSE, "sparsity": "nan"}, ""),
        ({"run": DENSE, "sparsity": "much"}, ""),
    ],
    ids=["run", "layer", "choices", "nan", "text"],
)
def test_a_link_that_means_nothing_is_no_dead_end(prune_page: Open, link: dict[str, str], shown: str) -> None:
    page = prune_page(**link)
    assert shown in errors(page) and bool(shown) == bool(page.error)
    assert "of 13584 weights" in lesson(page)
    assert url(page)["run"] == DENSE
    told = " ".join(w.value for w in page.warning)
    for name in {"sparsity", "scope", "criterion"} & set(link):
        assert f"{name}={link[name]} " in told, "it says what it left out"


# --- what goes wrong --------------------------------------------------------------------------------------------------
def test_what_cannot_be_previewed_is_said_and_can_be_tried_again(prune_page: Open, bench: Bench) -> None:
    bench.failing = ModelError("The weights are not here; choose random ones.")
    page = prune_page(model="squeezenet1_1", weights="random")
    assert "choose random ones" in errors(page)
    bench.failing = None
    next(b for b in page.button if b.label == "Try again").click().run()
    assert not errors(page) and "weights" in lesson(page)


def test_a_superseded_question_leaves_the_picture_before(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE)
    bench.failing = SupersededError("A newer request took this one's place.")
    slider(page, "Sparsity").set_value(0.7).run()
    assert not errors(page)
    assert "(50.0 %)" in lesson(page)
    bench.failing = None
    page.run()
    assert "(70.0 %)" in lesson(page)


def test_two_windows_of_one_person_do_not_supersede_each_other(prune_page: Open, bench: Bench) -> None:
    prune_page(run=DENSE)
    prune_page(run=DENSE)
    windows = {name for request, name in bench.asked if request.picture}
    assert len(windows) == 2 and "" not in windows


def test_without_a_run_the_page_says_what_to_do(prune_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_state, "candidates", dict)
    linked: list[str] = []
    monkeypatch.setattr("prune_ui.prune_view.st.page_link", lambda path, **_: linked.append(path))
    page = prune_page()
    assert not errors(page)
    assert "Train one, or take a model of torchvision" in page.info[0].value
    assert linked == ["pages/train.py"]
    page.radio[0].set_value(prune_state.PUBLISHED)
    page.run()
    assert "of 11678912 weights" in lesson(page)


# --- fine-tuning ------------------------------------------------------------------------------------------------------
def test_fine_tuning_starts_from_the_checkpoint_pruned_at_once(
    prune_page: Open, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_to: list[Any] = []
    monkeypatch.setattr("prune_ui.prune_tune.st.switch_page", lambda path, query_params: gone_to.append(query_params))
    page = prune_page(run=DENSE, scope="layer", sparsity="0.8")
    page.number_input[0].set_value(70)
    next(b for b in page.button if b.label == "Fine-tune").click().run()
    assert not errors(page)
    (experiment,) = bench.launched
    assert experiment.start == pc.FromCheckpoint(
        path=str(checkpoint_path(DENSE)), sha256=file_sha256(checkpoint_path(DENSE))
    )
    assert experiment.prune.schedule == pc.OneShot(final=0.8, at=0)
    assert (experiment.prune.scope, experiment.train.steps) == ("layer", 70)
    parent = session.store().run(DENSE).experiment
    assert experiment.train.lr == pytest.approx(parent.train.lr / 10)
    assert (experiment.data, experiment.model, experiment.clip) == (parent.data, parent.model, parent.clip)
    assert gone_to == [{"run": "aaaabbbbcccc"}]


def test_what_it_launches_trains_at_that_sparsity(bench: Bench) -> None:
    parent = session.store().run(DENSE).experiment
    result = pc.run(prune_tune.tuned(parent, DENSE, 0.8, 3, 0.01), progress=False)
    assert result.sparsity == pytest.approx(0.8, abs=1e-3)
    with pytest.raises(ConfigError, match="steps"):
        prune_tune.tuned(parent, DENSE, 0.8, 0, 0.01)
    by_hand = parent.replace(prune=pc.Pruning(scope="layer", layer_sparsity=("*=0.1",)))
    assert prune_tune.tuned(by_hand, DENSE, 0.8, 3, 0.01) == prune_tune.tuned(parent, DENSE, 0.8, 3, 0.01)  # as shown


# --- criteria ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("criterion", ["relative_magnitude", "lamp", "gradient_magnitude", "taylor", "fisher", "wanda"])
def test_every_criterion_that_can_look_at_a_run_prunes_it(prune_page: Open, criterion: str) -> None:
    page = prune_page(run=DENSE, sparsity="0.5", criterion=criterion)
    assert not errors(page)
    assert next(b for b in page.selectbox if b.label == "Criterion").value == criterion
    assert 'removes <b class="pruning">6792</b> of 13584 weights' in lesson(page)
    now = answer(run=DENSE, sparsity=0.5, criterion=pc.Criterion.registry[criterion].cls()).accuracy
    assert now is not None
    assert f"{100 * now.accuracy:.1f} %" in lesson(page)


def test_what_cannot_be_offered_says_why(prune_page: Open) -> None:
    page = prune_page(run=DENSE)
    said = " ".join(str(c.value) for c in page.caption)
    assert "SNIP, GraSP, SynFlow (for before training, on Train)" in said
    assert "Movement (made while training, on Train)" in said
    box = next(b for b in page.selectbox if b.label == "Criterion")
    assert not {"SNIP", "SynFlow", "Movement"} & set(box.options)
    page = prune_page(model="resnet18", criterion="taylor")  # without data: the link's criterion gives way
    assert not errors(page)
    assert next(b for b in page.selectbox if b.label == "Criterion").value == "magnitude"
    assert "Taylor, first order" in " ".join(str(c.value) for c in page.caption)


@pytest.mark.parametrize(
    ("link", "granularity"),
    [
        ({"granularity": "filters"}, pc.Filters()),
        ({"granularity": "n_of_m", "granularity.n": "1"}, pc.NofM(n=1)),
        ({"granularity": "blocks", "granularity.columns": "4"}, pc.Blocks(columns=4)),
    ],
    ids=["filters", "n_of_m", "blocks"],
)
def test_a_link_prunes_groups_and_says_what_is_left_out(
    prune_page: Open, link: dict[str, str], granularity: pc.Granularity
) -> None:
    page = prune_page(run=DENSE, sparsity="0.9", **link)
    assert not errors(page) and not page.exception
    asked = answer(run=DENSE, sparsity=min(0.9, granularity.most), granularity=granularity)
    total, kept = sum(v.numel for v in asked.layers), sum(v.kept for v in asked.layers)
    assert f'removes <b class="pruning">{total - kept}</b> of {total} weights' in lesson(page)
    assert page.slider(key="prune/sparsity").max == pytest.approx(min(granularity.most, 0.999), abs=1e-3)
    said = " ".join(str(c.value) for c in page.caption)
    assert all(name in said for name in asked.uncut)


def test_groups_that_do_not_go_with_a_criterion_are_named_or_given_up(prune_page: Open) -> None:
    page = prune_page(run=DENSE, granularity="filters")
    next(b for b in page.selectbox if b.label == "Criterion").select("wanda").run()
    assert not errors(page) and not page.exception
    said = " ".join(str(c.value) for c in page.caption)
    assert "Single weights again: must not remove whole outputs with Wanda" in said
    box = next(b for b in page.selectbox if b.label == "Granularity")
    assert box.value == "weights" and not {"Filters", "Neurons"} & set(box.options)
    page = prune_page(run=DENSE, granularity="n_of_m", scope="erk")
    assert not errors(page) and not page.exception
    assert next(b for b in page.selectbox if b.label == "Scope").value == "global"


def test_rounds_cannot_be_previewed_and_say_so() -> None:
    reply = preview("", PreviewRequest(model=pc.SmallCNN(), data=pc.Digits(), criterion=pc.SynFlow()))
    assert isinstance(reply, ConfigError)
    assert "SynFlow removes in rounds" in str(reply)
