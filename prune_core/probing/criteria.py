"""Several criteria side by side on the same model: what each costs, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from torch import Tensor, nn

from prune_core.data import Dataset, DataSource
from prune_core.errors import ConfigError
from prune_core.probing.agreement import chance_overlap, overlaps, rank_correlations
from prune_core.probing.pruned import pruned
from prune_core.pruning import (
    Criterion,
    Evidence,
    Granularity,
    Groups,
    Masks,
    Scope,
    Weights,
    check_together,
    make_masks,
    prunable,
    scan_curves,
    score,
    sparsity_of,
)
from prune_core.pruning.sensitivity import check_scan
from prune_core.seeding import generator
from prune_core.training.evaluate import Evaluation, evaluate
from prune_core.training.sensitivity import check_grid, check_once, drawn

SPARSITIES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
COLUMNS = ("criterion", "asked", "sparsity", "accuracy", "low", "high", "loss", "examples")
ALIKE, APART = 0.9, 0.1  # of a rank correlation: nearly one order; none to speak of
BEYOND = 0.1  # how far above chance an overlap must be, of what chance leaves, to be called one


@dataclass(frozen=True, eq=False)
class CriteriaComparison:
    """What ``compare_criteria`` found. ``at`` is the sparsity of the masks whose ``overlap`` is given.

    ``table`` has a row a criterion and sparsity: criterion, asked, sparsity (realised), accuracy (share), low and high
    (its 95 % Wilson interval), loss, examples. ``correlation`` (Spearman, of scores) and ``overlap`` (Jaccard, of what
    masks keep) have a row and a column a criterion; ``chance`` is the overlap of two random masks.
    """

    dense: Evaluation
    table: pd.DataFrame
    correlation: pd.DataFrame
    overlap: pd.DataFrame
    at: float
    chance: float

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        agree = agreement_sentence(self.correlation, self.overlap, self.chance)
        return f"{agree} {curve_sentence(self.table, self.at)}".strip()


def compare_criteria(
    model: nn.Module,
    data: Dataset | DataSource,
    criteria: Iterable[Criterion],
    sparsities: Iterable[float] = SPARSITIES,
    *,
    at: float = 0.9,
    scope: Scope = "global",
    granularity: Granularity | None = None,
    masks: Mapping[str, Tensor] | None = None,
    recalibrate: bool = True,
    examples: int | None = None,
    seed: int = 0,
) -> CriteriaComparison:
    """Prune ``model`` by each of ``criteria`` to each of ``sparsities`` and measure accuracy on the test split.

    All score the model as it is, on training examples drawn by ``seed`` where they look at data; what ``masks`` removed
    earlier stays removed and is not ranked. With ``recalibrate`` batch normalisation is measured anew under every mask.
    ``examples`` limits the test examples. Afterwards the model is bitwise what it was. Raises ConfigError for fewer
    than two criteria, for those that follow a training run or score anew in rounds, and for what does not go together.
    """
    every = list(criteria)
    if len(every) < 2:
        raise ConfigError(f"criteria must be at least 2 to be compared, got {len(every)}.")
    shares, grain = check_grid(sparsities), granularity or Weights()
    for one in every:
        check_together(one, scope, grain)
        check_once(one)
        if scope == "sensitivity":
            check_scan(one)
    loaded = data.load(seed=seed) if isinstance(data, DataSource) else data
    weights = {name: p.data for name, p in prunable(model).items()}
    groups = grain.groups(model, weights)
    if groups is not None:
        weights = {name: weights[name] for name in groups.names}
    keep = dict(masks or {})
    names, dense = labels(every), evaluate(model, loaded, limit=examples)
    rows: list[tuple[object, ...]] = []
    scores, chosen = [], []
    for name, one in zip(names, every, strict=True):
        look = Evidence(
            weights, model=model, masks=keep, generator=generator(seed, "masks"), batches=partial(drawn, loaded, seed)
        )
        found = score(one, look, groups)
        select = _selector(look, found, scope, keep, groups)
        scores.append(found)
        chosen.append(select(at))
        for share in shares:
            made = select(share)
            with pruned(model, weights, made, loaded, seed if recalibrate else None):
                m = evaluate(model, loaded, limit=examples)
            rows.append((name, share, sparsity_of(made), m.accuracy, *m.interval, m.loss, m.n))
    return CriteriaComparison(
        dense,
        pd.DataFrame(rows, columns=list(COLUMNS)),
        pd.DataFrame(rank_correlations(scores, keep=keep, scope=scope, seed=seed), names, names),
        pd.DataFrame(overlaps(chosen), names, names),
        at,
        chance_overlap(1 - sparsity_of(chosen[0])),
    )


def labels(criteria: Sequence[Criterion]) -> list[str]:
    """What the criteria are called, each once: settings are added where one is there twice."""
    entries = [type(one).registry.entry_of(type(one)) for one in criteria]
    plain = [e.label if e is not None else type(one).__name__ for e, one in zip(entries, criteria, strict=True)]
    full = [
        f"{name} ({', '.join(f'{k} {v}' for k, v in one.model_dump().items() if k != 'kind')})"
        for name, one in zip(plain, criteria, strict=True)
    ]
    found = [name if plain.count(name) == 1 else more for name, more in zip(plain, full, strict=True)]
    return [name if found.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(found)]


def agreement_findings(correlation: pd.DataFrame, overlap: pd.DataFrame, chance: float) -> list[str]:
    """Which criteria rank the weights nearly alike (ρ at least 0.9), and which keep no more in common than chance.

    ``chance`` is the overlap of two random masks; an overlap counts where it exceeds that by a tenth of what is left.
    A sentence each.
    """
    names = [str(n) for n in correlation.index]
    pairs = list(combinations(range(len(names)), 2))
    rho, both = correlation.to_numpy(float), overlap.to_numpy(float)
    found = []
    ordered = sorted((p for p in pairs if np.isfinite(rho[p])), key=lambda p: -rho[p])
    alike = [p for p in ordered if rho[p] >= ALIKE]
    if alike:
        listed = ", ".join(
            f"{names[i]} and {names[j]} (ρ {rho[i, j]:.2f}, overlap {_percent(both[i, j])})" for i, j in alike
        )
        found.append(f"Nearly one order of the weights: {listed}.")
    elif ordered:
        i, j = ordered[0]
        found.append(
            f"No two order the weights nearly alike; closest are {names[i]} and {names[j]} (ρ {rho[i, j]:.2f}, overlap "
            f"{_percent(both[i, j])})."
        )
    alone = [p for p in pairs if both[p] <= chance + BEYOND * (1 - chance)]
    if alone:
        found.append(
            f"No more in common than two random masks would have ({_percent(chance)}): {_pairs(alone, names)}."
        )
    return found


def agreement_sentence(correlation: pd.DataFrame, overlap: pd.DataFrame, chance: float) -> str:
    """``agreement_findings`` in one text."""
    return " ".join(agreement_findings(correlation, overlap, chance))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def _pairs(pairs: list[tuple[int, int]], names: list[str]) -> str:
    """Pairs in words; who is in a pair with all others is named once."""
    found, left = [], list(pairs)
    for k, name in enumerate(names):
        with_k = [p for p in left if k in p]
        if len(names) > 2 and len(with_k) == len(names) - 1:
            found.append(f"{name} with every other")
            left = [p for p in left if k not in p]
    return ", ".join([*found, *(f"{names[i]} and {names[j]}" for i, j in left)])


def curve_sentence(table: pd.DataFrame, at: float | None = None) -> str:
    """Which criterion keeps most accuracy at the sparsity ``at`` (the highest that all were measured at, by default).

    Intervals that overlap show no difference: they are of few test examples, and of one model.
    """
    names = list(dict.fromkeys(table["criterion"]))
    common = [s for s, rows in table.groupby("asked") if rows["criterion"].nunique() == len(names)]
    if len(names) < 2 or not common:
        return ""
    share = max(common) if at is None else min(common, key=lambda s: abs(s - at))
    rows = table.loc[table["asked"] == share].sort_values("accuracy", ascending=False, kind="stable")
    best, worst = rows.iloc[0], rows.iloc[-1]
    text = f"At {100 * share:.0f} % removed {best['criterion']} keeps {100 * best['accuracy']:.1f} %"
    level = [r["criterion"] for _, r in rows.iloc[1:].iterrows() if r["high"] >= best["low"]]
    if len(level) == len(rows) - 1:
        return f"{text}, {worst['criterion']} {100 * worst['accuracy']:.1f} %: the intervals overlap, so that no " + (
            "difference is shown.")  # fmt: skip
    text += f", {worst['criterion']} {100 * worst['accuracy']:.1f} %"
    return text + (f"; {', '.join(level)} cannot be told from the best." if level else ".")


def _selector(
    look: Evidence, scores: Mapping[str, Tensor], scope: Scope, keep: Masks, groups: Groups | None
) -> partial[Masks]:
    curves = scan_curves(look, scores, groups) if scope == "sensitivity" else None
    return partial(_select, scores, scope, keep, groups, curves)


def _select(
    scores: Mapping[str, Tensor], scope: Scope, keep: Masks, groups: Groups | None, curves: object, sparsity: float
) -> Masks:
    most = groups.most if groups is not None else 1.0
    return make_masks(scores, min(sparsity, most), scope, keep=keep, groups=groups, curves=curves)  # type: ignore[arg-type]
