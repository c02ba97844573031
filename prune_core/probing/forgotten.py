"""What was forgotten: which classes and which test examples a pruned model gets wrong that it knew before.

Hooker, Courville, Clark, Dauphin, Frome 2019, "What Do Compressed Deep Neural Networks Forget?", arXiv:1911.05248, show
that models of nearly equal accuracy differ on a small part of the examples and classes, more so the more is removed.
They compare the commonest answers of many trained models with and without pruning; here one model is compared with
itself, so that single flips may be chance, and a p-value says where a class's change is more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import bdtr  # scipy.stats would take a second to import
from torch import nn

from prune_core.comparing import holm
from prune_core.data import Dataset, DataSource
from prune_core.errors import ConfigError
from prune_core.training.evaluate import BATCH, BATCH_GPU, wilson

WRONG, RIGHT, OTHER = "newly wrong", "newly right", "another mistake"
COLUMNS = ("index", "label", "before", "after", "confidence_before", "confidence_after")
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Forgotten:
    """Answers of one model before and after pruning, to the same test examples.

    ``answers`` has a row an example: index (in the test split), label, before and after (class predicted),
    confidence_before and confidence_after (the softmax share of that class, in [0, 1]).
    """

    answers: pd.DataFrame
    class_names: tuple[str, ...]

    @property
    def accuracy(self) -> tuple[float, float]:
        """Before and after."""
        a = self.answers
        return (float((a["before"] == a["label"]).mean()), float((a["after"] == a["label"]).mean())) if len(a) else (
            float("nan"), float("nan"))  # fmt: skip

    @cached_property
    def flips(self) -> pd.DataFrame:
        """The examples whose prediction changed: ``answers``' columns and ``kind``.

        "newly wrong", "newly right", or "another mistake" where both are wrong. Those that it was surest of before come
        first: what is forgotten there was known.
        """
        a = self.answers
        changed = a.loc[a["before"] != a["after"]].copy()
        was, now = changed["before"] == changed["label"], changed["after"] == changed["label"]
        changed["kind"] = np.where(was, WRONG, np.where(now, RIGHT, OTHER))
        key = np.where(changed["kind"] == RIGHT, changed["confidence_after"], changed["confidence_before"])
        return changed.iloc[np.argsort(-key, kind="stable")].reset_index(drop=True)

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """A row a class: label, name, examples, before and after (accuracy of its examples, with 95 % Wilson intervals
        low_before, high_before, low_after, high_after), change, lost and gained (examples), and p.

        p is of McNemar's exact test (1947; binomial, two-sided) of lost against gained, corrected over the classes
        (Holm); nan where nothing changed.
        """
        rows: list[dict[str, Any]] = []
        for label, name in enumerate(self.class_names):
            of = self.answers.loc[self.answers["label"] == label]
            was, now = (of["before"] == label).to_numpy(), (of["after"] == label).to_numpy()
            n = len(of)
            lost, gained = int((was & ~now).sum()), int((~was & now).sum())
            before, after = (float(v.mean()) if n else float("nan") for v in (was, now))
            low, high = wilson(float(was.sum()), n)
            low_after, high_after = wilson(float(now.sum()), n)
            rows.append(
                {"label": label, "name": name, "examples": n, "before": before, "after": after,
                 "change": after - before, "low_before": low, "high_before": high, "low_after": low_after,
                 "high_after": high_after, "lost": lost, "gained": gained, "p": mcnemar(lost, gained)}
            )  # fmt: skip
        table = pd.DataFrame(rows)
        table["p"] = holm(table["p"].tolist())
        return table

    @cached_property
    def confusions(self) -> pd.DataFrame:
        """Pairs that are confused more or less often than before, most increased first: label, predicted, before and
        after (examples), increase."""
        a, k = self.answers, len(self.class_names)
        counts = [np.zeros((k, k), int) for _ in range(2)]
        for matrix, column in zip(counts, ("before", "after"), strict=True):
            np.add.at(matrix, (a["label"].to_numpy(int), a[column].to_numpy(int)), 1)
            np.fill_diagonal(matrix, 0)
        before, after = counts
        label, predicted = np.nonzero(before != after)
        table = pd.DataFrame({
            "label": label, "predicted": predicted, "before": before[label, predicted],
            "after": after[label, predicted],
        })  # fmt: skip
        table["increase"] = table["after"] - table["before"]
        return table.sort_values(["increase", "after"], ascending=False, kind="stable", ignore_index=True)

    @property
    def sentence(self) -> str:
        """What was found, in words, and where nothing is shown."""
        n, kinds = len(self.answers), self.flips["kind"].value_counts()
        lost, gained = int(kinds.get(WRONG, 0)), int(kinds.get(RIGHT, 0))
        if not len(self.flips):
            return f"No prediction changed on {_many(n, 'test example')}."
        text = f"{_many(lost, 'prediction')} became wrong and {gained} right on {_many(n, 'test example')}"
        worst = self.per_class.sort_values("change", kind="stable").iloc[0]
        if lost + gained:
            p = mcnemar(lost, gained)
            text += f" ({'p < 0.001' if p < 0.001 else f'p = {p:.2g}'})"
        shown = self.per_class.loc[(self.per_class["p"] < LEVEL) & (self.per_class["change"] < 0)]
        if not len(shown):
            return text + "; no single class lost more than chance explains."
        return text + (
            f"; most was lost in class {worst['name']}, from {100 * worst['before']:.1f} to "
            f"{100 * worst['after']:.1f} %, and {_many(len(shown), 'class', 'classes')} lost more than chance explains."
        )


def forgotten(
    before: nn.Module, after: nn.Module, data: Dataset | DataSource, *, examples: int | None = None, seed: int = 0
) -> Forgotten:
    """Compare two models, of one a pruned copy say, example by example on the test split of ``data``.

    ``examples`` limits the test examples (spread evenly over the split), ``seed`` is for data that are generated.
    """
    loaded = data.load(seed=seed) if isinstance(data, DataSource) else data
    index = indices(loaded, examples)
    return of_answers(index, loaded, predict(before, loaded, index), predict(after, loaded, index))


def of_answers(
    index: torch.Tensor,
    data: Dataset,
    before: tuple[torch.Tensor, torch.Tensor],
    after: tuple[torch.Tensor, torch.Tensor],
) -> Forgotten:
    """From predictions and confidences at ``index`` in the test split."""
    columns = (index, data.test_y[index], before[0], after[0], before[1], after[1])
    table = {name: column.cpu().numpy() for name, column in zip(COLUMNS, columns, strict=True)}
    return Forgotten(pd.DataFrame(table), data.info.class_names)


def indices(data: Dataset, examples: int | None = None) -> torch.Tensor:
    """Where the test examples stand that a limit leaves, spread evenly over the split; all without one."""
    n = len(data.test_y)
    if examples is not None and examples < 1:
        raise ConfigError(f"examples must be at least 1, got {examples}.")
    limit = n if examples is None else min(examples, n)
    return torch.arange(limit, device=data.device) * n // limit


def predict(model: nn.Module, data: Dataset, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The class predicted for each test example at ``index`` (n,), int64, and its softmax share (n,), in [0, 1]."""
    was_training = model.training
    model.eval()
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    try:
        with torch.inference_mode():
            for part in index.split(BATCH_GPU if data.device.type == "cuda" else BATCH):
                scores = model(data.normalise(data.test_x.index_select(0, part))).float()
                best = scores.argmax(1)  # of the scores, as evaluate does: softmax may round two of them to one
                found.append((best, scores.softmax(1).gather(1, best[:, None])[:, 0]))
    finally:
        model.train(was_training)
    return torch.cat([p for p, _ in found]), torch.cat([c for _, c in found])


def mcnemar(lost: int, gained: int) -> float:
    """p of the exact two-sided test that of changed answers as many get worse as better; nan where none changed."""
    if not lost + gained:
        return float("nan")
    return min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))


def _many(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
