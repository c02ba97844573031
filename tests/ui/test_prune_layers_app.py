"""The Prune page's section of layers: the scan, a budget from it, and training on with that."""

from __future__ import annotations

from typing import Any

import pytest
from prune_bench import DENSE, Bench, Open, answer, button, errors, said, url
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import ConfigError
from prune_core.jobs import ScanRequest
from prune_core.training.sensitivity import sensitivity_table
from prune_ui import prune_budget, prune_sensitivity, prune_state, prune_tune, prune_view, session


def progress(page: AppTest) -> str:
    return " ".join(bar.proto.text for bar in page.get("progress"))


def test_the_scan_fills_in_is_stopped_goes_on_and_is_kept(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="layers")
    button(page, "Measure every layer").click().run()
    (scan,) = bench.scans
    assert scan.request == ScanRequest(run=DENSE, examples=1000)
    assert not errors(page) and button(page, "Measure every layer") is None
    assert page.session_state[prune_view.GROWING.name], "the page looks again by itself"
    scan.fill(5)
    page.run()
    assert "5 of 32 cells measured · 4 s left" in progress(page)
    other = prune_page(run=DENSE, show="layers")  # somebody else sees it too, and cannot stop it
    assert "5 of 32 cells measured" in progress(other) and button(other, "Stop") is None
    button(page, "Stop").click().run()
    assert any("Stopped: 5 of 32" in c.value for c in page.caption) and not page.get("progress")
    button(page, "Go on").click().run()
    assert len(bench.scans) == 2 and bench.scans[1].known == scan.cells, "nothing is measured twice"
    bench.scans[1].fill(99)
    page.run()
    assert not [label for label in ("Measure every layer", "Stop", "Go on") if button(page, label)]
    assert prune_page(run=DENSE, show="layers").get("download_button"), "it is there for whoever comes back"
    assert len(bench.scans) == 2
    assert button(prune_page(run=DENSE, criterion="taylor", show="layers"), "Measure every layer"), "another question"


def test_a_scan_that_cannot_be_says_why(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="layers")
    bench.failing = ConfigError("This engine is on fire.")
    button(page, "Measure every layer").click().run()
    assert "This engine is on fire." in errors(page)
    bench.failing = None
    button(page, "Measure every layer").click().run()
    bench.scans[0].error, bench.scans[0].done = ConfigError("A worker died twice."), True
    page.run()
    assert "A worker died twice." in errors(page) and button(page, "Measure every layer")
    page = prune_page(model="squeezenet1_1", scope="sensitivity", show="layers")
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


# --- a budget ---------------------------------------------------------------------------------------------------------
def shares(page: AppTest) -> dict[str, float]:
    """What the layers' own sliders show."""
    return {s.label.split("  ·  ")[0]: s.value for s in page.slider if "·" in s.label}


def test_the_budget_starts_where_the_sliders_stand_and_is_measured(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, sparsity="0.8", show="layers")
    assert not errors(page)
    now = answer(run=DENSE, sparsity=0.8)
    assert shares(page) == {v.name: pytest.approx(v.sparsity, abs=6e-4) for v in now.layers}
    text = said(page)
    assert "Your budget removes 80.0\u00a0%" in text and now.accuracy is not None
    assert f"keeps {100 * now.accuracy.accuracy:.1f}\u00a0%" in text, "the same masks as above"
    assert "budget" not in url(page), "it follows the sliders"
    assert bench.probes[-1].questions[1].scope == "global" and bench.probes[-1].questions[2].scope == "layer"


def test_a_layers_slider_changes_that_layer_alone_and_the_link_keeps_it(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, sparsity="0.5", show="layers")
    before = shares(page)
    next(s for s in page.slider if s.label.startswith("3.weight")).set_value(0.25).run()
    assert not errors(page)
    assert shares(page) == {**before, "3.weight": 0.25}
    mine, whole, uniform = bench.probes[-1].questions
    budget = dict(text.split("=") for text in mine.layer_sparsity)
    assert float(budget["3.weight"]) == 0.25
    wanted = answer(run=DENSE, sparsity=0.0, scope="layer", layer_sparsity=mine.layer_sparsity, picture=False)
    assert whole.sparsity == uniform.sparsity == pytest.approx(wanted.sparsity, abs=1e-3)
    link = url(page)
    assert "3.weight:0.25" in link["budget"]
    assert shares(prune_page(**link)) == shares(page)
    button(page, "As the sliders above").click().run()
    assert shares(page) == before and "budget" not in url(page)


