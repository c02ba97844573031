"""What the figures of the Clipping page say is what clipping did."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import prune_core as pc
from prune_core.clipping import FlatGradients, cliff
from prune_core.clipping.curves import Lane, lane, lanes
from prune_core.figures.cliff_surface import cliff_surface_data
from prune_core.figures.clip_arrows import clip_arrows_data, draw_clip_arrows
from prune_core.figures.clip_curves import clip_curves_data, draw_clip_curves
from prune_core.figures.clip_histogram import clip_histogram_data
from prune_core.figures.clip_layers import clip_layers_data

# ‖g‖ = 13; at α = 4 it is (3, 4, 0, 4): length √41, turned by arccos(73 / (13 √41)) = 28.7°
FLAT = FlatGradients(torch.tensor([3.0, 4.0, 0.0, 12.0]), ("a", "b"), (0, 2, 4), (torch.ones(2), torch.ones(2)))


def at_four() -> tuple[tuple[Lane, ...], dict[str, int]]:
    found = (lane("value", "By value", pc.ValueClip(), FLAT), lane("norm", "By norm", pc.NormClip(), FLAT))
    return found, {"value": found[0].nearest(4.0), "norm": found[1].nearest(6.5)}


def test_arrows_have_exact_lengths_and_angles():
    found, at = at_four()
    data = clip_arrows_data(found, at, "value")
    alpha = float(found[0].thresholds[at["value"]])
    after = FLAT.values.clamp(-alpha, alpha).double()
    before = FLAT.values.double()
    value, norm = data.arrows
    assert value.length == pytest.approx(float(after.norm()), rel=1e-6)
    wanted = math.degrees(math.acos(float(before @ after / before.norm() / after.norm())))
    assert value.angle == pytest.approx(wanted, abs=1e-3) and 20 < wanted < 40
    along = float(before @ after / before.norm())
    across = float((after - along * before / before.norm()).norm())
    assert value.tip == pytest.approx((along, across), rel=1e-5), "the plane of g and of what lies across it"
    assert norm.angle == 0 and norm.tip == (norm.length, 0.0)
    drawn = draw_clip_arrows.plain(data)["data"]
    assert next(t for t in drawn if t["name"] == "By value")["x"][1] == pytest.approx(along, rel=1e-5)


def test_the_dot_lies_on_the_curve_and_the_axis_is_the_chosen_ones():
    found, at = at_four()
    for chosen in ("value", "norm"):
        data = clip_curves_data(found, at, chosen, "changed")
        mine = data.line
        assert mine is not None and np.array_equal(mine.x, mine.own)
        for line, one in zip(data.lines, found, strict=True):
            assert line.x / data.quiet == pytest.approx(one.thresholds / one.quiet), "a share of what changes nothing"
        figure = draw_clip_curves.plain(data)
        dot = next(t for t in figure["data"] if t["name"] == "now")
        curve = next(t for t in figure["data"] if t["name"] == mine.label)
        assert dot["y"][0] == curve["y"][list(curve["x"]).index(dot["x"][0])]
        drag = figure["layout"]["meta"]["drag"]
        assert drag["value"] == data.threshold and drag["min"] == mine.own[0] and drag["max"] == mine.own[-1]


def test_both_histograms_count_every_entry_in_the_same_bins():
    rng = np.random.default_rng(0)
    before = np.append(rng.normal(0, 0.01, 5000), np.zeros(7)).astype(np.float32)
    after = before.clip(-0.005, 0.005)
    data = clip_histogram_data(before, after, "By value", 0.005)
    assert data.before.sum() == data.after.sum() == 5000 and data.zeros == (7, 7)
    top = int(np.flatnonzero(data.after)[-1])
    assert data.middle[top] - data.width / 2 <= math.log10(0.005) <= data.middle[top] + data.width / 2
    assert data.after[top] == data.before[top:].sum(), "all above the threshold is in its bin now"
    assert (data.after[:top] == data.before[:top]).all(), "what is below the threshold stays where it was"


def test_the_map_is_the_report_by_layer():
    found = lanes(FLAT)
    at = {one.name: len(one.thresholds) // 3 for one in found if not one.why}
    strategy = next(one for one in found if one.name == "value")
    t = float(strategy.thresholds[at["value"]])
    copy = FlatGradients(FLAT.values.clone(), FLAT.names, FLAT.offsets, FLAT.parameters)
    report = pc.ValueClip(threshold=t).clip_flat_(copy, {})
    column = [one.label for one in found if not one.why].index(strategy.label)
    changed = clip_layers_data(found, at, FLAT.names, (2, 2), "changed").values[:, column]
    turned = clip_layers_data(found, at, FLAT.names, (2, 2), "turned").values[:, column]
    left = clip_layers_data(found, at, FLAT.names, (2, 2), "left").values[:, column]
    assert changed.tolist() == report.layer_changed.tolist()
    assert turned == pytest.approx(np.degrees(np.arccos(report.layer_cosine.numpy())), abs=0.1)
    assert left == pytest.approx((report.layer_norm_after / report.layer_norm_before).numpy(), rel=1e-5)


def test_the_paths_lie_on_the_cliffs_surface() -> None:
    data = cliff_surface_data([cliff.descend(way, 1.0, 0.25) for way in cliff.WAYS], size=61)
    top, floor = float(data.map.loss.max()), float(data.map.loss.min())
    for track, path in zip(data.tracks, data.map.paths, strict=True):
        inside = (np.abs(path.points - np.mean([cliff.W, cliff.B], 1)) <= np.ptp([cliff.W, cliff.B], 1) / 2).all(1)
        heights = track.stops[:, 2]
        assert np.array_equal(np.isfinite(heights), inside), "what the picture does not reach is not drawn in it"
        assert (heights[inside] > path.losses[inside]).all(), "no mark is under the surface"
        on_grid = track.ground[np.isfinite(track.ground[:, 2]), 2]
        assert floor < on_grid.min() and on_grid.max() < top + 0.02
        assert len(track.ground) <= 1000
    assert np.isnan(data.tracks[0].stops[-1, 2]) and np.isfinite(data.tracks[1].stops).all()


def test_the_ground_under_a_path_is_the_grids_own() -> None:
    """On a node of the grid its height; half-way between two nodes half of both."""
    w, b, loss = cliff.surface(5)
    points = np.array([[w[1], b[3]], [(w[1] + w[2]) / 2, b[3]]])
    path = cliff.Path("norm", points, np.zeros(2), np.zeros(1))
    ground = cliff_surface_data([path], size=5).tracks[0].ground
    lift = ground[0, 2] - loss[3, 1]
    assert 0 < lift < 0.02 and ground[-1, 2] - lift == pytest.approx((loss[3, 1] + loss[3, 2]) / 2)
