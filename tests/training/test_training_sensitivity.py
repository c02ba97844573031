"""A sensitivity scan: it equals pruning each layer by hand, leaves the model as it was, and can be left."""

from __future__ import annotations

import pytest
import torch

import prune_core as pc
from prune_core.pruning import Evidence, apply_masks_, make_masks, prunable, score
from prune_core.training.recalibrate import recalibrate_
from prune_core.training.sensitivity import drawn

DATA = pc.Digits()


def network() -> torch.nn.Module:
    """A small network with normalisation, trained for a moment, so that layers differ."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10)
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in DATA.load().drawn(1024, torch.Generator().manual_seed(0), 64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


def state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: v.clone() for n, v in model.state_dict().items()}


@pytest.mark.parametrize("recalibrate", [True, False])
def test_every_cell_is_what_pruning_that_layer_by_hand_gives(recalibrate):
    model, data = network(), DATA.load()
    before = state(model)
    found = pc.sensitivity_scan(model, DATA, (0.9, 0.5, 0.5), recalibrate=recalibrate, examples=200)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items()), "bitwise what it was"
    assert found.dense == pc.evaluate(model, data, 200)
    layers = list(prunable(model))
    assert [(c.layer, c.sparsity) for c in found.cells] == [(n, s) for n in layers for s in (0.5, 0.9)]
    for cell in found.cells:
        by_hand = network()
        w = dict(by_hand.named_parameters())[cell.layer].data
        w.reshape(-1)[w.abs().reshape(-1).argsort(stable=True)[: round(cell.sparsity * w.numel())]] = 0
        if recalibrate:
            recalibrate_(by_hand, data, 0, 512)
        assert cell.measured == pc.evaluate(by_hand, data, 200)
        assert (cell.removed, cell.weights) == (round(cell.sparsity * w.numel()), w.numel())
    assert pc.sensitivity_scan(model, DATA, (0.5, 0.9), recalibrate=recalibrate, examples=200) == found, "repeatable"
    table = found.table
    assert list(table) == ["layer", "sparsity", "removed", "weights", "accuracy", "low", "high", "loss", "examples"]
    assert table["accuracy"].tolist() == [c.measured.accuracy for c in found.cells]
    assert ((table["low"] < table["accuracy"]) & (table["accuracy"] < table["high"])).all()


@pytest.mark.parametrize("granularity", [pc.Filters(), pc.Blocks(rows=5, columns=2)], ids=lambda g: g.kind)
def test_groups_go_as_wholes_as_pruning_that_layer_by_hand_does(granularity):
    model = network()
    before = state(model)
    found = pc.sensitivity_scan(
        model, DATA, (0.3, 0.9), recalibrate=False, examples=200, granularity=granularity, criterion=pc.Taylor()
    )
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items()), "bitwise what it was"
    groups = granularity.groups(model, dict(prunable(model)))
    assert [c.layer for c in found.cells] == [n for n in groups.names for _ in range(2)]
    for cell in found.cells:
        by_hand = network()
        at = Evidence(
            {n: w.detach() for n, w in prunable(by_hand).items() if n in groups.names},
            model=by_hand, batches=lambda n: drawn(DATA.load(), 0, n), generator=torch.Generator(),
        )  # fmt: skip
        scores = score(pc.Taylor(), at, groups)
        masks = make_masks(scores, 0.0, "layer", groups=groups, ratios={cell.layer: cell.sparsity})
        apply_masks_(at.weights, masks)
        assert cell.removed == int((~masks[cell.layer]).sum()) and cell.measured == pc.evaluate(
            by_hand, DATA.load(), 200
        )


def test_it_can_be_left_between_two_cells():
    model = network()
    before = state(model)
    cells = pc.sensitivity_cells(model, DATA, (0.99,), criterion=pc.Taylor(), examples=100)
    assert next(cells).layer == "0.weight"
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    cells.close()


def test_what_a_run_removed_stays_removed():
    model = network()
    masks = pc.prune_(model, 0.7, scope="layer")
    found = pc.sensitivity_scan(model, DATA, (0.5, 0.9), masks=masks, layers=["4.weight"], examples=100)
    assert [c.removed for c in found.cells] == [1008, 1296]
    assert found.cells[0].measured == found.dense, "nothing more goes"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sparsities": (0.5, 1.0)}, r"sparsity must be .* less than 1, got 1\.0"),
        ({"sparsities": ()}, "sparsities must hold at least one number"),
        ({"layers": ["fc"]}, "no prunable layer named 'fc'"),
        ({"criterion": pc.SynFlow()}, "SynFlow removes in rounds"),
        ({"criterion": pc.Movement()}, "use it in an Experiment"),
        ({"granularity": pc.NofM()}, "needs groups that go as wholes.* got NofM"),
        ({"granularity": pc.Heads()}, "Heads finds nothing to remove"),
        ({"granularity": pc.Filters(), "layers": ["4.weight"]}, "no prunable layer named '4.weight'"),
        ({"granularity": pc.Filters(), "criterion": pc.Wanda()}, "must not remove whole outputs with Wanda"),
    ],
)
def test_what_cannot_be_scanned_is_said_at_once(wrong, sentence):
    with pytest.raises(pc.ConfigError, match=sentence):
        pc.sensitivity_cells(network(), DATA, **wrong)


def test_a_model_without_layers_is_refused():
    with pytest.raises(pc.ConfigError, match="ReLU has no prunable weights"):
        pc.sensitivity_scan(torch.nn.ReLU(), DATA)
