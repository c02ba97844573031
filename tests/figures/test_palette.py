"""The colours keep what they promise: contrast, colour blindness, one table for css, config and figures."""

from __future__ import annotations

import itertools
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from prune_core.figures.palette import (
    DARK,
    IDEAS,
    LIGHT,
    Palette,
    blend,
    channels,
    contrast,
    idea_of,
    pairs,
    rgba,
)
from prune_core.figures.template import template

ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])

# linear rgb of the three common kinds of colour blindness, severity 1. Source: Machado, Oliveira, Fernandes, 2009
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear rgb in [0, 1]."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(linear, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def linear(colour: str) -> np.ndarray:
    c = np.array(channels(colour)) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@BOTH
def test_text_and_marks_reach_aa(colours: Palette) -> None:
    for name in ("ink", "muted", "bad", "good", "mark"):
        for ground in (colours.background, colours.surface):
            assert contrast(getattr(colours, name), ground) >= 4.5, name
    for name in ("clipping", "pruning", "both"):  # these also write: chips and tags
        assert contrast(colours.idea(name), colours.background) >= 4.5, name  # type: ignore[arg-type]
    for idea in IDEAS:
        assert contrast(colours.idea(idea), colours.surface) >= 3, idea
    for colour in colours.classes:
        assert contrast(colour, colours.background) >= 3


@BOTH
@pytest.mark.parametrize("kind", BLINDNESS)
def test_ideas_stay_apart_for_colour_blind_eyes(colours: Palette, kind: str) -> None:
    seen = {idea: lab(np.array(BLINDNESS[kind]) @ linear(colours.idea(idea))) for idea in IDEAS}
    for a, b in itertools.combinations(IDEAS, 2):
        assert np.linalg.norm(seen[a] - seen[b]) >= 15, (a, b)


def test_each_set_maps_onto_the_other() -> None:
    there, back = pairs("light"), pairs("dark")
    assert len(there) == len(back)  # no colour stands for two things
    assert all(back[dark] == light for light, dark in there.items())
    assert there[LIGHT.clipping] == DARK.clipping


def test_ideas_of_runs() -> None:
    assert idea_of(clipped=False, pruned=False) == "baseline"
    assert idea_of(clipped=True, pruned=False) == "clipping"
    assert idea_of(clipped=False, pruned=True) == "pruning"
    assert idea_of(clipped=True, pruned=True) == "both"


def test_mixing() -> None:
    assert rgba("#ff8000", 0.5) == "rgba(255,128,0,0.5)"
    assert blend("#000000", "#ffffff", 0.5) == "#808080"


def test_streamlit_has_the_same_colours() -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    for name, colours in (("light", LIGHT), ("dark", DARK)):
        assert config[name]["backgroundColor"] == colours.background
        assert config[name]["secondaryBackgroundColor"] == colours.surface
        assert config[name]["textColor"] == colours.ink
        assert config[name]["chartCategoricalColors"][:4] == [colours.idea(idea) for idea in IDEAS]
        assert contrast(config[name]["primaryColor"], colours.background) >= 4.5


def test_the_charts_css_has_the_same_colours() -> None:
    css = (ROOT / "prune_ui/chart/chart.css").read_text(encoding="utf-8")
    for name, colours in (("light", LIGHT), ("dark", DARK)):
        (line,) = (row for row in css.splitlines() if row.startswith(f".lab-chart.{name} {{"))
        for colour in (colours.ink, colours.muted, colours.surface, colours.axis, colours.background):
            assert colour in line


def test_logo_uses_the_ideas_colours() -> None:
    for name, colours in (("light", LIGHT), ("dark", DARK)):
        logo = (ROOT / f"assets/logo-{name}.svg").read_text(encoding="utf-8")
        assert all(colour in logo for colour in (colours.baseline, colours.clipping, colours.pruning))


def test_templates_differ_in_colours_only() -> None:
    texts = [json.dumps(template(theme).to_plotly_json(), sort_keys=True) for theme in ("light", "dark")]
    turned = texts[0]
    for light, dark in pairs("light").items():
        turned = turned.replace(light, dark.upper())
    assert turned.lower() == texts[1].lower()
