"""What the figures of a sweep compute: settings, fronts, knees, axes and filters, against values worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prune_core import figures
from prune_core.comparing import final_rows, line_fields, names_of, settings_of, varying
from prune_core.errors import ConfigError
from prune_core.figures.parallel import matching
from prune_core.figures.parallel_axes import Span, axis_of
from prune_core.figures.trade_off import knees


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Results with one row each, filled up with what the figures need."""
    full = [
        {"run": f"r{i}", "status": "finished", "model": "mlp", "clip": None, "threshold": math.nan,
         "prune": "magnitude", "target": 0.5, "seed": 0, "accuracy": 0.9, "sparsity": 0.5, "kept_bytes": 1000.0,
         "kept_macs": 500.0, "latency_ms": 0.2, **row}
        for i, row in enumerate(rows)
    ]  # fmt: skip
    return pd.DataFrame(full)


CURVE = table(
    *({"prune": way, "prune.criterion": way.title(), "target": t, "sparsity": t, "seed": s, "train.seed": s,
       "kept_bytes": 1000 * (1 - t) + 10, "accuracy": a + 0.01 * s}
      for way, ys in (("magnitude", (0.96, 0.96, 0.95, 0.93, 0.80, 0.40)), ("random", (0.96, 0.9, 0.6, 0.4, 0.2, 0.1)))
      for t, a in zip((0.0, 0.5, 0.8, 0.9, 0.95, 0.98), ys, strict=True) for s in (0, 1))
)  # fmt: skip


# --- settings ---------------------------------------------------------------------------------------------------------
def test_runs_that_differ_in_their_seed_are_one_setting() -> None:
    found = settings_of(CURVE, "sparsity")
    assert len(found) == 12 and (found["n"] == 2).all()
    row = found[(found["line"] == "random") & (found["target"] == 0.8)].iloc[0]
    # of 0.60 and 0.61: mean 0.605, half the interval t(0.975, 1) · 0.005 = 12.7062 · 0.005
    assert row["accuracy"] == pytest.approx(0.605) and row["high"] - row["accuracy"] == pytest.approx(0.0635, abs=1e-4)
    assert sorted(row["runs"]) == ["r16", "r17"] and row["run"] in row["runs"]


def test_each_setting_is_named_once_however_many_columns_say_it() -> None:
    assert varying(CURVE) == ["prune", "target"]  # prune.criterion says the same as prune
    clipped = table({"clip": None}, *({"clip": "value", "threshold": t, "clip.threshold": t} for t in (0.1, 1.0)))
    assert varying(clipped) == ["clip", "threshold"]
    assert names_of(clipped, ["clip", "threshold"]).tolist() == [
        "no clipping",
        "value, threshold 0.1",
        "value, threshold 1",
    ]
    assert names_of(clipped, ["threshold"], {"threshold": "at most"}).tolist()[1] == "at most 0.1"
    assert names_of(clipped, []).tolist() == ["", "", ""]


def test_lines_are_as_many_as_can_be_told_apart() -> None:
    rows = [{"prune": p, "train.lr": lr} for p in ("a", "b") for lr in np.linspace(0.01, 1, 20)]
    assert varying(table(*rows)) == ["prune", "train.lr"]
    assert line_fields(table(*rows)) == ["prune"]
    assert line_fields(table(*rows), most=40) == ["prune", "train.lr"]


def test_only_final_figures_count() -> None:
    found = table({"status": "running"}, {"status": "finished"}, {"status": "diverged"}, {"accuracy": math.nan})
    assert final_rows(found)["run"].tolist() == ["r1", "r2"]


# --- trade-off --------------------------------------------------------------------------------------------------------
def test_front_takes_sparsity_as_a_gain_and_bytes_as_a_cost() -> None:
    for cost in ("sparsity", "kept_bytes"):
        data = figures.trade_off_data(CURVE, cost)
        front = data.points.loc[list(data.front)]
        # cheapest first; at 0.5 nothing is lost yet, so 0 is beaten
        assert front["target"].tolist() == [0.98, 0.95, 0.9, 0.8, 0.5]
        assert set(front["line"]) == {"magnitude"}


