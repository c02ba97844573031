"""The Prune page's logic: two sliders that are one truth, links, what cannot be answered, and fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import ConfigError, LabError, ModelError
from prune_core.jobs import PreviewReply, PreviewRequest, ScanRequest, SupersededError
from prune_core.jobs.bench import preview
from prune_core.jobs.cells import Opening, cell, opening
from prune_core.tracking import checkpoint_path
from prune_core.training.checkpoint import file_sha256
from prune_ui import prune_curve, prune_sensitivity, prune_state, prune_tune, prune_view, session

PAGE = Path(__file__).resolve().parents[2] / "pages" / "prune.py"
DENSE, PRUNED = "sample-dense", "sample-clipped-and-pruned"


class Bench:
    """A lab whose preview worker is this process; ``failing`` is raised instead of an answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[PreviewRequest, str]] = []
        self.launched: list[pc.Experiment] = []
        self.scans: list[Filling] = []
        self.failing: Exception | None = None

    def preview(self, request: PreviewRequest, *, session: str = "", timeout: float = 0) -> PreviewReply:
        self.asked.append((request, session))
        if self.failing is not None:
            raise self.failing
        reply = preview(_url(), request)
        if isinstance(reply, LabError):
            raise reply
        return reply

    def curve(self, request: PreviewRequest, sparsities: Any) -> Any:
        return Growing(self, request, list(sparsities))

    def sensitivity(self, request: ScanRequest, *, known: Any = ()) -> Any:
        if self.failing is not None:
            raise self.failing
        self.scans.append(Filling(request, known))
        return self.scans[-1]

    def launch(self, experiment: pc.Experiment, name: str = "", owner: str = "") -> Any:
        self.launched.append(experiment)
        return SimpleNamespace(id="aaaabbbbcccc")


class Growing:
    """A curve with one more point each time somebody looks."""

    def __init__(self, bench: Bench, request: PreviewRequest, sparsities: list[float]) -> None:
        self.bench, self.request, self.sparsities, self.seen = bench, request, sparsities, 0

    def points(self) -> list[tuple[float, PreviewReply]]:
        self.seen = min(self.seen + 1, len(self.sparsities))
        asked = self.sparsities[: self.seen]
        return [(s, self.bench.preview(self.request.replace(sparsity=s, picture=False))) for s in asked]

    @property
    def done(self) -> bool:
        return self.seen == len(self.sparsities)

    def cancel(self) -> None:
        """Nothing goes on behind it."""


class Filling:
    """A scan that has as many more cells as it is told."""

    def __init__(self, request: ScanRequest, known: Any) -> None:
        self.request, self.known, self.error, self.done = request, tuple(known), None, False
        found = opening(_url(), request)
        assert isinstance(found, Opening), found
        self.layers, self.dense = found.layers, found.dense
        self._every = [(name, s) for name in found.layers for s in request.sparsities]
        self._stamp, self.total, self.cells, self.seconds_left = found.stamp, len(self._every), self.known, 4.0

    def fill(self, n: int) -> None:
        for layer, sparsity in self._every[len(self.cells) :][:n]:
            self.cells = (*self.cells, cell(_url(), self.request, self._stamp, layer, sparsity))
        self.done = len(self.cells) == self.total

    def cancel(self) -> None:
        self.done = True


def _url() -> str:
    return str(session.store().url)


@pytest.fixture
def bench(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    found = Bench()
    monkeypatch.setattr(session, "lab", lambda: found)
    monkeypatch.setattr(prune_curve, "SPARSITIES", (0.0, 0.9))
    prune_curve._curves.clear()
    prune_sensitivity._kept.clear()
    yield found
    prune_curve._curves.clear()
    prune_sensitivity._kept.clear()


@pytest.fixture
def visit(bench: Bench) -> Callable[..., AppTest]:
    def open_page(**link: str) -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=60)
        for name, value in link.items():
            page.query_params[name] = value
        return page.run()

    return open_page


def slider(page: AppTest, label: str) -> Any:
    return next(s for s in page.slider if s.label.startswith(label))


