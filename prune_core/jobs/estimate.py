"""What a sweep will cost, before it begins: counted in steps, timed on the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distributed import Client

from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.sweeping import Search, Sweep
from prune_core.tracking.sweeps import member_rows
from prune_core.training import StepTime, time_steps

KINDS = 6  # kinds of runs that are timed; more take the mean of these
TIMEOUT_S = 120.0  # data may have to be downloaded first
RUN_S = 0.15  # what a run in a worker pays beside its steps: the queue, the checkpoint, what its model costs


@dataclass(frozen=True)
class Estimate:
    """What a sweep is going to take, at the pace of its first steps on one worker.

    ``reused`` members have a run in the store already, ``shared`` pieces of training are common to several, which
    spares ``steps_spared``. ``seconds`` is the time until all is done with ``workers`` at work on nothing else.
    """

    members: int
    reused: int
    shared: int
    steps: int
    steps_spared: int
    seconds: float
    workers: int
    timed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


Timer = Callable[[list[Experiment]], list[StepTime]]


def estimate(sweep: Sweep, known: Callable[[Iterable[str]], set[str]], timer: Timer, workers: int) -> Estimate:
    """Validate every member of ``sweep``, see which are ``known`` by digest, and time one of each kind.

    Raises ConfigError naming the first member that cannot be run, LabError where a timed one cannot start.
    """
    if isinstance(sweep.space, Search):
        seconds = timer([sweep.experiment])[0].of(sweep.experiment) + RUN_S
        steps = sweep.total * sweep.experiment.train.steps
        return Estimate(sweep.total, 0, 0, steps, 0, sweep.total * seconds / min(workers, sweep.total), workers, 1)
    found = {member.place: member for member in sweep.members()}
    there = known([member.experiment.digest for member in found.values()])
    rows = member_rows(sweep, lambda _: there)
    spared = {row["place"]: row["until"] for row in rows if row["until"] is not None}
    todo: dict[str, tuple[Experiment, int]] = {}  # by digest: equal members are one run
    for row in rows:
        if row["place"] >= 0 and row["digest"] not in there:
            experiment = found[row["place"]].experiment
            todo[row["digest"]] = experiment, experiment.train.steps - spared.get(row["trunk"], 0)
    trunks = {m.trunk.experiment.digest: m.trunk.experiment for m in found.values() if m.trunk is not None}
    shared = {place: (trunks[row["digest"]], row["until"]) for row in rows if (place := row["place"]) in spared}
    kinds: dict[tuple[Any, ...], Experiment] = {}
    for experiment, _ in (*todo.values(), *shared.values()):
        kinds.setdefault(_kind(experiment), experiment)
    timed = dict(zip(list(kinds)[:KINDS], timer(list(kinds.values())[:KINDS]), strict=True)) if kinds else {}
    pieces = [*todo.values(), *shared.values()]
    steps = sum(made for _, made in pieces)
    asked = sum(experiment.train.steps for experiment, _ in todo.values())
    seconds = sum(RUN_S + _seconds(timed, experiment, made) for experiment, made in pieces)
    at_once = max(1, min(workers, len(todo)))
    reused = sum(row["digest"] in there for row in rows if row["place"] >= 0)
    return Estimate(
        len(found), reused, len(spared), steps, asked - steps, seconds / at_once, workers, len(timed)
    )  # fmt: skip


def first_steps(client: Client, texts: list[str]) -> list[StepTime]:
    """Time experiments given as JSON in a worker, one kept for previews where there is one. Raises LabError."""
    workers = client.scheduler_info(n_workers=-1)["workers"].items()
    free = [address for address, worker in workers if "preview" in worker.get("resources", {})]
    future = client.submit(time_first_steps, texts, pure=False, retries=0, workers=free or None, priority=10)
    found: list[StepTime] | LabError = future.result(TIMEOUT_S)
    if isinstance(found, LabError):
        raise found
    return found


def time_first_steps(texts: list[str]) -> list[StepTime] | LabError:
    """Time experiments given as JSON; what is wrong with one comes back. Called in a worker."""
    try:
        return [time_steps(Experiment.from_json(text)) for text in texts]
    except LabError as error:
        return error


def _seconds(timed: Mapping[tuple[Any, ...], StepTime], experiment: Experiment, steps: int) -> float:
    if (own := timed.get(_kind(experiment))) is not None:
        return own.of(experiment, steps)
    return sum(one.of(experiment, steps) for one in timed.values()) / len(timed)


def _kind(experiment: Experiment) -> tuple[Any, ...]:
    """What the time of a step depends on."""
    train, clip = experiment.train, experiment.clip
    return (
        experiment.data.model_dump_json(), experiment.model.model_dump_json(), clip and clip.registered_as,
        train.batch_size, train.precision, train.device, train.optimizer, train.eval_samples,
    )  # fmt: skip
