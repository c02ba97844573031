"""Robustness to noise: test accuracy while Gaussian noise is added to what the model sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from prune_core.data import Dataset, DataSource
from prune_core.errors import ConfigError
from prune_core.seeding import generator
from prune_core.training.evaluate import Evaluation, evaluate

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
COLUMNS = ("model", "noise", "accuracy", "low", "high", "loss", "examples")


def robustness(
    models: nn.Module | Mapping[str, nn.Module],
    data: Dataset | DataSource,
    levels: Iterable[float] = LEVELS,
    *,
    examples: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracy of each model at each level of noise, all on the same noisy test examples: a row a model and level.

    Columns: model, noise, accuracy (share), low and high (its 95 % Wilson interval), loss, examples. ``levels`` are
    standard deviations of the noise, in standard deviations of the inputs themselves, as ``noisy`` says. One draw of
    the noise, by ``seed``, is scaled to every level, so that models and levels differ in nothing else. ``examples``
    limits the test examples. Noise of growing strength is the measure of Hendrycks & Dietterich 2019,
    arXiv:1903.12261, whose images it is added to in the units of pixels; their corruptions of other kinds are not here.
    Raises ConfigError for a level below 0.
    """
    if isinstance(models, nn.Module):
        models = {"model": models}
    loaded = data.load(seed=seed) if isinstance(data, DataSource) else data
    every = list(levels)
    rows = []
    for level in every:
        shown = noisy(loaded, level, examples=examples, seed=seed)
        rows += [(name, level, evaluate(model, shown)) for name, model in models.items()]
    order = {name: i for i, name in enumerate(models)}
    return noise_table(sorted(rows, key=lambda row: order[row[0]]))


def noise_table(rows: Iterable[tuple[str, float, Evaluation]]) -> pd.DataFrame:
    """The table of ``robustness`` from what was measured."""
    return pd.DataFrame(
        [(name, level, m.accuracy, *m.interval, m.loss, m.n) for name, level, m in rows], columns=list(COLUMNS)
    )


def noisy(data: Dataset, level: float, *, examples: int | None = None, seed: int = 0) -> Dataset:
    """A data set whose test examples are normalised, with Gaussian noise of standard deviation ``level`` added.

    Normalised inputs have standard deviation 1 over the training split (per channel), so 1.0 is noise as strong as the
    signal. Values are not cut off at the range of pixels. ``examples`` are spread evenly over the split, the same ones
    as ``evaluate``'s limit takes.
    """
    if not 0 <= level < float("inf"):
        raise ConfigError(f"noise must be a finite standard deviation at least 0, got {level}.")
    n = len(data.test_y)
    limit = n if examples is None else min(examples, n)
    chosen = torch.arange(limit, device=data.device) * n // limit
    x = data.normalise(data.test_x.index_select(0, chosen))
    if level > 0:
        # drawn on the CPU: the same bits wherever the model is
        x += level * torch.randn(x.shape, generator=generator(seed, "noise")).to(x.device)
    info = replace(data.info, test=limit)
    zero, one = torch.zeros_like(data.mean), torch.ones_like(data.std)
    return replace(data, info=info, test_x=x, test_y=data.test_y.index_select(0, chosen), mean=zero, std=one)


def noise_sentence(table: pd.DataFrame, before: str = "before", after: str = "after") -> str:
    """What pruning did to robustness, in words: where the intervals of the two lie apart, and where they overlap.

    Intervals that overlap show no difference.
    """
    rows = {
        name: part.sort_values("noise", ignore_index=True)
        for name, part in table.groupby("model", sort=False)
        if name in (before, after)
    }
    if len(rows) < 2 or not len(rows[before]):
        return ""
    both = rows[before].merge(rows[after], on="noise", suffixes=("_before", "_after"))
    worse = both.loc[both["high_after"] < both["low_before"], "noise"].tolist()
    better = both.loc[both["low_after"] > both["high_before"], "noise"].tolist()
    last = both.iloc[-1]
    text = (
        f"At noise {last['noise']:g} accuracy is {100 * last['accuracy_before']:.1f} % before and "
        f"{100 * last['accuracy_after']:.1f} % after pruning"
    )
    if not worse and not better:
        return f"{text}; at no level of noise do the two differ by more than their intervals."
    parts = [f"{what} at {_levels(at)}" for what, at in (("below", worse), ("above", better)) if at]
    return f"{text}; the pruned model lies {' and '.join(parts)}, beyond the intervals of both."


def _levels(levels: list[float]) -> str:
    named = [f"{level:g}" for level in levels]
    return f"noise {named[0]}" if len(named) == 1 else f"noise {', '.join(named[:-1])} and {named[-1]}"
