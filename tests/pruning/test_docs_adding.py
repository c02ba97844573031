"""docs/adding.md is executed as it stands; what it adds is held to the contracts of its family."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import prune_core as pc

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding.md"


@pytest.fixture
def added():
    """All names that the page's code defines; the registries are as before afterwards."""
    families = (pc.ClipStrategy, pc.Criterion, pc.Schedule, pc.ModelSource, pc.DataSource)
    held = [dict(family.registry._entries) for family in families]
    names: dict = {"__name__": "adding"}
    try:
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), names)
        yield names
    finally:
        for family, entries in zip(families, held, strict=True):
            family.registry._entries.clear()
            family.registry._entries.update(entries)


def test_the_code_runs_and_does_what_it_says(added):
    model = nn.Linear(50, 4)
    model(torch.ones(1, 50)).square().sum().backward()
    clip = added["BlockRMS"](threshold=1e-3)
    report = clip.clip_(model.parameters())
    assert all(float(p.grad.square().mean().sqrt()) == pytest.approx(1e-3, rel=1e-5) for p in model.parameters())
    assert float(report.norm_after) < float(report.norm_before) and float(report.layer_cosine.min()) > 0.999

    uneven = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10))
    uneven[1].weight.data.mul_(1e-3)
    assert not pc.prune_(copy.deepcopy(uneven), 0.3)["1.weight"].any(), "magnitude empties the small layer"
    assert pc.prune_(uneven, 0.3, added["RelativeMagnitude"]())["1.weight"].float().mean() > 0.5
    assert [added["Linear"](final=0.6, stop=3)(t) for t in range(5)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.6])
    assert added["result"].status == "finished" and added["figure"].layout.title.text
    assert pc.ClipStrategy.registry["block_rms"].summary.startswith("Shortens the gradient of every layer")


def test_every_family_has_its_import_line():
    """The folders that the page names are there, and each ``__init__`` imports every file that registers something."""
    root = PAGE.parents[1]
    for folder in set(re.findall(r"`(prune_core/[\w/]+/)`", PAGE.read_text(encoding="utf-8"))):
        lines = (root / folder / "__init__.py").read_text(encoding="utf-8")
        for file in (root / folder).glob("*.py"):
            if re.search(r"^@register\(", file.read_text(encoding="utf-8"), re.MULTILINE):
                assert re.search(rf"\.{file.stem} import ", lines), f"{folder}__init__.py does not import {file.name}"
