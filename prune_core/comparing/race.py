"""What a race shows, in one sentence of measured numbers: how much clipping changed, and what pruning took and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from prune_core.comparing.intervals import Interval, mean_interval
from prune_core.comparing.tables import FINAL

RACE_COLUMNS = ("lane", "seed", "status", "step", "accuracy", "loss", "parameters", "nonzero", "clipped", "classes")
LANES = ("baseline", "clipping", "pruning", "both")
FAILED_TIMES = 10.0  # a test loss above so many times that of guessing is no learning any more, but divergence


@dataclass(frozen=True)
class RaceFinding:
    """Four lanes compared over the ``seeds`` of which all four have ended.

    ``clipped`` is the share of gradient entries that clipping changed, the mean over a run's steps; ``cost_pruning``
    and ``cost_clipping`` are accuracy of the baseline minus that of the lane, of equal seeds, in [-1, 1].
    ``lost_clipping`` and ``lost_pruning`` are parameters at exactly zero, means over seeds; ``diverged`` counts seeds
    by lane. ``without`` and ``with_clipping`` are mean accuracies of the two lanes that do not clip, and of the others.
    """

    seeds: tuple[int, ...]
    parameters: int
    clipped: Interval
    lost_clipping: float
    lost_pruning: float
    cost_clipping: Interval
    cost_pruning: Interval
    diverged: dict[str, int]
    without: float
    with_clipping: float
    stopped: int | None = None
    """The step at which somebody ended the race; None where all of it counts."""

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.seeds)

    @property
    def clipping_saved_it(self) -> bool:
        """Whether every run without clipping diverged and none with it did."""
        d = self.diverged
        return d["baseline"] == d["pruning"] == self.n > 0 == d["clipping"] == d["both"]

    def parts(self) -> tuple[tuple[str, str], ...]:
        """The sentence in pieces, each with the idea whose number it is, or "" for plain words."""
        if not self.n:
            return (("", "The sentence comes when all four lanes have ended."),)
        of = f" of {_count(self.parameters)} parameters"
        found = [
            ("", "Clipping changed "), ("clipping", _percent(self.clipped.mean)), ("", _span(self.clipped)),
            ("", " of the gradient entries and removed "), ("clipping", _count(self.lost_clipping)), ("", f"{of}; "),
            ("", "pruning removed "), ("pruning", _count(self.lost_pruning)), ("", " and "),
            *self._cost(), ("", f" ({self._seeds()}).")]  # fmt: skip
        if self.clipping_saved_it:
            found += [("", " Without clipping every run diverged and ended at "), ("baseline", _percent(self.without)),
                      ("", " accuracy; with it they learned, to "), ("clipping", _percent(self.with_clipping)),
                      ("", ".")]  # fmt: skip
        elif any(self.diverged.values()):
            lanes = [f"{lane} in {k} of {self.n}" for lane, k in self.diverged.items() if k]
            found.append(("", f" Diverged: {', '.join(lanes)}."))
        return tuple(found)

    @property
    def sentence(self) -> str:
        """The sentence as text."""
        return "".join(text for _, text in self.parts())

    def _cost(self) -> list[tuple[str, str]]:
        cost = self.cost_pruning
        if math.isnan(cost.mean):
            return [("", "its cost cannot be told, as the baseline diverged")]
        word = "cost " if cost.mean >= 0 else "gained "
        sign = 1 if cost.mean >= 0 else -1
        span = ""
        if not math.isnan(cost.low):
            low, high = sorted((sign * cost.low, sign * cost.high))
            span = f" ({_points(low)} to {_points(high)})"
        points = _points(abs(cost.mean))
        return [("", word), ("pruning", f"{points} {'point' if points == '1.0' else 'points'}"), ("", span)]

    def _seeds(self) -> str:
        if self.stopped is not None:
            return f"1 seed, stopped at step {_count(self.stopped)}"
        return "1 seed" if self.n == 1 else f"{self.n} seeds, mean and 95\u00a0% interval"


def race_finding(table: pd.DataFrame, lanes: Sequence[str] = LANES, *, stopped: bool = False) -> RaceFinding:
    """From a row a run with RACE_COLUMNS. Only seeds count whose four lanes have all ended with final figures.

    With ``stopped`` the table is of one race, which somebody ended: its figures count as far as all lanes came.

    A run counts as diverged where its numbers overflowed, or its test loss ends above FAILED_TIMES times log(classes),
    which is that of guessing. Differences in accuracy leave seeds out whose baseline diverged.
    """
    ended = table["status"] == "stopped" if stopped else table["status"] == ""
    at = {int(step) for step in table.loc[ended, "step"].dropna()}
    if len(at) != 1:  # lanes that came to different steps cannot be compared
        ended &= False
    rows = table[(table["status"].isin(FINAL) | ended) & table["accuracy"].notna()]
    by_seed = {int(seed): part.set_index("lane") for seed, part in rows.groupby("seed")}
    whole = {seed: part for seed, part in sorted(by_seed.items()) if set(lanes) <= set(part.index)}
    diverged = {lane: sum(_diverged(part.loc[lane]) for part in whole.values()) for lane in lanes}
    learned = [part for part in whole.values() if not _diverged(part.loc["baseline"])]
    pruned = [p for p in learned if not _diverged(p.loc["pruning"])]
    clipped = [p for p in learned if not _diverged(p.loc["clipping"])]
    every = list(whole.values())

    def mean(lane: str, column: str) -> float:
        values = [float(p.loc[lane, column]) for p in every]
        return sum(values) / len(values) if values else math.nan

    def lost(lane: str) -> float:
        return mean(lane, "parameters") - mean(lane, "nonzero")

    def cost(lane: str, of: list[pd.DataFrame]) -> Interval:
        return mean_interval([float(p.loc["baseline", "accuracy"]) - float(p.loc[lane, "accuracy"]) for p in of])

    return RaceFinding(
        seeds=tuple(whole),
        parameters=int(every[0].loc["baseline", "parameters"]) if every else 0,
        clipped=mean_interval([float(p.loc["clipping", "clipped"]) for p in every]),
        lost_clipping=lost("clipping"),
        lost_pruning=lost("pruning"),
        cost_clipping=cost("clipping", clipped),
        cost_pruning=cost("pruning", pruned),
        diverged=diverged,
        without=(mean("baseline", "accuracy") + mean("pruning", "accuracy")) / 2,
        with_clipping=(mean("clipping", "accuracy") + mean("both", "accuracy")) / 2,
        stopped=at.pop() if ended.any() else None,
    )


def blew_up(loss: float | None, classes: int) -> bool:
    """Whether a test loss says that a network does far worse than guessing; one that is no number does."""
    return loss is None or not loss <= FAILED_TIMES * math.log(max(classes, 2))


def _diverged(row: pd.Series) -> bool:
    return row["status"] == "diverged" or blew_up(row["loss"], int(row["classes"]))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def _points(share: float) -> str:
    return f"{100 * share:.1f}".replace("-0.0", "0.0").replace("-", "\u2212")


def _count(n: float) -> str:
    return f"{round(n):,}".replace(",", "\u202f")


def _span(interval: Interval) -> str:
    """The interval in brackets, nothing with one seed."""
    return "" if math.isnan(interval.low) else f" ({100 * interval.low:.1f} to {100 * interval.high:.1f}\u00a0%)"
