"""What each criterion costs, scoring and selection: against public code, and against the passes it cannot avoid.

    python benchmarks/criteria_speed.py [--examples 8] [--rounds 5] [--only snip ...] [resnet50 vit_b_16 ...]

One thread, 90 % of all weights, global. Criteria that look at weights only stand beside torch.nn.utils.prune, which
gets the same scores by plain torch where it has no such criterion, and beside fasterai where that is installed (target:
ten times as fast). Criteria that look at the network stand beside the bare forward and backward passes on the same
batch, which score and select nothing (target: at most twice their time, a ratio of 0.5). Masks are made, not applied;
torch and fasterai apply theirs, which is a hundredth of their time. The compiled loops are imported beforehand, as in
the lab's workers: it takes some tenths of a second, once in a process.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torchvision
from _common import Ratio, machine, paired, report
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import prune as torch_prune

import prune_core as pc
from prune_core.pruning import Evidence, choose_masks, make_masks, one_batch, prunable, quick

try:  # not among our requirements
    from fasterai.core import criteria as fasterai_criteria
    from fasterai.sparse.sparsifier import Sparsifier
except ImportError:
    Sparsifier = None

SPARSITY = 0.9
ROUNDS_OF_SYNFLOW = 2  # of its 100, which differ in nothing
Batch = tuple[Tensor, Tensor]


def main() -> bool:
    """Print the table; whether all targets are met."""
    names = [entry.name for entry in pc.Criterion.registry]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["resnet50", "vit_b_16"])
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true", help="instead of the clock's: for a busy machine")
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    args = parser.parse_args()
    torch.set_num_threads(1)
    quick.warm()
    print(machine(), f"\nscores and masks at {SPARSITY:.0%}, {args.examples} examples\n")
    if Sparsifier is None:
        print("fasterai is not installed; its rows are left out (pip install fasterai).")
    timed = partial(
        paired,
        rounds=args.rounds,
        warm=min(args.rounds - 1, 1),
        clock=time.process_time if args.processor_time else time.perf_counter,
    )
    return all([measure(name, args.examples, timed, args.only) for name in args.models])


def measure(name: str, examples: int, timed: Callable[..., Ratio], only: list[str]) -> bool:
    """All criteria on one torchvision model with random weights."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    batch = torch.randn(examples, 3, 224, 224), torch.arange(examples)
    found = prunable(model)
    print(f"{name}: {sum(w.numel() for w in found.values()):,} weights in {len(found)} layers", flush=True)
    met = []
    for entry in pc.Criterion.registry:
        if entry.name not in only:
            continue
        criterion = pc.SynFlow(rounds=ROUNDS_OF_SYNFLOW) if entry.name == "synflow" else entry.cls()
        seen = {n: w for n, w in found.items() if entry.name != "wanda" or _seen(model, n)}
        ours = partial(choose, criterion, model, seen, batch)
        if entry.name in PASSES:
            bare = PASSES[entry.name](model, list(seen.values()), *batch)
            ratio = timed(ours, bare)
            met.append(report(f"  {entry.name}, against its bare passes", ratio, 0.5))
            continue
        for peer, theirs in peers(entry.name, model).items():
            ratio = timed(ours, theirs)
            met.append(report(f"  {entry.name}, against {peer}", ratio, 10))
    return all(met)


def choose(criterion: pc.Criterion, model: nn.Module, found: Mapping[str, nn.Parameter], batch: Batch) -> object:
    """Ours: what ``pc.prune_`` does before it sets weights to 0, and a movement that a run would have followed."""
    weights = {name: w.detach() for name, w in found.items()}
    generator = torch.Generator().manual_seed(0)

    def look(masks: Mapping[str, Tensor]) -> Evidence:
        return Evidence(
            weights, model=model, batches=one_batch(*batch), masks=masks, generator=generator, movement=weights
        )

    return choose_masks(criterion, SPARSITY, lambda s, share, keep: make_masks(s, share, keep=keep), look)


# --- bare passes ------------------------------------------------------------------------------------------------------


