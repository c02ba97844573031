"""Every registered claim: what it says, what it asks for, and that its rule answers as it is written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import prune_core as pc
from prune_core.claims import COLUMNS, HEARD, UNITS, Claim, PruningCosts, arms_of, claims, of_row
from prune_core.errors import ConfigError
from prune_core.jobs import table_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "samples" / "claims.json"
NAMES = Claim.registry.names()
CONTENT: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))


def table(rows: dict[tuple[str, str, float], list[float]]) -> pd.DataFrame:
    """A hand-made table: values by seed for (measure, arm, place)."""
    made = [
        {"arm": arm, "idea": "pruning", "at": at, "seed": seed, "measure": measure, "value": float(value), "unit": "",
         "run": f"{arm}-{at}-{seed}"}
        for (measure, arm, at), values in rows.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(made, columns=list(COLUMNS))


NOWHERE = math.nan


def shrinks(count: float, time: float) -> pd.DataFrame:
    counted = ("parameters", "nonzero", "kept_macs", "dense_bytes")
    rows: dict[tuple[str, str, float], list[float]] = {}
    for name in (*counted, "latency", "step"):
        factor = count if name in counted else time
        rows[name, "without clipping", NOWHERE] = [100, 101, 99, 100]
        rows[name, "with clipping", NOWHERE] = [100 * factor, 101 * factor, 99.2 * factor, 100 * factor]
    for name in ("latency ratio", "step ratio"):
        rows[name, "with clipping", NOWHERE] = [time, time, 1.002 * time, time]
    return table(rows)


def zeros(*shares: float) -> pd.DataFrame:
    rows: dict[tuple[str, str, float], list[float]] = {
        ("zero", "without clipping", NOWHERE): [0, 0, 0],
        ("zero", "pruned by |w|", NOWHERE): [0.8, 0.8, 0.8],
        ("accuracy", "pruned by |w|", NOWHERE): [0.96, 0.95, 0.97],
        ("accuracy", "pruned by |g|", NOWHERE): [0.9, 0.91, 0.88],
    }
    for i, share in enumerate(shares):
        rows["zero", f"clipped at {10.0**-i:g}", NOWHERE] = [share, share, share]
    return table(rows)


def losses(*points: float) -> pd.DataFrame:
    """Accuracy at sparsities 0.5, 0.6, ...: so many points below the dense one, seed by seed a little different."""
    rows: dict[tuple[str, str, float], list[float]] = {("accuracy", "not pruned", 0.0): [0.97, 0.96, 0.975, 0.965]}
    for i, lost in enumerate(points):
        spread = (-0.001, 0.001, 0.002, -0.002)
        rows["accuracy", "pruned", 0.5 + i / 10] = [
            a - lost / 100 + e for a, e in zip((0.97, 0.96, 0.975, 0.965), spread, strict=True)
        ]
    return table(rows)


def gains(kept: str, *points: float) -> pd.DataFrame:
    rows: dict[tuple[str, str, float], list[float]] = {}
    for i, gained in enumerate(points):
        at = 0.5 + i / 10
        rows["accuracy", "kept at random", at] = [0.7, 0.72, 0.69, 0.71]
        rows["accuracy", kept, at] = [a + gained / 100 + e for a, e in ((0.7, 0.001), (0.72, -0.001), (0.69, 0.002),
                                                                       (0.71, -0.002))]  # fmt: skip
    return table(rows)


def ways(gradual: float, rewinding: float) -> pd.DataFrame:
    """Points lost by the cheap and by the dear way."""
    rows: dict[tuple[str, str, float], list[float]] = {}
    given = (("dense, not pruned", 0.0, 1.0), ("gradual", gradual, 1.0), ("rewinding", rewinding, 6.0))
    for arm, lost, cost in given:
        rows["accuracy", arm, NOWHERE] = [0.97 - lost / 100 + e * (lost != 0) for e in (0.001, -0.001, 0.002, -0.002)]
        rows["trainings", arm, NOWHERE] = [cost] * 4
        rows["seconds", arm, NOWHERE] = [cost * 0.3] * 4
    return table(rows)


def times(**ratios: float) -> pd.DataFrame:
    names = {"masked": "masked", "csr": "sparse (CSR)", "smaller": "outputs taken out"}
    rows: dict[tuple[str, str, float], list[float]] = {}
    for batch in ("batch 1", "batch 64"):
        rows[batch, "dense", NOWHERE] = [1.0, 1.1, 0.9]
        rows[f"{batch} ratio", "dense", NOWHERE] = [1.0, 1.0, 1.0]
        for key, ratio in ratios.items():
            rows[batch, names[key], NOWHERE] = [1.0 * ratio, 1.1 * ratio, 0.905 * ratio]
            rows[f"{batch} ratio", names[key], NOWHERE] = [ratio, ratio, 1.005 * ratio]
    return table(rows)


def diverged(*counts: tuple[int, int]) -> pd.DataFrame:
    """Seeds of 8 that diverge without and with clipping, at rates 1, 2, ..."""
    rows: dict[tuple[str, str, float], list[float]] = {}
    for i, (plain, clipped) in enumerate(counts):
        rows["diverged", "without clipping", i + 1.0] = [float(seed < plain) for seed in range(8)]
        rows["diverged", "with clipping", i + 1.0] = [float(seed < clipped) for seed in range(8)]
    return table(rows)


BY_SIZE, BY_SHARE = "largest |w| kept", "largest |w| ÷ layer mean kept"
ANSWERS: dict[str, list[tuple[str, pd.DataFrame]]] = {
    "clipping_shrinks": [
        ("does not hold", shrinks(1, 1.05)),
        ("holds", shrinks(0.5, 0.5)),
        ("depends", shrinks(1, 0.5)),
        ("does not hold", shrinks(0.99, 0.99)),
    ],
    "clipping_prunes": [("does not hold", zeros(0, 0, 0.001)), ("holds", zeros(0.5, 0.2)), ("depends", zeros(0, 0.2))],
    "pruning_costs": [
        ("holds", losses(3, 5)),
        ("does not hold", losses(0, 0.2)),
        ("depends", losses(0, 0.1, 4)),
        ("not decided", losses(0.9, 1.0)),
    ],
    "largest_absolute": [
        ("holds", gains(BY_SIZE, 5, 20)),
        ("does not hold", gains(BY_SIZE, 0, -3)),
        ("depends", gains(BY_SIZE, 0, 20)),
        ("not decided", gains(BY_SIZE, 1.0)),
    ],
    "largest_relative": [
        ("holds", gains(BY_SHARE, 5, 20)),
        ("does not hold", gains(BY_SHARE, 0, -3)),
        ("depends", gains(BY_SHARE, 0, 20)),
    ],
    "many_trainings": [
        ("does not hold", ways(0.1, 0.1)),
        ("holds", ways(5, 0.1)),
        ("depends", ways(5, 3)),
        ("not decided", ways(1.0, 0.1)),
    ],
    "pruned_faster": [
        ("depends", times(masked=1, csr=0.5, smaller=0.2)),
        ("does not hold", times(masked=1, csr=1.2)),
        ("holds", times(masked=0.5, smaller=0.2)),
    ],
    "clipping_converges": [
        ("holds", diverged((0, 0), (7, 0), (8, 1))),
        ("depends", diverged((7, 0), (8, 8))),
        ("does not hold", diverged((8, 8), (7, 6))),
        ("not decided", diverged((0, 0), (2, 0))),
    ],
}


def test_the_lab_s_own_claims_come_first_and_each_has_answers_here():
    assert [entry.name for entry in claims()][: len(HEARD)] == list(HEARD)
    assert set(ANSWERS) == set(HEARD)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_it_claims_and_how_it_is_judged(name):
    entry = Claim.registry[name]
    cls = entry.cls
    assert cls.statement.endswith(".") and cls.statement[0].isupper()
    assert entry.label and entry.summary.endswith(".") and entry.reference and cls.explanation
    assert "holds" in cls.rule and "depends" in cls.rule, "the rule says when which answer is given"
    assert any(char.isdigit() for char in cls.rule), "the threshold stands in the rule"
    thresholds = {k for k in vars(cls) if k.isupper()}
    assert not thresholds & set(cls.model_fields), "no threshold is a setting"
    assert cls.pictures and all(p.title and p.x for p in cls.pictures)


@pytest.mark.parametrize("name", NAMES)
def test_its_experiments_are_every_arm_at_every_seed(name):
    claim = Claim.registry[name].cls(seeds=4)
    sweep, places = claim.experiments(), claim.places()
    members = sweep.members()
    assert len(members) == len(places) == 4 * len(claim.arms()) and sweep.share is claim.share
    for member, (arm, seed) in zip(members, places, strict=True):
        assert member.experiment.train.seed == seed
        assert all(member.changes[path] == value for path, value in arm.changes.items())
    assert len({member.experiment.digest for member in members}) == len(members), "no run is made twice"
    assert Claim.from_dict(json.loads(json.dumps(claim.to_dict()))) == claim


@pytest.mark.parametrize(("name", "number"), [(n, i) for n, cases in ANSWERS.items() for i in range(len(cases))])
def test_the_rule_gives_each_answer_on_a_table_made_for_it(name, number):
    word, made = ANSWERS[name][number]
    claim, before = Claim.registry[name].cls(), made.copy(deep=True)
    verdict = claim.judge(made)
    assert verdict.word == word, verdict
    assert claim.judge(made) == verdict and made.equals(before), "a pure function of the table"
    assert claim.judge(made.sample(frac=1, random_state=0)).word == word, "whatever the order of the rows"
    assert verdict.sentence.endswith(".") and ".." not in verdict.sentence and "nan" not in verdict.sentence
    assert bool(verdict.on) == (word == "depends")


@pytest.mark.parametrize("name", HEARD)
def test_a_figure_that_is_missing_is_no_answer(name):
    made = ANSWERS[name][0][1].copy()
    made["value"] = math.nan
    with pytest.raises(ConfigError, match="was not measured for every seed"):
        Claim.registry[name].cls().judge(made)


# --- the samples ------------------------------------------------------------------------------------------------------
def test_the_samples_are_of_these_claims_and_small():
    assert list(CONTENT) and set(CONTENT) == set(HEARD)
    assert SAMPLE.stat().st_size < 300_000


@pytest.mark.parametrize("name", HEARD)
def test_a_sample_is_of_the_code_as_it_is(name):
    """Where this fails: scripts/make_sample_claims.py."""
    claim = Claim.from_dict(CONTENT[name]["claim"])
    assert claim == Claim.registry[name].cls(), "made with the settings that everybody sees first"
    runs = CONTENT[name]["runs"]
    at = runs["columns"].index("digest")
    assert [row[at] for row in runs["data"]] == [m.experiment.digest for m in claim.experiments().members()]


@pytest.mark.parametrize("name", HEARD)
def test_every_verdict_follows_from_the_stored_runs(name):
    stored = CONTENT[name]
    claim, kept = Claim.from_dict(stored["claim"]), table_of(stored["table"])
    rows = [dict(zip(stored["runs"]["columns"], row, strict=True)) for row in stored["runs"]["data"]]
    members = claim.experiments().members()
    runs = [
        of_row({"run": row["digest"], **row}, *place, member.experiment, lambda: pytest.fail("it needs no model"))
        for row, place, member in zip(rows, claim.places(), members, strict=True)
    ]
    found = kept if claim.looks else claim.measure(runs)
    pd.testing.assert_frame_equal(found[["arm", "seed", "measure", "value"]], kept[["arm", "seed", "measure", "value"]])
    recorded = [m for m in kept["measure"].unique() if m in UNITS and m not in ("diverged", "loss")]
    again = claim.recorded(runs, recorded)
    both = kept[kept["measure"].isin(recorded)].merge(again, on=["run", "arm", "seed", "measure"])
    assert both["value_x"].tolist() == pytest.approx(both["value_y"].tolist(), nan_ok=True)
    verdict = claim.judge(found)
    assert {"word": verdict.word, "sentence": verdict.sentence, "on": verdict.on} == stored["verdict"]
    text = claim.formula(found)
    assert any(char.isdigit() for char in text) and text.count("{") == text.count("}")


def test_what_the_samples_teach():
    """The purpose of the lab, as measured: if one of these turns, the pages' words have to be read again."""
    words = {name: one["verdict"]["word"] for name, one in CONTENT.items()}
    assert words["clipping_shrinks"] == words["clipping_prunes"] == words["many_trainings"] == "does not hold"
    assert {words[n] for n in ("pruning_costs", "pruned_faster", "clipping_converges")} == {"depends"}
    kept = table_of(CONTENT["clipping_shrinks"]["table"])
    nonzero = kept[kept["measure"] == "nonzero"].pivot(index="seed", columns="arm", values="value")
    assert nonzero["with clipping"].equals(nonzero["without clipping"].rename("with clipping"))
    assert arms_of(table_of(CONTENT["pruned_faster"]["table"]), "batch 64")[0] == "dense"


