"""The Clipping page's curves, against clipping a copy with torch's own functions at every threshold.

    python benchmarks/clipping_lab_speed.py

One thread. A curve is norm after, share changed and cosine at some eighty thresholds, of the whole gradient and of each
layer; the peer makes the same numbers of ``torch.nn.utils.clip_grad_value_`` and ``clip_grad_norm_``, for the whole
gradient alone. Both are asserted equal. Then what a slider costs once its curves are there, and all strategies at once.
"""

from __future__ import annotations

import copy
import itertools
import sys

import numpy as np
import torch
from _common import machine, paired, report
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import prune_core as pc
from prune_core.clipping import FlatGradients, quick
from prune_core.clipping.curves import lane, lanes

MODELS = [("LeNet-300-100, 28x28", pc.LeNet300(), (1, 28, 28)), ("SeedNet, 8x8", pc.SeedNet(), (1, 8, 8))]
NORMS = np.abs(np.random.default_rng(0).normal(1, 0.3, 400)).tolist()
WITHIN_S = 0.1  # what an answer may take in the engine


def main() -> bool:
    """Print the table; whether all targets are met."""
    torch.set_num_threads(1)
    quick.warm()
    print(machine(), "\nclipping lab: curves over the threshold\n")
    met = [measure(*model) for model in MODELS]
    return all(met)


def measure(name: str, model: pc.ModelSource, shape: tuple[int, ...]) -> bool:
    """Curves and answers on one random gradient."""
    net = model.build(shape, 10, 0)
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, *shape, generator=rng), torch.randint(0, 10, (64,), generator=rng)
    F.cross_entropy(net(x), y).backward()
    parameters = list(net.parameters())
    grads = FlatGradients.gather(net.named_parameters())
    original = [p.grad.clone() for p in parameters]
    whole = torch.cat([g.reshape(-1) for g in original])
    print(f"{name}: {len(whole):,} entries in {len(parameters)} layers")
    rows = []
    for label, strategy, clip_ in (
        ("by value", pc.ValueClip(), clip_grad_value_),
        ("by norm", pc.NormClip(), clip_grad_norm_),
    ):
        ours = lane("", "", strategy, grads)

        def peer(clip_=clip_, thresholds=ours.thresholds) -> np.ndarray:
            found = []
            for threshold in thresholds.tolist():
                for p, g in zip(parameters, original, strict=True):
                    p.grad.copy_(g)
                clip_(parameters, threshold)
                after = torch.cat([p.grad.reshape(-1) for p in parameters])
                changed = (after != whole).double().mean()
                cosine = F.cosine_similarity(whole, after, dim=0)
                found.append([float(after.norm()), float(changed), float(cosine)])
            return np.array(found)

        np.testing.assert_allclose(ours.rows[:, -1, 1:], peer(), rtol=1e-3, atol=1e-4)
        ratio = paired(lambda strategy=strategy: lane("", "", strategy, grads), peer, rounds=7)
        rows.append(
            report(f"  {label}, {len(ours.thresholds)} thresholds, layers too, against torch without", ratio, 2)
        )
    rows.append(_answer(grads, whole, parameters, original))
    print()
    return all(rows)


def _answer(grads: FlatGradients, whole: torch.Tensor, parameters: list, original: list) -> bool:
    """One move of a slider, and all curves."""
    moves = itertools.cycle(np.geomspace(1e-5, 1e-2, 37).tolist())
    at = pc.ValueClip().probe(grads, {})

    def torch_moves() -> None:
        for p, g in zip(parameters, original, strict=True):
            p.grad.copy_(g)
        clip_grad_value_(parameters, next(moves))
        after = torch.cat([p.grad.reshape(-1) for p in parameters])
        float(after.norm()), float((after != whole).double().mean()), float(F.cosine_similarity(whole, after, dim=0))

    moved = report(
        "  one threshold by value, layers too, against torch", paired(lambda: at(next(moves)), torch_moves), 2
    )
    every = lanes(grads, NORMS)
    ratio = paired(lambda: lanes(grads, NORMS), torch_moves, rounds=7)
    print(f"  every strategy ({sum(not one.why for one in every)} curves), once a gradient: {1e3 * ratio.ours:.0f} ms")
    chosen = next(one for one in every if one.name == "value")

    def picture() -> None:  # what a slider asks for besides the curves: the clipped gradient itself
        fresh = FlatGradients(grads.values.clone(), grads.names, grads.offsets, grads.parameters)
        chosen.strategy.with_threshold(next(moves)).clip_flat_(fresh, copy.deepcopy(chosen.state), layers=False)

    answer = paired(picture, torch_moves, rounds=15).ours
    print(f"  the clipped gradient for the histogram: {1e3 * answer:.2f} ms, target {1e3 * WITHIN_S:.0f} ms")
    return moved and answer < WITHIN_S


if __name__ == "__main__":
    sys.exit(not main())
