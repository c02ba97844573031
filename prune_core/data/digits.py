"""The embedded data set: 1,797 handwritten digits of 8x8 pixels, shipped with scikit-learn."""

from __future__ import annotations

import torch

from prune_core.data.base import DataInfo, DataSource, Splits
from prune_core.registry import register


@register(
    "digits",
    label="Digits (8×8)",
    reference="Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI; doi:10.24432/C50P49",
)
class Digits(DataSource):
    """1,797 handwritten digits of 8×8 pixels, 16 grey levels; needs no download.

    Within each class, in file order, every fifth image belongs to the test split: fixed, stratified, and the same
    under every version of scikit-learn.
    """

    @property
    def info(self) -> DataInfo:
        return DataInfo((1, 8, 8), 10, 1442, 355, tuple("0123456789"))

    def _read(self, seed: int) -> Splits:
        from sklearn.datasets import load_digits  # here: it costs a second, and a run on MNIST never needs it

        images, labels = load_digits(return_X_y=True)
        x = torch.from_numpy(images).to(torch.uint8).view(-1, 1, 8, 8)  # values 0..16
        y = torch.from_numpy(labels).long()
        rank = torch.zeros_like(y)  # position among the images of the same class
        for c in range(10):
            rank[y == c] = torch.arange(int((y == c).sum()))
        test = rank % 5 == 4
        return Splits(x[~test], y[~test], x[test], y[test])