def lesson(page: AppTest) -> str:
    """The sentence at the top, without its marks."""
    return (
        next(h.proto.body for h in page.get("html") if "lab-lesson" in h.proto.body)
        .replace("\u2009", "")
        .replace("\u00a0", " ")
    )


def errors(page: AppTest) -> str:
    assert not page.exception, [e.value for e in page.exception]
    return " ".join(e.value for e in page.error)


def url(page: AppTest) -> dict[str, str]:
    found = {name: page.query_params[name] for name in page.query_params}
    return {name: value if isinstance(value, str) else value[-1] for name, value in found.items()}


def answer(**fields: Any) -> PreviewReply:
    reply = preview(_url(), PreviewRequest(**fields))
    assert isinstance(reply, PreviewReply), reply
    return reply


# --- what a visitor sees ----------------------------------------------------------------------------------------------
def test_a_newcomer_sees_a_sample_with_all_its_weights(visit: Callable[..., AppTest]) -> None:
    page = visit()
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
def test_the_two_sliders_are_one_truth(visit: Callable[..., AppTest], scope: str) -> None:
    page = visit(run=DENSE, scope=scope)
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


def test_a_threshold_above_all_leaves_the_sliders_last_place(visit: Callable[..., AppTest]) -> None:
    page = visit(run=DENSE)
    threshold = slider(page, "Threshold")
    threshold.set_value(threshold.max).run()
    assert not errors(page)
    assert slider(page, "Sparsity").value == prune_state.MOST


def test_scores_that_are_no_sizes_have_a_slider_of_their_own(visit: Callable[..., AppTest]) -> None:
    page = visit(run=DENSE, criterion="random", sparsity="0.4")
    threshold = slider(page, "Threshold")
    assert not errors(page)
    assert threshold.value == pytest.approx(0.4, abs=0.02) and threshold.max == pytest.approx(1, abs=0.01)


def test_what_a_run_removed_stays_removed(visit: Callable[..., AppTest]) -> None:
    page = visit(run=PRUNED, sparsity="0.2")
    assert slider(page, "Sparsity").min == pytest.approx(0.9, abs=1e-3)
    assert slider(page, "Sparsity").value >= 0.9
    assert any("removed 90.0" in c.value for c in page.caption)


def test_a_model_of_torchvision_has_no_accuracy_and_no_fine_tuning(visit: Callable[..., AppTest]) -> None:
    page = visit(model="squeezenet1_1", weights="random", sparsity="0.8")
    assert not errors(page)
    assert "no accuracy is measured" in lesson(page) and "(80.0 %)" in lesson(page)
    assert not [b for b in page.button if b.label == "Fine-tune"]


def test_the_curve_grows_and_the_worker_is_asked_nothing_twice(visit: Callable[..., AppTest], bench: Bench) -> None:
    page = visit(run=DENSE)
    for _ in range(4):
        page.run()
    pictures = [request for request, _ in bench.asked if request.picture]
    assert len(pictures) == 1, "the same question has its answer"


# --- links ------------------------------------------------------------------------------------------------------------
def test_the_link_says_what_stands_on_the_page_and_opens_it(visit: Callable[..., AppTest]) -> None:
    link = {"run": DENSE, "criterion": "random", "scope": "layer", "layer": "3.weight", "sparsity": "0.75"}
    page = visit(**link)
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
def test_a_link_that_means_nothing_is_no_dead_end(
    visit: Callable[..., AppTest], link: dict[str, str], shown: str
) -> None:
    page = visit(**link)
    assert shown in errors(page) and bool(shown) == bool(page.error)
    assert "of 13584 weights" in lesson(page)
    assert url(page)["run"] == DENSE


# --- what goes wrong --------------------------------------------------------------------------------------------------
def test_what_cannot_be_previewed_is_said_and_can_be_tried_again(visit: Callable[..., AppTest], bench: Bench) -> None:
    bench.failing = ModelError("The weights are not here; choose random ones.")
    page = visit(model="squeezenet1_1", weights="random")
    assert "choose random ones" in errors(page)
    bench.failing = None
    next(b for b in page.button if b.label == "Try again").click().run()
    assert not errors(page) and "weights" in lesson(page)