def test_knee_is_named_and_a_flat_curve_has_none() -> None:
    data = figures.trade_off_data(CURVE, "sparsity")
    assert knees(data)[0] == "Knee of magnitude: 93.5\u00a0% at 90.0\u00a0% removed."
    flat = CURVE.assign(accuracy=0.9 + 0.01 * CURVE["seed"])
    assert knees(figures.trade_off_data(flat, "sparsity")) == []


def test_a_click_can_be_resolved_on_every_point() -> None:
    data = figures.trade_off_data(CURVE, "kept_bytes")
    runs = set(CURVE["run"])
    seen = [t for t in figures.draw_trade_off.plain(data)["data"] if "customdata" in t]
    assert {t["name"] for t in seen} == {"magnitude", "random", "Pareto front", "knee"}
    for trace in seen:
        assert len(trace["customdata"]) == len(trace["x"])
        assert {detail[0] for detail in trace["customdata"]} <= runs


def test_a_line_keeps_its_colour_while_others_finish() -> None:
    waiting = CURVE.assign(status=np.where(CURVE["prune"] == "magnitude", "running", "finished"))
    turns = {line.name: line.turn for line in figures.trade_off_data(CURVE).lines}
    assert {line.name: line.turn for line in figures.trade_off_data(waiting).lines} == {"random": turns["random"]}


def test_the_picture_is_as_high_as_the_lines_to_come_from_the_start() -> None:
    waiting = CURVE.assign(status=np.where(CURVE["prune"] == "magnitude", "running", "finished"))
    heights = [
        figures.draw_trade_off.plain(figures.trade_off_data(rows), room=2)["layout"]["height"]
        for rows in (CURVE.assign(status="waiting"), waiting, CURVE)
    ]
    assert len(set(heights)) == 1
    assert figures.draw_trade_off.plain(figures.trade_off_data(CURVE), room=8)["layout"]["height"] > heights[0]


def test_a_knee_on_the_front_stands_around_its_ring() -> None:
    data = figures.trade_off_data(CURVE, "sparsity")
    traces = {t["name"]: t["marker"] for t in figures.draw_trade_off.plain(data)["data"] if "marker" in t}
    on_front = [line.knee in data.front for line in data.lines if line.knee is not None]
    ring = traces["Pareto front"]["size"]
    assert on_front and [size > ring for size in traces["knee"]["size"]] == on_front


def test_ten_thousand_runs_are_thinned_and_the_front_stays() -> None:
    rng = np.random.default_rng(0)
    big = pd.concat([CURVE.iloc[:1]] * 10_000, ignore_index=True).assign(
        run=[f"r{i}" for i in range(10_000)], seed=0, **{"train.lr": rng.random(10_000)},
        accuracy=rng.random(10_000), kept_bytes=rng.integers(1_000, 40_000, 10_000),
    )  # fmt: skip
    data = figures.trade_off_data(big, "kept_bytes")
    drawn = figures.draw_trade_off.plain(data)["data"]
    (rings,) = [t for t in drawn if t["name"] == "Pareto front"]
    assert [d[0] for d in rings["customdata"]] == data.points.loc[list(data.front), "run"].tolist()
    assert sum(len(t["x"]) for t in drawn) <= 700


def test_a_cost_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no cost 'price'; choose sparsity, kept_bytes"):
        figures.trade_off_data(CURVE, "price")  # type: ignore[arg-type]


# --- parallel coordinates ---------------------------------------------------------------------------------------------
def test_axes_have_places_for_names_and_a_scale_for_numbers() -> None:
    few = axis_of(table({"threshold": 0.1}, {"threshold": math.nan}, {"threshold": 0.01}), "threshold", "threshold")
    assert few.levels == ("none", "0.01", "0.1") and few.place.tolist() == [1.0, 0.0, 0.5]
    many = axis_of(table(*({"train.lr": 10.0**-k} for k in range(13))), "train.lr", "rate")
    assert many.log and many.place[6] == pytest.approx(0.5)
    assert many.ticks[0][1] == "1e-12" and many.ticks[-1][1] == "1"


