"""Lee, Ajanthan, Torr 2019, arXiv:1810.02340, table 1: prune before training by what one batch's loss feels."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import nn

import prune_core as pc

from .study import Claim, Figures, Study

CRITERIA = {"SNIP": pc.SNIP(examples=100), "magnitude": pc.Magnitude(), "random": pc.Random()}
SPARSITIES = (0.95, 0.98, 0.99)


class ScaledLeNet300(pc.LeNet300):
    """LeNet-300-100 as the authors' code draws it: a variance of one over the inputs, biases 0; torch's is a third."""

    def _build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        net = super()._build(shape, classes)
        with torch.no_grad():
            for layer in net:
                if isinstance(layer, nn.Linear):
                    cut = 0.87962566  # what cutting off at two deviations leaves of one
                    std = math.sqrt(1 / layer.in_features) / cut
                    nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
                    layer.bias.zero_()
        return net


def experiment(
    model: pc.ModelSource, criterion: pc.Criterion | None, sparsity: float, steps: int, batch: int, seed: int
) -> pc.Experiment:
    """All weights go before the first step; the rate falls to 0 along a cosine."""
    prune = None
    if criterion is not None:
        prune = pc.Pruning(criterion=criterion, schedule=pc.OneShot(final=sparsity))
    return pc.Experiment(
        data=pc.MNIST(),
        model=model,
        prune=prune,
        train=pc.Training(
            steps=steps, batch_size=batch, lr=0.1 if batch == 100 else 0.05, weight_decay=5e-4, seed=seed,
            lr_schedule="cosine", eval_every=steps + 1, snapshot_every=1_000_000,
        ),
    )  # fmt: skip


def trial(
    row: str, model: pc.ModelSource, criterion: pc.Criterion | None, sparsity: float, steps: int, batch: int, seed: int
) -> Figures:
    """Error at the end, and how many layers were emptied: such a network is not trained, since nothing passes."""
    control, emptied, last = pc.Control(), 0, math.nan
    for event in pc.stream(experiment(model, criterion, sparsity, steps, batch, seed), control):
        if isinstance(event, pc.MaskEvent):
            emptied = sum(kept == 0 for kept in event.kept.values())
            if emptied:
                control.stop("a layer is empty")
        if isinstance(event, pc.EvalEvent):
            last = event.accuracy
    return {row: 100 * (1 - last), f"{row}: layers emptied": emptied}


def trials() -> dict[str, partial[Figures]]:
    """Every criterion on both networks; LeNet-5, slow on a processor, sees the two controls at 99 % only."""
    found: dict[str, partial[Figures]] = {}
    for name, model, steps, batch in (("LeNet-300-100", pc.LeNet300(), 2000, 100), ("LeNet-5", pc.LeNet5(), 400, 50)):
        row = f"{name}, dense"
        found[row] = partial(trial, row, model, None, 0.0, steps, batch)
        for title, criterion in CRITERIA.items():
            for sparsity in SPARSITIES:
                if name == "LeNet-300-100" or title == "SNIP" or sparsity == 0.99:
                    row = f"{name}, {sparsity:.0%}, {title}"
                    found[row] = partial(trial, row, model, criterion, sparsity, steps, batch)
    row = "LeNet-300-100, 95%, SNIP, the authors' initialisation"
    found[row] = partial(trial, row, ScaledLeNet300(), CRITERIA["SNIP"], 0.95, 2000, 100)
    return found


STUDY = Study(
    name="SNIP",
    source="Lee et al. 2019, arXiv:1810.02340",
    unit="% test error",
    trials=trials(),
    published={
        "LeNet-300-100, dense": "1.7",
        "LeNet-300-100, 95%, SNIP": "1.6",
        "LeNet-300-100, 98%, SNIP": "2.4",
        "LeNet-5, dense": "0.9",
        "LeNet-5, 98%, SNIP": "0.8",
        "LeNet-5, 99%, SNIP": "1.1",
    },
    claims=(
        *(
            Claim(
                f"{row}: SNIP errs less than magnitude at initialisation, and less than chance",
                lambda m, row=row: m[f"{row}, SNIP"] < min(m[f"{row}, magnitude"], m[f"{row}, random"]),
            )
            for row in (*(f"LeNet-300-100, {sparsity:.0%}" for sparsity in SPARSITIES), "LeNet-5, 99%")
        ),
        Claim(
            "LeNet-300-100, 95%: SNIP errs no more than the dense network",
            lambda m: m["LeNet-300-100, 95%, SNIP"] <= m["LeNet-300-100, dense"],
        ),
    ),
)