def test_a_superseded_question_leaves_the_picture_before(visit: Callable[..., AppTest], bench: Bench) -> None:
    page = visit(run=DENSE)
    bench.failing = SupersededError("A newer request took this one's place.")
    slider(page, "Sparsity").set_value(0.7).run()
    assert not errors(page)
    assert "(50.0 %)" in lesson(page)
    bench.failing = None
    page.run()
    assert "(70.0 %)" in lesson(page)


def test_two_windows_of_one_person_do_not_supersede_each_other(visit: Callable[..., AppTest], bench: Bench) -> None:
    visit(run=DENSE)
    visit(run=DENSE)
    windows = {name for request, name in bench.asked if request.picture}
    assert len(windows) == 2 and "" not in windows


def test_without_a_run_the_page_says_what_to_do(visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_state, "candidates", dict)
    linked: list[str] = []
    monkeypatch.setattr("prune_ui.prune_view.st.page_link", lambda path, **_: linked.append(path))
    page = visit()
    assert not errors(page)
    assert "Train one, or take a model of torchvision" in page.info[0].value
    assert linked == ["pages/train.py"]
    page.radio[0].set_value(prune_state.PUBLISHED)
    page.run()
    assert "of 11678912 weights" in lesson(page)


# --- fine-tuning ------------------------------------------------------------------------------------------------------
def test_fine_tuning_starts_from_the_checkpoint_pruned_at_once(
    visit: Callable[..., AppTest], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_to: list[Any] = []
    monkeypatch.setattr("prune_ui.prune_tune.st.switch_page", lambda path, query_params: gone_to.append(query_params))
    page = visit(run=DENSE, scope="layer", sparsity="0.8")
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
def test_every_criterion_that_can_look_at_a_run_prunes_it(visit: Callable[..., AppTest], criterion: str) -> None:
    page = visit(run=DENSE, sparsity="0.5", criterion=criterion)
    assert not errors(page)
    assert next(b for b in page.selectbox if b.label == "Criterion").value == criterion
    assert 'removes <b class="pruning">6792</b> of 13584 weights' in lesson(page)
    now = answer(run=DENSE, sparsity=0.5, criterion=pc.Criterion.registry[criterion].cls()).accuracy
    assert now is not None
    assert f"{100 * now.accuracy:.1f} %" in lesson(page)


def test_what_cannot_be_offered_says_why(visit: Callable[..., AppTest]) -> None:
    page = visit(run=DENSE)
    said = " ".join(str(c.value) for c in page.caption)
    assert "SNIP, GraSP, SynFlow (for before training, on Train)" in said
    assert "Movement (made while training, on Train)" in said
    box = next(b for b in page.selectbox if b.label == "Criterion")
    assert not {"SNIP", "SynFlow", "Movement"} & set(box.options)
    page = visit(model="resnet18", criterion="taylor")  # without data: the link's criterion gives way
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
    visit: Callable[..., AppTest], link: dict[str, str], granularity: pc.Granularity
) -> None:
    page = visit(run=DENSE, sparsity="0.9", **link)
    assert not errors(page) and not page.exception
    asked = answer(run=DENSE, sparsity=min(0.9, granularity.most), granularity=granularity)
    total, kept = sum(v.numel for v in asked.layers), sum(v.kept for v in asked.layers)
    assert f'removes <b class="pruning">{total - kept}</b> of {total} weights' in lesson(page)
    assert page.slider(key="prune/sparsity").max == pytest.approx(min(granularity.most, 0.999), abs=1e-3)
    said = " ".join(str(c.value) for c in page.caption)
    assert all(name in said for name in asked.uncut)