def test_a_part_of_an_axis_keeps_what_lies_in_it() -> None:
    rows = table(*({"threshold": t, "accuracy": a} for t, a in ((0.1, 0.9), (math.nan, 0.8), (0.01, 0.5))))
    threshold, accuracy = (axis_of(rows, c, c) for c in ("threshold", "accuracy"))
    low = threshold.span(-0.02, 0.6)
    assert low == Span(levels=("none", "0.01")) and matching(rows, {"threshold": low}).tolist() == [False, True, True]
    # accuracy runs from 0.5 to 0.9: the middle is 0.7, and dragging beyond the end means all there is
    high = accuracy.span(0.5, 1.2)
    assert high is not None and (high.low, high.high) == (pytest.approx(0.7), math.inf)
    assert matching(rows, {"threshold": low, "accuracy": high}).tolist() == [False, True, False]
    assert accuracy.places(high) == (pytest.approx(0.5), 1.0)
    assert threshold.span(0.1, 0.3) is None


def test_every_line_of_the_parallel_figure_is_a_run() -> None:
    data = figures.parallel_data(CURVE, filters={"prune": Span(levels=("random",))})
    assert data.chosen.sum() == 12
    drawn = figures.draw_parallel.plain(data)["data"]
    axes = len(data.axes)
    lines = {t["name"]: np.append(t["y"], np.nan).reshape(-1, axes + 1) for t in drawn}
    assert sum(len(v) for v in lines.values()) == len(CURVE)
    assert len(lines["left out"]) == 12
    assert np.isnan(np.concatenate(list(lines.values()))[:, -1]).all(), "a gap between two lines"
    # the last axis is accuracy, from 0.1 to 0.97: the best run stands at its top
    assert max(np.nanmax(v[:, -2]) for v in lines.values()) == 1.0


# --- threshold and sparsity -------------------------------------------------------------------------------------------
def test_cells_are_means_over_runs_and_no_clipping_comes_last() -> None:
    rows = table(
        {"threshold": 0.1, "accuracy": 0.8}, {"threshold": 0.1, "accuracy": 0.9, "seed": 1},
        {"threshold": math.nan, "target": 0.0}, {"threshold": 0.01, "status": "running"},
    )  # fmt: skip
    data = figures.threshold_sparsity_data(rows)
    assert data.thresholds[:2] == (0.01, 0.1) and math.isnan(data.thresholds[2]) and data.sparsities == (0.0, 0.5)
    assert data.accuracy[1, 1] == pytest.approx(0.85) and data.n[1, 1] == 2 and data.run[1, 1] in ("r0", "r1")
    assert data.accuracy[2, 0] == 0.9 and np.isnan(data.accuracy[0]).all()
    words = figures.alt_threshold_sparsity(data)
    assert "highest 90.0\u00a0% with no clipping and 0\u00a0% removed" in words


def test_runs_that_have_not_begun_do_not_count_as_settings() -> None:
    waiting = table(
        {"run": "", "status": "waiting", "model": None, "prune": None, "target": math.nan, "threshold": 0.5}
    )
    both = pd.concat([CURVE, waiting], ignore_index=True)
    assert varying(both) == varying(CURVE) and line_fields(both) == ["prune"]
    assert [line.name for line in figures.trade_off_data(both).lines] == ["magnitude", "random"]
    assert len(figures.threshold_sparsity_data(both).thresholds) == 1


def test_latency_is_that_of_the_model_for_masks_make_nothing_faster() -> None:
    rng = np.random.default_rng(3)
    noisy = CURVE.assign(latency_ms=0.2 + 0.05 * rng.random(len(CURVE)), macs=1e5)
    data = figures.trade_off_data(noisy, "latency_ms")
    assert data.points["x"].unique().tolist() == [pytest.approx(float(noisy["latency_ms"].median()))]
    best = data.points["accuracy"].max()
    assert set(data.points.loc[list(data.front), "accuracy"]) == {best}, "chance makes no front"


def test_no_interval_goes_beyond_what_an_accuracy_can_be() -> None:
    rows = [{"target": t, "sparsity": t, "seed": s, "train.seed": s, "accuracy": a + s}
            for t, a in ((0.5, 0.75), (0.9, 0.05)) for s in (0.0, 0.2)]  # fmt: skip
    data = figures.trade_off_data(table(*rows))
    assert data.points["high"].max() > 1 and data.points["low"].min() < 0, "two seeds that far apart"
    words = [figures.trade_words.describe_setting(row, "sparsity") for _, row in data.points.iterrows()]
    assert any("to 100.0" in text for text in words) and any("(0.0" in text for text in words)
    band = [t for t in figures.draw_trade_off(data).data if "95 %" in (t.name or "")]
    assert len(band) == 2 and all(0 <= y <= 1 for t in band for y in t.y)