def test_every_layer_has_a_handle_that_can_be_taken(prune_page: Open, bench: Bench, monkeypatch: Any) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(prune_budget, "chart", lambda figure, **more: seen.update(more))
    page = prune_page(run=DENSE, sparsity="0.5", show="layers")
    before = shares(page)
    assert [row["label"] for row in seen["drag"]["rows"]] == list(before)
    assert [row["value"] for row in seen["drag"]["rows"]] == [pytest.approx(s, abs=6e-4) for s in before.values()]
    state: dict[str, Any] = {}
    monkeypatch.setattr(session.st, "session_state", state)
    seen["on_row"](2, seen["drag"]["rows"][2]["value"])
    assert state == {prune_state.LAYER.name: "7.weight"}, "a click takes a handle, and moves nothing"
    seen["on_row"](1, 0.25)
    assert state[prune_state.LAYER.name] == "3.weight"
    values = {row["label"]: row["value"] for row in seen["drag"]["rows"]}
    assert state[prune_budget.SHARES.name] == {**values, "3.weight": 0.25}


def test_a_budget_from_the_scan_and_from_a_cell(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="layers")
    assert button(page, "Fill from the scan") is None and "can be filled" in said(page)
    button(page, "Measure every layer").click().run()
    bench.scans[0].fill(99)
    page.run()
    button(page, "Fill from the scan").click().run()
    assert not errors(page)
    table = sensitivity_table(bench.scans[0].cells)
    wanted = pc.bearable(table, bench.scans[0].dense.accuracy, 0.01)
    assert shares(page) == {name: pytest.approx(share) for name, share in wanted.items()}
    put: list[tuple[str, float]] = []
    for point in ({"x": "95\u00a0%", "y": "3.weight"}, {"x": "much", "y": "3.weight"}, {"x": None, "y": None}):
        prune_sensitivity._clicked(point, lambda *cell: put.append(cell))
    assert put == [("3.weight", 0.95)], "what the browser sends is read, or left"


def test_training_on_with_a_budget_prunes_each_layer_by_its_share(
    prune_page: Open, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prune_ui.prune_tune.st.switch_page", lambda path, query_params: None)
    budget = "0.weight:0.1,3.weight:0.9,7.weight:0.95,9.weight:0.5"
    page = prune_page(run=DENSE, sparsity="0.2", show="layers", budget=budget)
    button(page, "Fine-tune").click().run()
    assert not errors(page)
    (experiment,) = bench.launched
    result = pc.run(experiment.with_(**{"train.steps": 2, "train.warmup": 0}), progress=False)
    gone = {name: 1 - float(mask.float().mean()) for name, mask in result.masks.items()}
    wanted = dict(part.split(":") for part in budget.split(","))
    assert gone == {name: pytest.approx(float(share), abs=5e-3) for name, share in wanted.items()}


def test_a_budget_that_means_nothing_is_left(prune_page: Open) -> None:
    page = prune_page(run=DENSE, show="layers", budget="x,a:b,3.weight:7,:0.5,nolayer:0.5,9.weight:nan,0.weight:0.125")
    assert not errors(page) and len(shares(page)) == 4 and shares(page)["0.weight"] == 0.125
    assert url(page)["budget"] == "nolayer:0.5,0.weight:0.125", "what could be a layer of another model stays"


def test_a_budget_is_of_single_weights_and_a_scan_of_the_groups_chosen(prune_page: Open, bench: Bench) -> None:
    page = prune_page(run=DENSE, show="layers", granularity="filters", scope="sensitivity")
    assert not errors(page) and not shares(page) and "of single weights" in said(page)
    assert page.session_state["prune/scope"] == "sensitivity", "nothing against it"
    page.button(key="prune/sensitivity/start").click().run()
    assert bench.scans[0].request.granularity == pc.Filters()