def test_groups_that_do_not_go_with_a_criterion_are_named_or_given_up(visit: Callable[..., AppTest]) -> None:
    page = visit(run=DENSE, granularity="filters")
    next(b for b in page.selectbox if b.label == "Criterion").select("wanda").run()
    assert not errors(page) and not page.exception
    said = " ".join(str(c.value) for c in page.caption)
    assert "Single weights again: must not remove whole outputs with Wanda" in said
    box = next(b for b in page.selectbox if b.label == "Granularity")
    assert box.value == "weights" and not {"Filters", "Neurons"} & set(box.options)
    page = visit(run=DENSE, granularity="n_of_m", scope="erk")
    assert not errors(page) and not page.exception
    assert next(b for b in page.selectbox if b.label == "Scope").value == "global"


def test_rounds_cannot_be_previewed_and_say_so() -> None:
    reply = preview("", PreviewRequest(model=pc.SmallCNN(), data=pc.Digits(), criterion=pc.SynFlow()))
    assert isinstance(reply, ConfigError)
    assert "SynFlow removes in rounds" in str(reply)


# --- sensitivity ------------------------------------------------------------------------------------------------------
def button(page: AppTest, label: str) -> Any:
    return next((b for b in page.button if b.label == label), None)


def progress(page: AppTest) -> str:
    return " ".join(bar.proto.text for bar in page.get("progress"))


def test_the_scan_fills_in_is_stopped_goes_on_and_is_kept(visit: Callable[..., AppTest], bench: Bench) -> None:
    page = visit(run=DENSE)
    button(page, "Measure every layer").click().run()
    (scan,) = bench.scans
    assert scan.request == ScanRequest(run=DENSE, examples=1000)
    assert not errors(page) and button(page, "Measure every layer") is None
    assert page.session_state[prune_view.GROWING.name], "the page looks again by itself"
    scan.fill(5)
    page.run()
    assert "5 of 32 cells measured · 4 s left" in progress(page)
    other = visit(run=DENSE)  # somebody else sees it too, and cannot stop it
    assert "5 of 32 cells measured" in progress(other) and button(other, "Stop") is None
    button(page, "Stop").click().run()
    assert any("Stopped: 5 of 32" in c.value for c in page.caption) and not page.get("progress")
    button(page, "Go on").click().run()
    assert len(bench.scans) == 2 and bench.scans[1].known == scan.cells, "nothing is measured twice"
    bench.scans[1].fill(99)
    page.run()
    assert not [label for label in ("Measure every layer", "Stop", "Go on") if button(page, label)]
    assert visit(run=DENSE).get("download_button"), "it is there for whoever comes back"
    assert len(bench.scans) == 2
    assert button(visit(run=DENSE, criterion="taylor"), "Measure every layer"), "another question"


def test_a_scan_that_cannot_be_says_why(visit: Callable[..., AppTest], bench: Bench) -> None:
    page = visit(run=DENSE)
    bench.failing = ConfigError("This engine is on fire.")
    button(page, "Measure every layer").click().run()
    assert "This engine is on fire." in errors(page)
    bench.failing = None
    button(page, "Measure every layer").click().run()
    bench.scans[0].error, bench.scans[0].done = ConfigError("A worker died twice."), True
    page.run()
    assert "A worker died twice." in errors(page) and button(page, "Measure every layer")
    page = visit(model="squeezenet1_1", scope="sensitivity")
    assert not errors(page)
    said = " ".join(str(c.value) for c in page.caption)
    assert "no test data belongs to this model" in said and "by sensitivity: measures the loss" in said
    assert next(b for b in page.selectbox if b.label == "Scope").value == "global"


def test_by_sensitivity_the_preview_is_what_fine_tuning_from_there_prunes(bench: Bench) -> None:
    parent = session.store().run(DENSE).experiment
    exp = prune_tune.tuned(parent, DENSE, 0.8, 1, 0.01)
    result = pc.run(exp.with_(**{"prune.scope": "sensitivity"}), progress=False)
    shown = answer(run=DENSE, sparsity=0.8, scope="sensitivity", seed=parent.train.seed)
    assert {v.name: v.kept for v in shown.layers} == {n: int(m.sum()) for n, m in result.masks.items()}
