"""Han, Pool, Tran, Dally 2015, arXiv:1506.02626, tables 3 and 4: prune by magnitude, retrain at a tenth of the rate."""

from __future__ import annotations

from functools import partial

import prune_core as pc

from .study import Claim, Figures, Study, error

# per cent of each layer's weights that the paper keeps
LENET300 = {"1": 8, "3": 9, "5": 26}
LENET5 = {"0": 66, "3": 12, "7": 8, "9": 19}
ROUNDS = 4


def experiment(model: pc.ModelSource, kept: dict[str, int], half: int, batch: int, seed: int) -> pc.Experiment:
    """``half`` steps dense, then as many at a tenth of the rate, at the start of which the weights go in rounds."""
    shares = tuple(f"{layer}={1 - share / 100:.2f}" for layer, share in kept.items())
    return pc.Experiment(
        data=pc.MNIST(),
        model=model,
        prune=pc.Pruning(
            scope="layer",
            layer_sparsity=shares,
            schedule=pc.Iterative(final=0.92, rounds=ROUNDS, first=half + 1, between=half // 8),
        ),
        train=pc.Training(
            steps=2 * half, batch_size=batch, lr=0.05, weight_decay=5e-4, seed=seed,
            lr_schedule="step", lr_step_every=half, eval_every=half, eval_samples=10_000, snapshot_every=1_000_000,
        ),
    )  # fmt: skip


def trial(name: str, model: pc.ModelSource, kept: dict[str, int], half: int, batch: int, seed: int) -> Figures:
    """Error before the first removal and at the end, and how many times fewer weights there are."""
    result = pc.run(experiment(model, kept, half, batch, seed), progress=False)
    dense = result.history["accuracy"][half - 1]
    return {
        f"{name}, dense": 100 * (1 - float(dense)),
        f"{name}, pruned": error(result),
        f"{name}, times fewer weights": 1 / (1 - result.sparsity),
    }


STUDY = Study(
    name="Magnitude with retraining",
    source="Han et al. 2015, arXiv:1506.02626",
    unit="% test error",
    trials={
        "LeNet-300-100": partial(trial, "LeNet-300-100", pc.LeNet300(), LENET300, 4000, 64),
        "LeNet-5": partial(trial, "LeNet-5", pc.LeNet5(), LENET5, 400, 50),
    },
    published={
        "LeNet-300-100, dense": "1.64",
        "LeNet-300-100, pruned": "1.59",
        "LeNet-300-100, times fewer weights": "12",
        "LeNet-5, dense": "0.80",
        "LeNet-5, pruned": "0.77",
        "LeNet-5, times fewer weights": "12",
    },
    claims=(
        Claim(
            "LeNet-300-100 loses no accuracy with a twelfth of its weights",
            lambda m: m["LeNet-300-100, pruned"] <= m["LeNet-300-100, dense"],
        ),
        Claim(
            "LeNet-5 loses no accuracy with a twelfth of its weights",
            lambda m: m["LeNet-5, pruned"] <= m["LeNet-5, dense"],
        ),
    ),
)
