"""The same in code: what stands in a page's box is run here, and comes to the figures that stand on the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prune_bench import DENSE, PRUNED, Bench
from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.claims import Claim, PruningCosts
from prune_core.errors import LabError
from prune_core.figures import trade_off_data
from prune_core.figures.clip_arrows import angle
from prune_core.figures.words import number
from prune_core.jobs import Estimate, Lab
from prune_core.jobs.gradients import gradient
from prune_core.tracking import execute
from prune_ui import claims_read, clipping_gradient, prune_curve, session, tradeoffs_cost, tradeoffs_read

BASE = pc.Experiment(
    data=pc.Digits(), model=pc.MLP(width=8), clip=pc.ValueClip(threshold=0.01),
    prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=5), keep_dense=("5",)), train=pc.Training(steps=12),
)  # fmt: skip
SWEEP = pc.Sweep(
    experiment=BASE.replace(prune=pc.Pruning(schedule=pc.OneShot(final=0.8, at=5))),
    space=pc.Grid(vary={"prune.schedule.final": [0.5, 0.9], "train.seed": [0, 1]}),
)
TINY = PruningCosts(model=pc.MLP(width=8), seeds=2, steps=24, sparsities=(0.5, 0.9))
COST = Estimate(members=4, reused=0, shared=0, steps=48, steps_spared=0, seconds=1.0, workers=1, timed=1)


class Here(Lab):
    """A lab whose preview worker is this process."""

    def __init__(self, bench: Bench, **where: Any) -> None:
        super().__init__(**where)
        self.preview, self.curve = bench.preview, bench.curve  # type: ignore[method-assign]

    def gradient(self, request: Any, *, session: str = "", timeout: float = 0) -> Any:
        reply = gradient(self.store.url, request)
        if isinstance(reply, LabError):
            raise reply
        return reply


@pytest.fixture
def lab(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    made = Here(Bench(), store=session.store(), home=home)
    monkeypatch.setattr(session, "lab", lambda: made)
    monkeypatch.setattr(session, "owner", lambda: "me")
    monkeypatch.setattr(prune_curve, "SPARSITIES", (0.0,))
    monkeypatch.setattr(tradeoffs_cost.estimates, "ask", lambda sweep: COST)
    for read in (claims_read, tradeoffs_read):
        monkeypatch.setattr(read, "FRESH_S", 0.0)
        monkeypatch.setattr(read, "ENDED_S", 0.0)
    monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)  # only app.py knows the pages
    prune_curve._curves.clear()
    clipping_gradient._replies.clear()
    yield made
    prune_curve._curves.clear()


def opened(name: str, **link: str) -> AppTest:
    """A page with its box open."""
    page = AppTest.from_file(str(Path(__file__).resolve().parents[2] / "pages" / f"{name}.py"), default_timeout=60)
    for field, value in link.items():
        page.query_params[field] = value
    page.session_state[f"{name.replace('_', '')}/code"] = True
    page.run()
    assert not page.exception and not page.error, (page.exception, page.error)
    return page


def box(page: AppTest) -> list[str]:
    return [c.value for c in page.code if c.value.startswith(("import prune_core", "python -m"))]


def ran(text: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """What the text leaves behind, and what it says."""
    names: dict[str, Any] = {}
    capsys.readouterr()
    exec(text, names)
    return names, capsys.readouterr().out


def headline(page: AppTest) -> str:
    return next(h.proto.body for h in page.get("html") if "lab-lesson" in h.proto.body)


def shares(text: str) -> list[float]:
    """Every percentage in it."""
    return [float(n) for n in re.findall(r"([\d.]+)[\u202f\u00a0 ]?%", text)]


def trained(lab: Here, experiment: pc.Experiment = BASE, **told: float) -> str:
    run_id = lab.store.create(experiment, owner="me")
    for command, value in told.items():
        lab.store.send(run_id, f"set:{command}", value)
    execute(lab.store, run_id)
    return run_id


# a link, and what has to stand in the text for it
PRUNE: dict[str, tuple[dict[str, str], str]] = {
    "a run": ({"run": DENSE, "sparsity": "0.847"}, "sparsity=0.847"),
    "a pruned run": ({"run": PRUNED, "sparsity": "0.95", "criterion": "taylor", "scope": "layer"}, "pc.Taylor()"),
    "no more than it removed": ({"run": PRUNED, "sparsity": "0.9"}, "masks=gone"),
    "by sensitivity": ({"run": DENSE, "scope": "sensitivity", "sparsity": "0.8"}, "batch=data"),
    "groups": ({"run": DENSE, "criterion": "l2_norm", "granularity": "filters", "sparsity": "0.5"}, "pc.Filters()"),
    "a dense layer": ({"run": "own", "sparsity": "0.9"}, "among=["),
    "a fresh model": ({"fresh": "resnet20", "data": "digits", "criterion": "snip", "sparsity": "0.5"}, "recalibrate_"),
    "no data": ({"model": "squeezenet1_1", "weights": "random", "sparsity": "0.8"}, 'architecture="squeezenet1_1"'),
}


@pytest.mark.parametrize("case", PRUNE)
def test_prune(case: str, lab: Here, capsys: pytest.CaptureFixture[str]) -> None:
    link, part = PRUNE[case]
    if link.get("run") == "own":
        link = {**link, "run": trained(lab)}
    page = opened("prune", **link)
    (text,) = box(page)
    assert part in text
    names, said = ran(text, capsys)
    shown = headline(page).partition("lab-aside")[0]
    gone = sum(int((~mask).sum()) for mask in names["masks"].values())
    assert f">{gone}<" in shown.replace("\u202f", "")
    assert [round(s, 1) for s in shares(said)] == shares(shown)
    assert len(shares(shown)) == (1 if case == "no data" else 3)


CLIP: dict[str, tuple[dict[str, str], str]] = {
    "the sample": ({}, "pc.ValueClip(threshold=0.01)"),
    "another strategy": ({"strategy": "norm", "t.norm": "0.3"}, "pc.NormClip(max_norm=0.316, norm_type=2)"),
    "one that remembers": (
        {"run": "own", "at": "10", "strategy": "autoclip", "t.autoclip": "20"}, "pc.AutoClip(), threshold=20.0",
    ),
    "after a change": (
        {"run": "told", "at": "10", "examples": "256", "draw": "2", "strategy": "zclip", "t.zclip": "0.1"},
        "step=10, examples=256, seed=2",
    ),
    "the end": ({"run": "own", "at": "end", "strategy": "agc", "t.agc": "0.002"}, "gradient(examples=64"),
    "trained now": ({"data": "moons", "model": "mlp", "at": "10", "strategy": "norm_1"}, "gradient_at(experiment, 10,"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLIP)
def test_clipping(case: str, lab: Here, capsys: pytest.CaptureFixture[str]) -> None:
    link, part = CLIP[case]
    if "run" in link:
        told = {"clip_threshold": 0.5, "lr": 0.02} if link["run"] == "told" else {}
        link = {**link, "run": trained(lab, **told)}
    page = opened("clipping", **link)
    (text,) = box(page)
    assert part in text
    names, said = ran(text, capsys)
    report, shown = names["report"], headline(page).partition(" changed ")[2]
    changed, left = shares(shown)[:2]
    assert changed == pytest.approx(100 * float(report.changed), abs=0.51)
    assert left == pytest.approx(100 * float(report.norm_after / report.norm_before), abs=0.51)
    turned = re.search(r">([\d.]+)°", shown)
    assert angle(float(report.cosine)) == pytest.approx(float(turned[1]) if turned else 0, abs=0.06)
    assert f"cosine {report.cosine:.4f}" in said
    digits = f"loss {number(names['gradient'].loss)}"
    assert case == "the sample" or digits in shown, "the same batch at the same moment"


def test_a_claim(lab: Here, capsys: pytest.CaptureFixture[str]) -> None:
    handle = lab.trial(TINY, where="here", owner="me")
    page = opened("claims", trial=handle.id)
    (text,) = box(page)
    names, _ = ran(text, capsys)
    assert names["claim"] == TINY
    assert any(names["trial"].verdict.sentence in m.value for m in page.markdown)
    wanted = handle.table().sort_values(["arm", "at", "seed", "measure"], ignore_index=True)
    found = names["trial"].table.sort_values(["arm", "at", "seed", "measure"], ignore_index=True)
    same = wanted["measure"] == "accuracy"
    assert found["value"][same].tolist() == wanted["value"][same].tolist()
    # the lines for the lab, which stand behind a sign
    again = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# verdict"))
    exec(again, names)
    assert names["verdict"] == names["trial"].verdict


@pytest.mark.parametrize("name", Claim.registry.names())
def test_every_claim_says_how_it_is_tried(name: str, lab: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pc, "trial", lambda claim: asked.append(claim) or handle)
    asked: list[Claim] = []
    handle: Any = type("Tried", (), {"verdict": pc.Verdict("holds", "So."), "table": None})
    page = opened("claims", claim=name)
    exec(box(page)[0], {})
    assert asked == [claims_read.samples()[name].claim]


def test_a_sweep(lab: Here, capsys: pytest.CaptureFixture[str]) -> None:
    handle = lab.sweep(SWEEP, where="here", owner="me")
    page = opened("trade_offs", sweep=handle.id, x="kept_bytes")
    (text,) = box(page)
    names, said = ran(text, capsys)
    assert names["sweep"] == SWEEP
    assert names["handle"].progress.reused == 4, "nothing was run again"
    trade = trade_off_data(tradeoffs_read.view(handle.id).raw, "kept_bytes")
    columns = ["x", "accuracy", "low", "high", "n"]
    assert names["data"].points[columns].equals(trade.points[columns])
    assert names["data"].front == trade.front and names["data"].cost == "kept_bytes"
    assert len(said.splitlines()) == len(trade.front) > 0


def test_what_has_no_name_is_said(lab: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Callable[..., str]:
        raise pc.ConfigError("Mine is not registered, so no text can name it.")

    monkeypatch.setattr("prune_core.export.prune_code", refuse)
    page = opened("prune", run=DENSE)
    assert any("no text can name it" in c.value for c in page.caption) and not box(page)
