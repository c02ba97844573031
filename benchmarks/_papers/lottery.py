"""Frankle, Carbin 2019, arXiv:1803.03635, section 2: small networks that train well from their own initial weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

import prune_core as pc
from prune_core.data import DataInfo
from prune_core.data.base import Splits

from .study import Claim, Figures, Study

ROUND = 400  # steps between two removals while tickets are found
STEPS = 5000  # of training a ticket
LOOK = 200  # steps between two looks at the validation examples
ROUNDS = {"21.1 %": 7, "3.6 %": 15}
OTHER = 1000  # added to the seed for the control


class HeldOut(pc.MNIST):
    """MNIST with 5,000 training examples, the same for every run, held out in place of the test split."""

    @property
    def info(self) -> DataInfo:
        whole = super().info
        return DataInfo(whole.shape, whole.classes, 55_000, 5_000, whole.class_names)

    def _read(self, seed: int) -> Splits:
        whole = super()._read(seed)
        order = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))
        x, y = whole.train_x[order], whole.train_y[order]
        return Splits(x[:55_000], y[:55_000], x[55_000:], y[55_000:])


class Ticket(pc.Criterion):
    """Removes what the masks in a checkpoint remove."""

    path: str

    def score(self, at: pc.Evidence) -> dict[str, Tensor]:
        return {name: mask.float() for name, mask in pc.load_checkpoint(self.path).masks.items()}


def find(seed: int, folder: Path) -> dict[str, Path]:
    """Checkpoints of both tickets: 20 % of every hidden layer and about 10 % of the last go in each round."""
    rounds = max(ROUNDS.values())
    experiment = pc.Experiment(
        data=HeldOut(),
        model=pc.LeNet300(),
        prune=pc.Pruning(
            scope="layer",
            schedule=pc.Iterative(final=1 - 0.8**rounds, rounds=rounds, first=ROUND, between=ROUND),
            layer_sparsity=(f"5={1 - 0.9**rounds:.6f}",),
            rewind="weights",
        ),
        train=training(rounds * ROUND, seed, look=rounds * ROUND),
    )
    found = {}
    for name, after in ROUNDS.items():
        path = folder / f"{after}.pt"
        control = pc.Control()
        for event in pc.stream(experiment, control, checkpoint=folder / "run.pt"):
            if isinstance(event, pc.MaskEvent) and event.step == after * ROUND:
                control.stop("the ticket is found")
        path.write_bytes((folder / "run.pt").read_bytes())
        found[name] = path
    return found


def training(steps: int, seed: int, look: int = LOOK) -> pc.Training:
    """Adam as in the paper's appendix."""
    return pc.Training(
        steps=steps, batch_size=60, optimizer="adam", lr=1.2e-3, seed=seed, eval_every=look, eval_samples=5000,
        snapshot_every=1_000_000,
    )  # fmt: skip


def train(path: Path | None, seed: int) -> tuple[float, float, float]:
    """Step of the lowest validation loss, test accuracy after the last step in per cent, share of weights left."""
    prune = None
    if path is not None:
        share = pc.sparsity_of(pc.load_checkpoint(path).masks)
        prune = pc.Pruning(criterion=Ticket(path=str(path)), schedule=pc.OneShot(final=share))
    experiment = pc.Experiment(data=HeldOut(), model=pc.LeNet300(), prune=prune, train=training(STEPS, seed))
    looks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        last = Path(folder) / "last.pt"
        for event in pc.stream(experiment, checkpoint=last, checkpoint_every_s=1e9):
            if isinstance(event, pc.EvalEvent):
                looks[event.step] = event.loss
        model, _ = pc.restore_model(experiment, last)
    accuracy = pc.evaluate(model, pc.MNIST().load()).accuracy
    kept = sum(int(m.count_nonzero()) for n, m in model.named_parameters() if n.endswith("weight"))
    return min(looks, key=looks.__getitem__), 100 * accuracy, 100 * kept / 266_200


def trial(seed: int) -> Figures:
    """The dense network, both tickets, and their masks with other initial weights."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        tickets = find(seed, Path(folder))
        rows: list[tuple[str, Path | None, int]] = [("dense", None, seed)]
        for name, path in tickets.items():
            rows += [(f"{name}, ticket", path, seed), (f"{name}, other initial weights", path, seed + OTHER)]
        for row, path, start in rows:
            stop, accuracy, kept = train(path, start)
            figures |= {f"{row}: accuracy": accuracy, f"{row}: step": stop, f"{row}: weights left": kept}
            figures[f"{row}: step, of the dense network's"] = stop / figures["dense: step"]
    return figures


STUDY = Study(
    name="Lottery tickets",
    source="Frankle & Carbin 2019, arXiv:1803.03635",
    unit="% test accuracy; step of the lowest validation loss",
    trials={"LeNet-300-100": trial},
    published={
        "21.1 %, ticket: step, of the dense network's": "0.62",
    },
    claims=(
        Claim(
            "at 21.1 % of the weights a ticket's validation loss is lowest earlier than the dense network's",
            lambda m: m["21.1 %, ticket: step"] < m["dense: step"],
        ),
        Claim(
            "with other initial weights it is lowest later than the ticket's",
            lambda m: m["21.1 %, other initial weights: step"] > m["21.1 %, ticket: step"],
        ),
        *(
            Claim(
                f"at {share} the ticket is more accurate than its mask with other initial weights",
                lambda m, share=share: m[f"{share}, ticket: accuracy"] > m[f"{share}, other initial weights: accuracy"],
            )
            for share in ROUNDS
        ),
        Claim(
            "at 3.6 % the ticket is as accurate as the dense network, to 0.3 points",
            lambda m: m["3.6 %, ticket: accuracy"] > m["dense: accuracy"] - 0.3,
        ),
    ),
)
