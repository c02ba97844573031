"""What every registered data set must do."""

from __future__ import annotations

import pytest
import torch

from prune_core.data import DataSource, clear_cache
from prune_core.errors import ConfigError

EVERY = [entry.name for entry in DataSource.registry]


@pytest.fixture(params=EVERY)
def source(request, written):
    return DataSource.registry[request.param].cls()


def same(a, b):
    return all(
        torch.equal(getattr(a, n), getattr(b, n)) for n in ("train_x", "train_y", "test_x", "test_y", "mean", "std")
    )


def test_the_lab_has_its_nine_data_sets():
    assert set(EVERY) >= {
        *("digits", "mnist", "fashion_mnist", "cifar10", "cifar100"),
        *("moons", "circles", "blobs", "spirals"),
    }


def test_entry_has_what_a_form_shows(source):
    entry = source.registry[source.kind]
    assert entry.label and entry.summary
    assert all(field.help for field in source.fields())


def test_settings_come_back_from_json(source):
    changed = source.replace(label_noise=0.25, train_size=17)
    assert DataSource.model_validate_json(changed.model_dump_json()) == changed


def test_tensors_are_as_info_says(source):
    data = source.load()
    assert data.info.shape == source.info.shape and data.info.class_names == source.info.class_names
    assert len(data.info.class_names) == data.info.classes == len(set(data.info.class_names))
    assert data.train_x.shape == (data.info.train, *data.info.shape)
    assert data.test_x.shape == (data.info.test, *data.info.shape)
    for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
        assert x.dtype in (torch.uint8, torch.float32) and x.is_contiguous()
        assert y.dtype == torch.int64 and len(x) == len(y)
        assert y.min() >= 0 and y.max() < data.info.classes


def test_every_class_is_in_both_splits_of_generated_and_embedded_sets(source):
    data = source.load()
    if data.info.train == source.info.train:  # not the tiny stand-ins for downloaded files
        assert len(data.train_y.unique()) == len(data.test_y.unique()) == data.info.classes


def test_loading_again_gives_the_same_object_and_reading_again_the_same_bits(source):
    first = source.load(seed=3)
    assert source.load(seed=3) is first
    clear_cache()
    again = source.load(seed=3)
    assert again is not first and same(again, first)


def test_normalised_training_split_has_mean_0_and_variance_1(source):
    data = source.load()
    x = data.normalise(data.train_x)
    assert x.dtype == torch.float32
    axes = [0, *range(2, x.dim())]
    torch.testing.assert_close(x.mean(axes), torch.zeros(x.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.var(axes, correction=0), torch.ones(x.shape[1]), atol=1e-3, rtol=0)


def test_normalise_leaves_what_it_was_given(source):
    data = source.load()
    before = data.train_x[:8].clone()
    data.normalise(data.train_x[:8])
    assert torch.equal(data.train_x[:8], before)


def test_batch_is_the_indexed_examples(source):
    data = source.load()
    index = torch.tensor([5, 0, 5, 11])
    x, y = data.train_batch(index)
    assert torch.equal(y, data.train_y[index])
    expected = torch.stack([(data.train_x[i].float() - data.mean) / data.std for i in index])
    torch.testing.assert_close(x, expected)


def test_test_batches_are_the_whole_split_in_order(source):
    data = source.load()
    parts = list(data.test_batches(13))
    assert torch.equal(torch.cat([y for _, y in parts]), data.test_y)
    assert torch.equal(torch.cat([x for x, _ in parts]), data.normalise(data.test_x))
    assert {len(y) for _, y in parts[:-1]} == {13}


def test_a_limited_test_is_spread_over_the_split(source):
    data = source.load()
    n = data.info.test
    x, y = next(data.test_batches(1000, limit=10))
    expected = [i * n // 10 for i in range(10)]
    assert torch.equal(x, data.normalise(data.test_x[expected])) and torch.equal(y, data.test_y[expected])
    assert sum(len(y) for _, y in data.test_batches(7, limit=n + 5)) == n


def test_label_noise_changes_exactly_its_share_of_training_labels(source):
    clean, noisy = source.load(seed=1), source.replace(label_noise=0.3).load(seed=1)
    assert (clean.train_y != noisy.train_y).sum() == round(0.3 * clean.info.train)
    assert noisy.train_y.min() >= 0 and noisy.train_y.max() < clean.info.classes
    assert noisy.train_x is clean.train_x and noisy.test_y is clean.test_y  # one copy in memory
    assert not torch.equal(source.replace(label_noise=0.3).load(seed=2).train_y, noisy.train_y)


def test_a_subset_lies_within_a_larger_one(source):
    few, more = (source.replace(train_size=n).load(seed=1) for n in (12, 24))
    assert few.info.train == len(few.train_y) == 12
    rows = {tuple(x.flatten().tolist()) for x in more.train_x}
    assert all(tuple(x.flatten().tolist()) in rows for x in few.train_x)
    assert torch.equal(few.test_x, source.load(seed=1).test_x) and torch.equal(few.mean, source.load(seed=1).mean)


def test_a_subset_larger_than_the_split_is_refused(source):
    with pytest.raises(
        ConfigError, match=f"train_size must be at most {source.info.train}.*got {source.info.train + 1}"
    ):
        source.replace(train_size=source.info.train + 1)


def test_the_seed_moves_only_generated_points(source):
    assert same(source.load(seed=0), source.load(seed=1)) is not source.seeded


def test_extent_holds_all_points_of_plane_data(source):
    data = source.load()
    if len(data.info.shape) == 3:
        assert data.extent is None
        return
    x0, x1, y0, y1 = data.extent
    points = data.normalise(torch.cat([data.train_x, data.test_x]))
    assert x0 < points[:, 0].min() and points[:, 0].max() < x1
    assert y0 < points[:, 1].min() and points[:, 1].max() < y1
