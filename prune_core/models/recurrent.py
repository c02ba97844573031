"""A recurrent network, for gradients that vanish and explode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prune_core.models.base import ModelSource
from prune_core.registry import register
from prune_core.settings import setting


@register(
    "row_lstm",
    label="Row LSTM",
    reference="Hochreiter & Schmidhuber 1997; Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063",
)
class RowLSTM(ModelSource):
    """Reads an image row by row, top to bottom, and classifies from its last state; its gradients can explode.

    Each row's gradient passes through the recurrent weights once more, so more rows and a larger gain explode more.
    """

    hidden: int = setting(128, ge=1, le=4096, unit="units", help="Size of the recurrent state.")
    gain: float = setting(
        4.0,
        gt=0,
        le=16,
        log=True,
        help="Scale of the initial recurrent weights (orthogonal). The first gradient grows with it: on MNIST its norm "
        "is about 0.2 at 1, 10 at 4, a million at 12.",
    )

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return RowReader(shape, self.hidden, classes, self.gain)


class RowReader(nn.Module):
    """x (n, c, h, w) → logits (n, classes): an LSTM over h rows of c·w features each."""

    def __init__(self, shape: tuple[int, ...], hidden: int, classes: int, gain: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(shape[0] * shape[2], hidden, batch_first=True)
        self.classifier = nn.Linear(hidden, classes)
        with torch.no_grad():
            recurrent = self.lstm.get_parameter("weight_hh_l0")
            for gate in torch.chunk(recurrent, 4):  # four gates below each other, each (hidden, hidden)
                nn.init.orthogonal_(gate, gain)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)  # (n, h, c·w)
        states, _ = self.lstm(rows)  # (n, h, hidden)
        logits: Tensor = self.classifier(states[:, -1])
        return logits
