"""Sweeps in this process: for notebooks, tests and small questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prune_core.errors import ConfigError
from prune_core.events import EvalEvent
from prune_core.experiment import Experiment
from prune_core.sweeping import Halver, Halving, Member, Search, Space, Sweep, Trunk, as_space, suggest
from prune_core.training.branching import branch_, grow
from prune_core.training.checkpoint import Checkpoint
from prune_core.training.control import Control
from prune_core.training.run import Result, result_of, run
from prune_core.training.state import RunState
from prune_core.training.stream import events


def sweep(
    experiment: Experiment,
    space: Space | Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]],
    *,
    halving: Halving | None = None,
    share: bool = True,
    progress: bool | None = None,
) -> Iterator[Result]:
    """Run every member of ``space`` in this process, one after the other; all are validated before the first.

    A mapping of dotted fields to values is a grid, the last field fastest; a list of mappings is a list:
    ``pc.sweep(exp, {"prune.schedule.final": [0.5, 0.9], "train.seed": range(3)})`` makes six runs. With ``share``,
    training that members have in common before they prune is done once, and each gives bitwise what it gives alone.
    A search needs the measured cost of models and runs in the lab: ``pc.Lab().sweep``.
    """
    asked = Sweep(experiment=experiment, space=as_space(space), halving=halving, share=share)
    if isinstance(asked.space, Search) and {*asked.space.objectives} - {"accuracy", "loss", "sparsity", "seconds"}:
        raise ConfigError(
            "Search.objectives must be accuracy, loss, sparsity or seconds in this process, got "
            f"{list(asked.space.objectives)}; pc.Lab().sweep measures bytes, MACs and latency as well."
        )
    members = asked.members()
    return _search(asked, asked.space, progress) if isinstance(asked.space, Search) else _all(asked, members, progress)


def _all(asked: Sweep, members: list[Member], progress: bool | None) -> Iterator[Result]:
    left = [member.trunk.key for member in members if member.trunk is not None]
    grown: dict[str, Checkpoint] = {}
    halver = Halver(asked.halving) if asked.halving is not None else None
    for member in members:
        trunk = member.trunk
        if trunk is None and halver is None:
            yield run(member.experiment, progress=progress)
            continue
        if trunk is not None and trunk.key not in grown:
            grown[trunk.key] = grow(trunk)
        yield _one(member, grown[trunk.key] if trunk is not None else None, trunk, halver)
        if trunk is not None:
            left.remove(trunk.key)
            if trunk.key not in left:  # nobody else begins with it
                del grown[trunk.key]


def _one(member: Member, begun: Checkpoint | None, trunk: Trunk | None, halver: Halver | None) -> Result:
    state, control = RunState(member.experiment), Control()
    if begun is not None and trunk is not None:
        branch_(state, begun, trunk)
    if halver is not None and (why := halver.see(member.place, [(e.step, e.accuracy) for e in state.evals])):
        control.stop(why)
    for event in events(state, control):
        if (
            halver is not None
            and isinstance(event, EvalEvent)
            and event.step < member.experiment.train.steps
            and (why := halver.see(member.place, [(event.step, event.accuracy)]))
        ):
            control.stop(why)
    return result_of(state)


def _search(asked: Sweep, search: Search, progress: bool | None) -> Iterator[Result]:
    tried: list[tuple[dict[str, Any], dict[str, float | None] | None]] = []
    while len(tried) < search.trials:
        changes = suggest(search, tried, len(tried))
        try:
            result = run(asked.member(changes, len(tried)), progress=progress)
        except ConfigError:  # two fields that do not go together: the search learns nothing from it
            tried.append((changes, {}))
            continue
        tried.append((changes, {name: getattr(result, name) for name in search.objectives}))
        yield result
