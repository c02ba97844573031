"""What the data functions compute, against values worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from prune_core import figures
from prune_core.errors import ConfigError
from prune_core.events import Boundary, InterventionEvent, LayerSnapshot
from prune_core.figures.drawing import log_axis
from prune_core.figures.marks import marks_of
from prune_core.figures.thinning import keep
from prune_core.figures.words import count, number, percent, plural, power, si


# --- thinning --------------------------------------------------------------------------------------------------------
def test_short_columns_stay_whole() -> None:
    assert keep([np.arange(7.0)], limit=10).tolist() == list(range(7))


def test_thinning_keeps_ends_and_every_spike_of_every_column() -> None:
    n = 50_000
    flat, dip = np.zeros(n), np.zeros(n)
    flat[12_345] = 9.0
    dip[43_210] = -9.0
    dip[100:200] = np.nan
    at = keep([flat, dip], limit=1000)
    assert len(at) <= 1000
    assert {0, n - 1, 12_345, 43_210} <= set(at.tolist())
    assert (np.diff(at) > 0).all()


@pytest.mark.parametrize("n", [1001, 1002, 1999, 4096, 99_991])
def test_thinning_stays_within_its_limit(n: int) -> None:
    values = np.sin(np.arange(n) / 7)
    at = keep([values, -values, values**2], limit=1000)
    assert 300 < len(at) <= 1000 and at[0] == 0 and at[-1] == n - 1


# --- words -----------------------------------------------------------------------------------------------------------
def test_large_numbers_have_three_digits_and_a_prefix() -> None:
    seen = {0: "0", 7: "7", 999: "999", 1000: "1.00 k", 54_754: "54.8 k", 99_960: "100 k", 999_600: "1.00 M",
            1_814_073_344: "1.81 G", -2500: "-2.50 k", 5e16: "50000 T"}  # fmt: skip
    assert {value: si(value).replace("\u00a0", " ") for value in seen} == seen
    assert si(29_400, "B") == "29.4\u00a0kB" and si(12, "B") == "12\u00a0B"


def test_words() -> None:
    assert percent(0.1234) == "12.3\u00a0%" and percent(0.5, 0) == "50\u00a0%" and percent(math.nan) == "–"
    assert number(0.012345) == "0.0123" and number(1234567.0) == "1.23e6"
    assert number(1e-5) == "1e-5" and number(0) == "0"
    assert number(math.inf) == "not finite"
    assert (
        count(266610) == "266\u202f610"
        and plural(1, "layer") == "1 layer"
        and plural(2, "class", "classes") == "2 classes"
    )
    assert [power(d) for d in (-4, -2, 0, 3, 6)] == ["10<sup>\u22124</sup>", "0.01", "1", "1000", "10<sup>6</sup>"]


def test_log_axis_has_a_tick_at_each_decade_and_thins_many() -> None:
    assert log_axis(-1.5, 2.0)["tickvals"] == [0.1, 1.0, 10.0, 100.0]
    assert len(log_axis(-12, 9)["tickvals"]) <= 7
    assert "tickvals" not in log_axis(0.5, 1.0)


# --- marks -----------------------------------------------------------------------------------------------------------
def test_marks_come_from_events_records_and_tables() -> None:
    event = InterventionEvent(40, "sparsity", 0.8)
    record = {"step": 40, "field": "sparsity", "value": 0.8}
    for given in ([event], [record], pd.DataFrame([record])):
        (mark,) = marks_of(given)
        assert (mark.step, mark.text) == (40, "sparsity 80\u00a0%")
    assert marks_of(None) == ()


# --- sensitivity -----------------------------------------------------------------------------------------------------
def test_sensitivity_is_a_table_with_gaps_where_nothing_is_measured_yet() -> None:
    row = {"removed": 5, "weights": 10, "low": 0.8, "high": 0.98, "loss": 0.1}
    cells = [
        {"layer": "b", "sparsity": 0.5, "accuracy": 0.9, **row},
        {"layer": "a", "sparsity": 0.9, "accuracy": 0.4, **row},
    ]
    for given in (cells, pd.DataFrame(cells)):
        data = figures.layer_sensitivity_data(given, ["a", "b"], (0.9, 0.5), dense=0.97)
        assert data.layers == ("a", "b") and data.sparsities == (0.5, 0.9)
        assert np.array_equal(data.accuracy, [[np.nan, 0.4], [0.9, np.nan]], equal_nan=True)
    words = figures.alt_layer_sensitivity(data)
    assert "Lowest: 40.0\u00a0% with 90\u00a0% of a gone; 2 of 4 cells measured." in words
    # 0.98 is not below 0.97: what one layer loses at any sparsity may be chance
    whole = [{"layer": "a", "sparsity": s, "accuracy": 0.96, **row} for s in (0.5, 0.9)]
    words = figures.alt_layer_sensitivity(figures.layer_sensitivity_data(whole, dense=0.97))
    assert "no loss beyond chance at any sparsity in a." in words


# --- one figure after the other --------------------------------------------------------------------------------------
def table(**columns: list[float]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    return pd.DataFrame({"step": np.arange(1, size + 1), **columns})


def test_loss_is_smoothed_and_accuracy_has_wilson_intervals() -> None:
    history = table(loss=[4.0, 2.0, 1.0])
    evals = pd.DataFrame({"step": [2, 3], "accuracy": [0.5, 0.9], "n": [100, 100]})
    data = figures.loss_accuracy_data(history, evals)
    # span 5: alpha = 1/3, weights 1, 2/3, 4/9. (1*1 + 2*2/3 + 4*4/9) / (1 + 2/3 + 4/9) = (37/9) / (19/9)
    assert data.smooth[-1] == pytest.approx(37 / 19)
    # p = 0.5, n = 100: centre 0.5, half = (1.96 * sqrt(0.0025 + 0.0000960)) / 1.0384 = 0.0962
    assert data.low[0] == pytest.approx(0.4038, abs=1e-4) and data.high[0] == pytest.approx(0.5962, abs=1e-4)
    assert data.low[1] == pytest.approx(0.8256, abs=1e-4) and data.high[1] == pytest.approx(0.9448, abs=1e-4)


def test_wilson_stays_inside_at_the_ends() -> None:
    low, high = figures.wilson(np.array([0.0, 1.0]), np.array([50.0, 50.0]))
    assert low[0] == pytest.approx(0, abs=1e-12) and high[1] == pytest.approx(1, abs=1e-12)
    assert high[0] == pytest.approx(0.0713, abs=1e-4) and low[1] == pytest.approx(0.9287, abs=1e-4)


def test_accuracy_may_stand_in_the_history_itself() -> None:
    history = table(loss=[1.0, 0.5, 0.4], accuracy=[math.nan, 0.7, math.nan])
    data = figures.loss_accuracy_data(history)
    assert data.eval_step.tolist() == [2] and data.accuracy.tolist() == [0.7] and np.isnan(data.low).all()


def test_gradient_norm_counts_cut_steps_and_draws_the_threshold_as_a_stair() -> None:
    history = table(grad_norm_before=[3.0, 0.5, 2.0, 0.2], grad_norm_after=[1.0, 0.5, 1.0, 0.2])
    marks = [InterventionEvent(3, "clip_threshold", 0.5), InterventionEvent(2, "lr", 0.1)]
    data = figures.gradient_norm_data(history, 0.5, marks, start=1.0)
    assert data.above == 0.5  # the first and the third of four
    assert list(zip(data.threshold_step.tolist(), data.threshold_value.tolist(), strict=True)) == [
        (1, 1.0),
        (3, 0.5),
        (4, 0.5),
    ]
    assert figures.gradient_norm_data(history, None, marks).threshold_step.size == 0
    # a norm of exactly 0 keeps a place on the logarithmic axis
    assert figures.gradient_norm_data(table(grad_norm_before=[0.0], grad_norm_after=[0.0])).before[0] > 0


def test_a_gradient_that_was_never_shortened_is_one_line() -> None:
    same = table(grad_norm_before=[3.0, 2.0], grad_norm_after=[3.0, 2.0])
    data = figures.gradient_norm_data(same)
    assert [t.name for t in figures.draw_gradient_norm(data).data] == ["gradient, not shortened"]
    assert "no step was shortened" in figures.alt_gradient_norm(data)
    cut = figures.gradient_norm_data(table(grad_norm_before=[3.0, 2.0], grad_norm_after=[3.0, 1.0]))
    assert [t.name for t in figures.draw_gradient_norm(cut).data] == ["before clipping", "after clipping"]


def test_gradient_norm_axis_holds_the_threshold() -> None:
    history = table(grad_norm_before=[3.0, 2.0], grad_norm_after=[1.0, 1.0])
    low, high = figures.draw_gradient_norm(figures.gradient_norm_data(history, 300.0)).layout.yaxis.range
    assert low <= 0 and high >= math.log10(300)


def layer(**more: object) -> LayerSnapshot:
    values: dict[str, object] = {
        "name": "w", "shape": (4, 5), "numel": 20, "kept": 12, "edges": (-1.0, 1.0), "weights": np.array([3, 3, 3, 3]),
        "removed": np.array([0, 4, 4, 0]), "gradients": np.zeros(60, int), "zero_gradients": 0, "threshold": 0.5,
        "norm_before": 1.0, "norm_after": 1.0, "clipped": 0.0, "cosine": 1.0,
    }  # fmt: skip
    return LayerSnapshot(**{**values, **more})  # type: ignore[arg-type]


def test_weight_histogram_of_a_snapshot() -> None:
    data = figures.weight_histogram_data(layer())
    assert data.middle.tolist() == [-0.75, -0.25, 0.25, 0.75] and data.width == 0.5
    assert data.sparsity == 8 / 20
    drawn = figures.draw_weight_histogram(data)
    assert [s.x0 for s in drawn.layout.shapes] == [-0.5, 0.5]
    assert {s.name for s in drawn.layout.shapes} == {"threshold"}


def test_weight_histogram_split_shares_out_the_bins_the_threshold_cuts() -> None:
    # bins [-1,-.5] [-.5,0] [0,.5] [.5,1]; |w| < 0.75 takes half of the outer bins and all of the inner ones
    data = figures.weight_histogram_split("w", (-1.0, 1.0), [10, 20, 20, 10], 0.75)
    assert data.removed.tolist() == [5.0, 20.0, 20.0, 5.0] and data.kept.tolist() == [5.0, 0.0, 0.0, 5.0]
    assert data.sparsity == pytest.approx(50 / 60)
    assert figures.weight_histogram_split("w", (-1.0, 1.0), [1, 1], 0.0).sparsity == 0


def test_gradient_histogram_splits_at_the_threshold() -> None:
    counts = np.zeros(60, int)
    counts[[29, 30, 31]] = 6  # bins of a sixth of a decade from 10^-8: bin 30 spans 10^-3 to 10^-2.83
    data = figures.gradient_histogram_data(layer(gradients=counts, zero_gradients=2), 10 ** (-3 + 1 / 12))
    assert data.below[29] == 6 and data.above[31] == 6
    assert data.below[30] == pytest.approx(3) and data.above[30] == pytest.approx(3)
    assert data.share_above == pytest.approx(9 / 20)  # zeros count
    assert figures.gradient_histogram_data(layer(gradients=counts)).above.sum() == 0


def test_layer_bars_read_snapshots_and_records_and_weigh_by_size() -> None:
    rows = [{"name": "a", "numel": 100, "sparsity": 0.5}, {"name": "b", "numel": 300, "kept": 30}]
    data = figures.layer_bars_data(rows)
    assert data.sparsity.tolist() == [0.5, 0.9]
    assert data.overall == pytest.approx((50 + 270) / 400)
    assert figures.layer_bars_data([layer()]).sparsity.tolist() == [0.4]
    many = figures.layer_bars_data([{"name": str(i), "numel": i + 1, "sparsity": 0.0} for i in range(70)])
    assert many.names == tuple(str(i) for i in range(6, 70))  # the 64 largest, in the network's order


def test_mask_picture_averages_equal_blocks() -> None:
    mask = np.zeros((4, 6), dtype=bool)
    mask[0, 0] = mask[3, 5] = True
    data = figures.mask_picture_data("w", mask, side=3)  # blocks of 2 rows and 2 columns
    assert data.kept.tolist() == [[0.25, 0.0, 0.0], [0.0, 0.0, 0.25]] and data.cell == (2, 2)
    assert data.rows.tolist() == [0, 2] and data.columns.tolist() == [0, 2, 4]
    assert data.sparsity == pytest.approx(22 / 24)
    uneven = figures.mask_picture_data("w", np.ones((5, 5), dtype=bool), side=2)
    assert uneven.kept.shape == (2, 2) and (uneven.kept == 1).all()  # shorter last blocks are still full
    assert figures.mask_picture_data("c", np.ones((2, 3, 3, 3), dtype=bool)).kept.shape == (2, 27)
    assert figures.mask_picture_data("b", np.array([True, False])).kept.tolist() == [[1.0, 0.0]]


def test_accuracy_curve_sorts_keeps_the_last_and_lets_the_dot_walk() -> None:
    points = [{"sparsity": s, "accuracy": a} for s, a in ((0.8, 0.7), (0.0, 0.9), (0.8, 0.6))]
    data = figures.accuracy_sparsity_data(points, dot=0.4)
    assert data.sparsity.tolist() == [0.0, 0.8] and data.accuracy.tolist() == [0.9, 0.6]
    assert data.dense == 0.9 and data.dot_accuracy == pytest.approx(0.75)
    assert figures.accuracy_sparsity_data(points, dot=0.9).dot_accuracy is None  # beyond what was measured
    assert figures.accuracy_sparsity_data(points, dot=0.4, dot_accuracy=0.8).dot_accuracy == 0.8


def test_decision_boundary_keeps_the_grid_and_at_most_400_points() -> None:
    grid = np.zeros((60, 60), np.uint8)
    grid[:, 30:] = 1
    boundary = Boundary((-3.0, 3.0, -2.0, 2.0), grid, np.full((60, 60), 255, np.uint8))
    data = figures.decision_boundary_data(boundary, np.zeros((1000, 2)), np.arange(1000) % 2)
    assert (data.x[0], data.x[-1], data.y[0], data.y[-1]) == (-3, 3, -2, 2)
    assert len(data.points) == 400 and data.count == 2 and data.confidence.max() == 1
    z = np.asarray(figures.draw_decision_boundary(data).data[0].z)
    assert z[0, 0] == -127 and z[0, 59] == 127  # surely the one, surely the other


def test_overlay_refuses_what_it_cannot_show() -> None:
    run = {"name": "a", "idea": "both", "history": table(loss=[1.0])}
    with pytest.raises(ConfigError, match="1 to 6 runs at a time; got 7"):
        figures.overlay_data([run] * 7)
    with pytest.raises(ConfigError, match="no metric 'speed'"):
        figures.overlay_data([run], "speed")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="idea must be one of"):
        figures.overlay_data([{**run, "idea": "magic"}], "loss")
    assert [line.turn for line in figures.overlay_data([run, run], "loss").lines] == [0, 1]


def test_a_share_removed_is_never_drawn_below_nothing() -> None:
    run = {"name": "a", "idea": "both", "history": pd.DataFrame({"step": [1, 2], "sparsity": [0.0, 0.0]})}
    low, high = figures.draw_overlay.plain(figures.overlay_data([run], "sparsity"))["layout"]["yaxis"]["range"]
    assert low == 0 and high >= 1


def test_curves_average_with_students_interval_and_leave_out_what_an_axis_cannot_show() -> None:
    rows = [{"name": "a", "x": x, "y": y} for x, y in ((1, 1.0), (1, 3.0), (0, 5.0), (2, math.inf), (3, 4.0))]
    words = {"title": "t", "x_title": "x", "y_title": "y"}
    data = figures.curves_data(rows, "x", "y", log="x", ideas={"a": "clipping"}, **words)
    (curve,) = data.curves
    assert curve.x.tolist() == [1, 3] and curve.y.tolist() == [2, 4] and curve.idea == "clipping"
    # two values 1 and 3: s = √2, s/√2 = 1, t(0.975, 1) = 12.706
    assert curve.low[0] == pytest.approx(2 - 12.706, abs=1e-3) and math.isnan(curve.low[1])
    own = figures.curves_data([{"name": "a", "x": 1, "y": 2.0, "low": 1.5, "high": 2.25}], "x", "y", **words).curves[0]
    assert (own.low[0], own.high[0]) == (1.5, 2.25) and own.idea is None
    assert [c.turn for c in figures.curves_data(rows, "x", "y", by="x", **words).curves] == [0, 1, 2, 3]


def test_curves_refuse_what_they_cannot_show() -> None:
    words = {"title": "t", "x_title": "x", "y_title": "y"}
    rows = [{"name": str(i), "x": 1, "y": 1} for i in range(9)]
    with pytest.raises(ConfigError, match="no column 'z'"):
        figures.curves_data(rows, "z", "y", **words)
    with pytest.raises(ConfigError, match="at most 8 lines in one picture; got 9"):
        figures.curves_data(rows, "x", "y", **words)
    with pytest.raises(ConfigError, match="idea of '0' must be one of"):
        figures.curves_data(rows[:1], "x", "y", ideas={"0": "magic"}, **words)  # type: ignore[dict-item]
