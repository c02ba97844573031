"""What to try next, and what to give up: Optuna's judgement over numbers that runs gave.

Nothing is kept but what the runs themselves left in the store, so a search that is interrupted goes on where it was.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prune_core.sweeping.distributions import Choice, Distribution, IntUniform, Uniform
from prune_core.sweeping.search import HIGHER_IS_BETTER, Search
from prune_core.sweeping.space import Changes
from prune_core.sweeping.values import plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

    from prune_core.sweeping.sweep import Halving

STARTUP = 10  # members drawn at random before there is something to go by


def suggest(search: Search, tried: Sequence[tuple[Changes, Mapping[str, float | None] | None]], place: int) -> Changes:
    """The changes of member ``place``, from those ``tried``: changes and what came out, None while they run.

    A member whose objectives are not all numbers counts as failed. The same arguments give the same changes.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {path: _optuna(one) for path, one in search.vary.items()}
    chance = (search.seed * 1_000_003 + place) % 2**31
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = (
            optuna.samplers.RandomSampler(seed=chance)
            if search.sampler == "random"
            else optuna.samplers.TPESampler(
                seed=chance, multivariate=True, constant_liar=True, n_startup_trials=min(STARTUP, search.trials // 2)
            )
        )
    up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [up if HIGHER_IS_BETTER[name] else down for name in search.objectives]
    study = optuna.create_study(directions=directions, sampler=sampler)
    state = optuna.trial.TrialState
    for changes, outcome in tried:
        found = [outcome.get(name) for name in search.objectives] if outcome is not None else []
        values = [value for value in found if value is not None and math.isfinite(value)]
        whole = len(values) == len(search.objectives)
        study.add_trial(
            optuna.trial.create_trial(
                state=state.COMPLETE if whole else state.FAIL if outcome is not None else state.RUNNING,
                params={path: _coded(search.vary[path], changes[path]) for path in distributions},
                distributions=distributions,
                values=values if whole else None,
            )
        )
    params = study.ask(distributions).params
    return {path: _decoded(search.vary[path], params[path]) for path in distributions}


class Halver:
    """Asynchronous successive halving over the members of one sweep."""

    def __init__(self, halving: Halving) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._halving = halving
        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=halving.min_steps, reduction_factor=halving.factor, min_early_stopping_rate=0
        )
        self._study = optuna.create_study(direction="maximize", pruner=pruner)
        self._trials: dict[int, Trial] = {}
        self._seen: dict[int, int] = {}

    def see(self, place: int, looks: Iterable[tuple[int, float]]) -> str:
        """Take in what a member came to, steps and accuracies from its start; why to stop it, or ""."""
        trial = self._trials.get(place)
        if trial is None:
            trial = self._trials[place] = self._study.ask()
        for step, accuracy in looks:
            if step <= self._seen.get(place, 0):
                continue
            self._seen[place] = step
            trial.report(accuracy, step)
            if trial.should_prune():
                return (
                    f"successive halving: {accuracy:.1%} at step {step} is not among the best 1 in "
                    f"{self._halving.factor} that came so far"
                )
        return ""


def _optuna(distribution: Distribution) -> BaseDistribution:
    from optuna import distributions

    if isinstance(distribution, Uniform):
        return distributions.FloatDistribution(distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntUniform):
        return distributions.IntDistribution(distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, Choice), "the three there are"
    return distributions.CategoricalDistribution(range(len(distribution.values)))


def _coded(distribution: Distribution, value: Any) -> Any:
    if not isinstance(distribution, Choice):
        return value
    wanted = json.dumps(plain(value), sort_keys=True)
    return next(i for i, one in enumerate(distribution.values) if json.dumps(plain(one), sort_keys=True) == wanted)


def _decoded(distribution: Distribution, value: Any) -> Any:
    return distribution.values[value] if isinstance(distribution, Choice) else value
