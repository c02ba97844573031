"""Steps a second of ``pc.run`` with every metric on, against loops that measure nothing. One thread, one process.

    python benchmarks/train_speed.py [--rounds 5] [--steps 5000]

(a) LeNet-300-100 on MNIST against the loop of the article this lab answers: torchvision's DataLoader with a transform
    for every image and no workers, the loss read off at every step, ``clamp`` on every parameter's gradient, SGD.
(b) The same, and the small network on digits, against a bare loop over tensors that are already in memory, with
    torch's own clipping. This is the price of measuring: clip report on every step, 50 histograms of every layer, 25
    looks at 1,000 test examples, the whole test split at the end, a checkable history.

Ours is everything that ``pc.run`` does: model, training, history. Sides take turns every 50 steps within one process,
so that a machine whose speed drifts slows both; the ratio is the median over rounds. Where it says so, the bare loop
looks at the test split exactly where ``pc.run`` does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from _common import machine, report, taking_turns
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import prune_core as pc
from prune_core.training.run import result_of
from prune_core.training.state import RunState
from prune_core.training.stream import events

TURN = 50  # steps
THRESHOLD, MAX_NORM, LR, MOMENTUM, BATCH = 0.01, 1.0, 0.1, 0.9, 64


def lenet_on_mnist(steps: int, clip: pc.ClipStrategy) -> pc.Experiment:
    train = pc.Training(steps=steps, batch_size=BATCH, lr=LR, momentum=MOMENTUM)
    return pc.Experiment(data=pc.MNIST(), model=pc.LeNet300(), clip=clip, train=train)


def small_on_digits(steps: int, clip: pc.ClipStrategy) -> pc.Experiment:
    train = pc.Training(steps=steps, batch_size=BATCH, lr=LR, momentum=MOMENTUM)
    return pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=clip, train=train)


def measured(exp: pc.Experiment) -> Callable[[], Iterator[None]]:
    """What ``pc.run`` does, stopping for breath."""

    def run() -> Iterator[None]:
        state = RunState(exp)
        for event in events(state, pc.Control()):
            if isinstance(event, pc.StepEvent) and event.step % TURN == 0:
                yield
        result_of(state)

    return run


def article_loop(root: Path, exp: pc.Experiment) -> Callable[[], Iterator[None]]:
    """As the article does it: a transform an image, a Python call a sample, one clamp a parameter."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    loader = DataLoader(datasets.MNIST(root, train=True, transform=transform), batch_size=BATCH, shuffle=True)
    model = exp.model.build(exp.data.info.shape, exp.data.info.classes, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def endless() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from loader

    batches = endless()
    next(batches)  # what the first batch costs once is not a step's

    def run() -> Iterator[None]:
        seen = 0.0
        for step in range(1, exp.train.steps + 1):
            x, y = next(batches)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            for p in model.parameters():
                p.grad = torch.clamp(p.grad, -THRESHOLD, THRESHOLD)
            optimizer.step()
            seen += loss.item()
            if step % TURN == 0:
                yield

    return run


def bare_loop(exp: pc.Experiment, clip_: Callable[[nn.Module], object], evaluate: bool) -> Callable[[], Iterator[None]]:
    """The least that trains: batches by index from memory, torch's own clipping, no number looked at."""
    data, info = exp.data.load(0), exp.data.info

    def run() -> Iterator[None]:
        model = exp.model.build(info.shape, info.classes, 0)
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        order, at = torch.randperm(info.train), 0
        for step in range(1, exp.train.steps + 1):
            if at + BATCH > info.train:
                order, at = torch.randperm(info.train), 0
            x, y = data.train_batch(order[at : at + BATCH])
            at += BATCH
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            clip_(model)
            optimizer.step()
            last = step == exp.train.steps
            if evaluate and (last or step % exp.train.eval_period == 0):
                pc.evaluate(model, data, None if last else exp.train.eval_samples)
            if step % TURN == 0:
                yield

    return run


def by_value(model: nn.Module) -> None:
    nn.utils.clip_grad_value_(model.parameters(), THRESHOLD)


def by_norm(model: nn.Module) -> torch.Tensor:
    return nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)


def mnist_root() -> Path:
    """The folder that holds MNIST/raw; ends with a sentence where there is none."""
    here = Path(__file__).resolve().parent.parent
    named = os.environ.get("PRUNE_LAB_DATA")
    for folder in ([Path(named)] if named else []) + [here.parent / "shared" / "data"]:
        if (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            os.environ["PRUNE_LAB_DATA"] = str(folder)
            return folder
    sys.exit("MNIST's files are not there: set PRUNE_LAB_DATA to the folder that holds MNIST/raw, then start again.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs to take the median of")
    parser.add_argument("--steps", type=int, default=5000, help="steps of one run")
    parser.add_argument("--only", default="", help="only comparisons whose name holds this text")
    given = parser.parse_args()
    torch.set_num_threads(1)
    root = mnist_root()
    print(machine())

    value, norm = pc.ValueClip(threshold=THRESHOLD), pc.NormClip(max_norm=MAX_NORM)
    lab = lenet_on_mnist(given.steps, value)
    pairs = [
        ("LeNet300/MNIST, value: article's loop", lab, article_loop(root, lab), 5.0),
        *(
            (f"{name}, {how}: bare loop{looks}", exp, bare_loop(exp, clip_, bool(looks)), None if looks else 0.9)
            for name, make in (("LeNet300/MNIST", lenet_on_mnist), ("SmallCNN/Digits", small_on_digits))
            for how, clip, clip_ in (("value", value, by_value), ("norm", norm, by_norm))
            for exp in [make(given.steps, clip)]
            for looks in ("", " + evaluation")
        ),
    ]
    met = []
    for name, exp, peer, target in (pair for pair in pairs if given.only in pair[0]):
        rounds = min(given.rounds, 3) if target and target > 1 else given.rounds  # the article's loop takes its time
        ratio = taking_turns(measured(exp), peer, rounds=rounds)
        met.append(report(f"pc.run against {name}", ratio, target, unit="steps/s", count=exp.train.steps))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
