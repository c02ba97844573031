from __future__ import annotations

import pytest
import torch
from torch import nn

from prune_core.measuring import count_parameters, layer_table
from prune_core.models import LeNet300, ModelSource, ResNet20


def masks_of(model, share):
    """For each weight matrix or kernel a mask that keeps the first ``share`` of its entries."""
    masks = {}
    for name, p in model.named_parameters():
        if p.dim() > 1:
            masks[name] = (torch.arange(p.numel()) < share * p.numel()).view(p.shape)
    return masks


def test_both_denominators_worked_by_hand():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2, bias=False))
    masks = masks_of(model, 0.5)
    count = count_parameters(model, masks)
    # weights 12 + 6; bias 3; norm 3 + 3
    assert (count.total, count.prunable, count.kept) == (27, 18, 9)
    assert count.sparsity == 0.5
    assert count.sparsity_of_all == pytest.approx(9 / 27)
    assert count.compression == pytest.approx(27 / 18)


def test_without_masks_exact_zeros_count_as_removed():
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight[0] = 0
        model.bias.zero_()
    count = count_parameters(model)
    assert (count.total, count.prunable, count.kept, count.nonzero) == (20, 16, 12, 12)


def test_a_shared_parameter_counts_once():
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    model[1].weight = model[0].weight
    assert count_parameters(model).total == 25 + 5 + 5
    assert list(layer_table(model)["layer"]) == ["0.weight"]


def test_attention_and_recurrent_weights_are_prunable_and_class_tokens_are_not():
    attention = nn.MultiheadAttention(4, 2, kdim=3, vdim=5)
    assert set(layer_table(attention)["layer"]) == {
        *("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight")
    }
    assert set(layer_table(nn.LSTM(2, 3, num_layers=2))["layer"]) == {
        *("weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1")
    }
    model = ModelSource.registry["tiny_vit"].cls().build((1, 8, 8), 10, seed=0)
    assert not any("token" in n or "pos_emb" in n or "ln" in n for n in layer_table(model)["layer"])


def test_an_embedding_stays_dense_and_so_does_a_model_without_weights():
    model = nn.Sequential(nn.Embedding(3, 4), nn.LayerNorm(4))
    count = count_parameters(model)
    assert (count.prunable, count.sparsity, count.compression) == (0, 0.0, 1.0)
    assert layer_table(model).empty


def test_table_rows_and_shares():
    model = LeNet300().build((1, 28, 28), 10, seed=0)
    table = layer_table(model, masks_of(model, 0.1))
    assert list(table["layer"]) == ["1.weight", "3.weight", "5.weight"]
    assert list(table["weights"]) == [235_200, 30_000, 1_000]
    assert list(table["kept"]) == [23_520, 3_000, 100]
    assert table["sparsity"].to_list() == pytest.approx([0.9] * 3)
    assert table["share_of_all"][0] == pytest.approx(235_200 / 266_610)
    assert table["share_of_kept"].sum() == pytest.approx(1)
    assert table["shape"][0] == "300×784" and table["kind"][0] == "Linear"


def test_an_emptied_layer_is_shown_as_such():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    table = layer_table(model, {"0.weight": torch.zeros(3, 4, dtype=torch.bool)})
    assert table["kept"].to_list() == [0, 6] and table["sparsity"].to_list() == [1.0, 0.0]


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_layer_without_weights_lost_none():
    table = layer_table(nn.Sequential(nn.Linear(4, 0), nn.Linear(2, 3)))
    assert table["sparsity"].tolist() == [0.0, 0.0] and table["weights"].tolist() == [0, 6]


def test_what_is_prunable_agrees_with_pruning():
    pruning = pytest.importorskip("prune_core.pruning")
    for entry in ModelSource.registry:
        shape = (3, 32, 32) if entry.name == "torchvision" else (1, 8, 8)
        model = entry.cls().build(shape, 10, seed=0)
        assert list(layer_table(model)["layer"]) == list(pruning.prunable(model)), entry.name


def test_normalisation_of_a_resnet_is_not_counted_as_prunable():
    model = ResNet20().build((3, 32, 32), 10, seed=0)
    # 19 kernels and the classifier; 2·(7·16 + 6·32 + 6·64) of normalisation and 10 biases stay
    assert count_parameters(model).prunable == 269_722 - 2 * (7 * 16 + 6 * 32 + 6 * 64) - 10
