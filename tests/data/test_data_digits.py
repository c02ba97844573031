from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from prune_core.data import Digits


def test_split_is_stratified_and_together_the_whole_set():
    data = Digits().load()
    assert (data.info.train, data.info.test) == (1442, 355)
    share = data.test_y.bincount() / (data.test_y.bincount() + data.train_y.bincount())
    assert (share - 0.2).abs().max() < 0.01  # every fifth image of each class
    images = torch.cat([data.train_x, data.test_x]).flatten(1).numpy()
    assert sorted(map(bytes, images)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))


def test_split_is_fixed():
    data = Digits().load()
    # worked by hand from the file: the first image of each class is in training, the fifth in test
    source = load_digits()
    zeros = source.data[source.target == 0].astype(np.uint8)
    assert torch.equal(data.train_x[data.train_y == 0][0].flatten(), torch.from_numpy(zeros[0]))
    assert torch.equal(data.test_x[data.test_y == 0][0].flatten(), torch.from_numpy(zeros[4]))
