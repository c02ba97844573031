"""Steps a second of ``pc.run`` with every metric on, against loops that measure nothing. One thread, one process.

    python benchmarks/train_speed.py [--rounds 9] [--steps 1000]

(a) LeNet-300-100 on MNIST against the loop of the article this lab answers: torchvision's DataLoader with a transform
    for every image, then ``clamp`` on every parameter's gradient, then SGD.
(b) The same, and the small network on digits, against a bare loop over tensors that are already in memory, with
    torch's own clipping. This is the price of measuring: clip report on every step, histograms every 25 steps, a look
    at 1,000 test examples every 50, the whole test split at the end, a checkable history.

Sides alternate and swap their order within one process, so that a busy machine slows both; the ratio is the median over
rounds. A round of the bare loop also looks at the test split exactly where ``pc.run`` does where it says so.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from _common import machine, paired, report
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import prune_core as pc

THRESHOLD, MAX_NORM, LR, MOMENTUM, BATCH = 0.01, 1.0, 0.1, 0.9, 64


def lenet_on_mnist(steps: int, clip: pc.ClipStrategy) -> pc.Experiment:
    train = pc.Training(steps=steps, batch_size=BATCH, lr=LR, momentum=MOMENTUM)
    return pc.Experiment(data=pc.MNIST(), model=pc.LeNet300(), clip=clip, train=train)


def small_on_digits(steps: int, clip: pc.ClipStrategy) -> pc.Experiment:
    train = pc.Training(steps=steps, batch_size=BATCH, lr=LR, momentum=MOMENTUM)
    return pc.Experiment(data=pc.Digits(), model=pc.SmallCNN(), clip=clip, train=train)


def article_loop(root: Path, exp: pc.Experiment) -> Callable[[], None]:
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

    def run() -> None:
        for _ in range(exp.train.steps):
            x, y = next(batches)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            for p in model.parameters():
                p.grad = torch.clamp(p.grad, -THRESHOLD, THRESHOLD)
            optimizer.step()

    return run


def bare_loop(exp: pc.Experiment, clip_: Callable[[nn.Module], object], evaluate: bool) -> Callable[[], None]:
    """The least that trains: batches by index from memory, torch's own clipping, no number looked at."""
    data, info = exp.data.load(0), exp.data.info
    model = exp.model.build(info.shape, info.classes, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def run() -> None:
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
            if evaluate and step % exp.train.eval_every == 0:
                pc.evaluate(model, data, None if step == exp.train.steps else exp.train.eval_samples)

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
    parser.add_argument("--rounds", type=int, default=9, help="pairs of runs to take the median of")
    parser.add_argument("--steps", type=int, default=1000, help="steps of one run")
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
            (f"{name}, {how}: bare loop{looks}", exp, bare_loop(exp, clip_, bool(looks)), 0.9)
            for name, make in (("LeNet300/MNIST", lenet_on_mnist), ("SmallCNN/Digits", small_on_digits))
            for how, clip, clip_ in (("value", value, by_value), ("norm", norm, by_norm))
            for exp in [make(given.steps, clip)]
            for looks in ("", " + evaluation")
        ),
    ]
    met = []
    for name, exp, peer, target in (pair for pair in pairs if given.only in pair[0]):
        rounds = min(given.rounds, 5) if target > 1 else given.rounds  # the article's loop takes its time
        ratio = paired(lambda exp=exp: pc.run(exp, progress=False), peer, rounds=rounds)
        met.append(report(f"pc.run against {name}", ratio, target, unit="steps/s", count=exp.train.steps))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