def gradient(model: nn.Module, parameters: list[nn.Parameter], x: Tensor, y: Tensor) -> Callable[[], object]:
    """Forward and backward."""
    return lambda: torch.autograd.grad(F.cross_entropy(model(x), y), parameters)


def forward(model: nn.Module, parameters: list[nn.Parameter], x: Tensor, y: Tensor) -> Callable[[], object]:
    """Forward only."""
    return torch.no_grad()(lambda: model(x))


def curvature(model: nn.Module, parameters: list[nn.Parameter], x: Tensor, y: Tensor) -> Callable[[], object]:
    """Forward, backward, and backward through that along the gradient."""

    def passes() -> object:
        with sdpa_kernel(SDPBackend.MATH):  # the others cannot be differentiated twice
            grads = torch.autograd.grad(F.cross_entropy(model(x), y), parameters, create_graph=True)
            return torch.autograd.grad(grads, parameters, [g.detach() for g in grads])

    return passes


def flow(model: nn.Module, parameters: list[nn.Parameter], x: Tensor, y: Tensor) -> Callable[[], object]:
    """Forward and backward of one example in float64, once a round."""
    twin = copy.deepcopy(model).double().eval()
    weights, ones = list(prunable(twin).values()), torch.ones_like(x[:1], dtype=torch.float64)
    return lambda: [torch.autograd.grad(twin(ones).sum(), weights) for _ in range(ROUNDS_OF_SYNFLOW)]


PASSES = {
    "gradient_magnitude": gradient,
    "taylor": gradient,
    "snip": gradient,
    "fisher": gradient,
    "wanda": forward,
    "grasp": curvature,
    "synflow": flow,
}


def _seen(model: nn.Module, name: str) -> bool:
    """Whether Wanda sees the input of this weight: not of those that an attention layer multiplies itself."""
    path = name.rpartition(".")[0]
    return not isinstance(model.get_submodule(path.rpartition(".")[0]), nn.MultiheadAttention) and not isinstance(
        model.get_submodule(path), nn.MultiheadAttention
    )


# --- public code ------------------------------------------------------------------------------------------------------


def peers(name: str, model: nn.Module) -> dict[str, Callable[[], object]]:
    """What public code does for the same, each on a copy made anew, which is a hundredth of its time too."""
    found: dict[str, Callable[[], object]] = {"torch.nn.utils.prune": partial(by_torch, name, model)}
    theirs = {"magnitude": "large_final", "random": "random"}.get(name)
    # it prunes one layer of convolutions or linear ones at a time, and knows no attention weights
    if Sparsifier is not None and theirs and not any(isinstance(m, nn.MultiheadAttention) for m in model.modules()):
        found["fasterai"] = lambda: Sparsifier(
            copy.deepcopy(model), "weight", "global", getattr(fasterai_criteria, theirs)
        ).sparsify_model(SPARSITY)
    return found


def by_torch(name: str, model: nn.Module) -> None:
    """torch's global pruning: its own criterion where it has one, else the scores of plain torch."""
    model = copy.deepcopy(model)
    places = {}
    for weight in prunable(model):
        path, _, leaf = weight.rpartition(".")
        places[model.get_submodule(path), leaf] = model.get_parameter(weight).detach()
    method = torch_prune.RandomUnstructured if name == "random" else torch_prune.L1Unstructured
    scores = (
        {place: plain_scores(name, w) for place, w in places.items()} if name not in ("magnitude", "random") else None
    )
    torch_prune.global_unstructured(list(places), method, importance_scores=scores, amount=SPARSITY)


def plain_scores(name: str, w: Tensor) -> Tensor:
    """A criterion's definition, as short as torch allows."""
    if name == "relative_magnitude":
        return w.abs() / w.abs().mean()
    if name == "lamp":
        rising, order = w.reshape(-1).square().sort()
        scores = torch.empty_like(rising)
        scores[order] = rising / rising.flip(0).cumsum(0).flip(0)
        return scores.view(w.shape)
    if name == "l2_norm":
        return w.double().square()
    assert name == "movement", f"no peer is written for {name}"
    return w


if __name__ == "__main__":
    sys.exit(not main())
