"""docs/adding.md is executed as it stands; what it adds is held to the contracts of its family."""

from __future__ import annotations

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
    families = (pc.ClipStrategy, pc.Criterion, pc.Granularity, pc.Schedule, pc.ModelSource, pc.DataSource, pc.Claim)
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
    clip = added["SoftValue"](threshold=1e-3)
    entries = torch.cat([p.grad.reshape(-1).clone() for p in model.parameters()])
    report = clip.clip_(model.parameters())
    after = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    torch.testing.assert_close(after, 1e-3 * torch.tanh(entries / 1e-3))
    assert float(report.norm_after) < float(report.norm_before)

    layer = nn.Linear(3, 1)
    layer.weight.data = torch.tensor([[1.0, 1.1, 9.0]])  # their mean is 3.7: 1.1 is the nearest to it
    assert pc.prune_(layer, 0.34, added["AwayFromMean"]())["weight"].tolist() == [[True, False, True]]
    conv = nn.Conv2d(2, 2, 1, bias=False)
    conv.weight.data = torch.tensor([1.0, 2.0, 3.0, 0.5]).view(2, 2, 1, 1)
    kernels = pc.prune_(conv, 0.5, granularity=added["Kernels"]())["weight"]
    assert kernels.flatten().tolist() == [False, True, True, False]
    assert [added["Halves"](final=0.8, stop=3, half=1)(t) for t in range(5)] == pytest.approx([0, 0.4, 0.6, 0.8, 0.8])
    assert added["result"].status == "finished" and added["figure"].layout.title.text
    assert pc.ClipStrategy.registry["soft_value"].summary.startswith("Bends every entry of the gradient")
    tried = added["tried"]
    assert tried.verdict.word in ("holds", "does not hold", "not decided") and len(tried.table) == 4
    assert [run.experiment.model.width for run in tried.runs] == [4, 64, 4, 64]
    assert added["WiderLearns"]().judge(tried.table) == tried.verdict
    # the rule, on tables of one's own
    better = tried.table.assign(value=tried.table["arm"].map({"narrow": 0.5, "wide": 0.9}))
    assert added["WiderLearns"]().judge(better).word == "holds"
    assert added["WiderLearns"]().judge(better.assign(value=0.5)).word == "does not hold"


def test_every_family_has_its_import_line():
    """The folders that the page names are there, and each ``__init__`` imports every file that registers something."""
    root = PAGE.parents[1]
    for folder in set(re.findall(r"`(prune_core/[\w/]+/)`", PAGE.read_text(encoding="utf-8"))):
        lines = (root / folder / "__init__.py").read_text(encoding="utf-8")
        for file in (root / folder).glob("*.py"):
            if re.search(r"^@register\(", file.read_text(encoding="utf-8"), re.MULTILINE):
                assert re.search(rf"\.{file.stem} import ", lines), f"{folder}__init__.py does not import {file.name}"