# --- the parts --------------------------------------------------------------------------------------------------------
def test_a_verdict_says_what_it_depends_on_and_nothing_else_does():
    assert pc.Verdict("depends", "So.", on="the day").on == "the day"
    for word, on in (("depends", ""), ("holds", "the day"), ("maybe", "")):
        with pytest.raises(ConfigError):
            pc.Verdict(word, "So.", on)  # type: ignore[arg-type]


def test_arms_that_cannot_be_told_apart_and_settings_out_of_bounds_are_refused():
    with pytest.raises(ConfigError, match="seeds must be a whole number at least 2"):
        PruningCosts(seeds=1)
    with pytest.raises(ConfigError, match="sparsities must be 1 to 12 numbers"):
        PruningCosts(sparsities=(0.5, 1.0))
    assert PruningCosts(sparsities="0.5").sparsities == (0.5,)
    with pytest.raises(ConfigError, match="batch_size"):
        PruningCosts(batch_size=5000)

    class Twice(Claim):
        """The same arm twice."""

        def arms(self):
            return [pc.Arm("a", "baseline"), pc.Arm("a", "clipping")]

    with pytest.raises(ConfigError, match="must differ in name or place"):
        Twice().experiments()
    with pytest.raises(ConfigError, match="cannot be written down"):
        Twice().to_dict()
