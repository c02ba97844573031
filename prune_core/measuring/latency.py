"""How long one forward pass takes on this machine, with an interval."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WARMUP = 5


@dataclass(frozen=True)
class Latency:
    """Milliseconds a forward pass of ``batch`` examples. The interval holds for this moment of this machine."""

    median_ms: float
    low_ms: float
    high_ms: float
    """``low_ms`` to ``high_ms``: a 95 % interval of the median, from order statistics, no distribution assumed."""
    n: int
    threads: int
    batch: int
    device: str
    denormal: float
    """Share of the layers' outputs that are denormal numbers (under 1.2e-38): these can make a CPU 30 times slower."""


def latency(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    batch: int = 1,
    threads: int = 1,
    repeats: int = 50,
    budget_s: float = 5.0,
) -> Latency:
    """Time ``model`` on random input of (batch, *shape), in evaluation mode, without gradients.

    Up to ``repeats`` passes, fewer when ``budget_s`` seconds are over, never under 6: the least with a 95 % interval.
    The first passes warm up and do not count. ``threads`` holds for the whole process while it measures.
    """
    parameter = next(model.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    dtype = parameter.dtype if parameter is not None else torch.float32
    x = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    with _measured(model, threads), torch.no_grad():
        denormal = _denormal_share(model, x)
        for _ in range(WARMUP):
            _timed(model, x)
        times: list[float] = []
        end = time.perf_counter() + budget_s
        while len(times) < 6 or (len(times) < repeats and time.perf_counter() < end):
            times.append(_timed(model, x))
    low, high = median_interval(times)
    return Latency(statistics.median(times), low, high, len(times), threads, batch, str(device), denormal)


def median_interval(values: list[float], level: float = 0.95) -> tuple[float, float]:
    """An interval that holds the median with at least ``level``: the k-th lowest and k-th highest of ``values``.

    k is the largest for which 2 * P(Binomial(n, 1/2) < k) <= 1 - level; under 6 values none is, and the whole range
    is given. Source: Hollander & Wolfe, Nonparametric Statistical Methods, section 3.6.
    """
    ordered, n = sorted(values), len(values)
    k, below = 0, 0.0
    while k < n // 2 and 2 * (below + math.comb(n, k) / 2**n) <= 1 - level:
        below += math.comb(n, k) / 2**n
        k += 1
    k = max(k, 1)
    return ordered[k - 1], ordered[n - k]


def _timed(model: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    model(x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return 1000 * (time.perf_counter() - start)


@contextmanager
def _measured(model: nn.Module, threads: int) -> Iterator[None]:
    """Evaluation mode and a fixed number of threads; afterwards both as they were."""
    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        with fixed(threads):
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def fixed(threads: int) -> Iterator[None]:
    """That many threads for torch's work in this process, afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _denormal_share(model: nn.Module, x: Tensor) -> float:
    """Share of all layer outputs x with 0 < |x| < smallest normal number, over one pass."""
    found = total = 0

    def look(module: nn.Module, inputs: object, out: object) -> None:
        nonlocal found, total
        if isinstance(out, Tensor) and out.is_floating_point():
            size = out.abs()
            found += int(((size > 0) & (size < torch.finfo(out.dtype).tiny)).sum())
            total += out.numel()

    handles = [m.register_forward_hook(look) for m in model.modules() if not list(m.children())]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found / total if total else 0.0
