"""What a claim on trial is: a sentence, experiments that put it to the test, what is measured, and a rule.

The rule's thresholds are constants of the class, so that they are fixed before anybody looks: what a visitor may change
is on what the claim is tried, never what counts as an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import model_validator

from prune_core.claims.runs import COLUMNS, Run, row
from prune_core.data import DataSource, Digits
from prune_core.errors import ConfigError
from prune_core.experiment import Experiment, Training
from prune_core.models import ModelSource, SmallCNN
from prune_core.registry import Registered, Registry
from prune_core.settings import setting
from prune_core.sweeping import Points, Sweep

Word = Literal["holds", "does not hold", "depends", "not decided"]
Idea = Literal["baseline", "clipping", "pruning", "both"]
WORDS: tuple[Word, ...] = ("holds", "does not hold", "depends", "not decided")


@dataclass(frozen=True)
class Arm:
    """One side of a comparison, run once for every seed.

    ``changes`` are dotted fields of the claim's experiment; ``idea`` gives it its colour; ``at`` is where it stands on
    a curve's x axis, nan where it stands for itself.
    """

    name: str
    idea: Idea
    changes: Mapping[str, Any] = field(default_factory=dict)
    at: float = math.nan


@dataclass(frozen=True)
class Picture:
    """One picture of the measured figures.

    "curve" draws one measure over ``at``, a line an arm, with 95 % intervals over seeds; "dots" a row an arm (a row a
    measure where only one arm is left), as a ratio to the arm ``relative_to`` where that is given. ``interval`` is
    "wilson" for shares of seeds. ``line`` is the rule's threshold, drawn dashed. ``unit`` "%" writes shares. ``scale``
    is of the x axis; "left" is for shares removed: logarithmic in what is left, so that 98 and 99 % stand apart.
    """

    kind: Literal["curve", "dots"]
    measures: tuple[str, ...]
    title: str
    x: str
    y: str = ""
    unit: str = ""
    relative_to: str = ""
    leave_out: tuple[str, ...] = ()
    interval: Literal["student", "wilson"] = "student"
    line: float | None = None
    line_name: str = ""
    scale: Literal["linear", "log", "left"] = "linear"


@dataclass(frozen=True)
class Verdict:
    """``word`` says whether the claim holds on what was measured; ``sentence`` with which figures; ``on`` what it
    depends on, empty unless it does. "not decided" is said where the seeds do not suffice for an answer.
    """

    word: Word
    sentence: str
    on: str = ""

    def __post_init__(self) -> None:
        if self.word not in WORDS:
            raise ConfigError(f"A verdict is one of {', '.join(WORDS)}, got {self.word!r}.")
        if (self.word == "depends") != bool(self.on):
            raise ConfigError(f"Verdict.on says what it depends on, and nothing else; got {self.word!r}, {self.on!r}.")


class Claim(Registered):
    """A sentence about clipping or pruning, and how to find out whether it is true.

    A member gives ``statement``, ``rule`` (the rule in words, its thresholds from constants of the class), ``arms`` and
    ``judge``; ``measure`` where more is looked at than what every run records anyway, and ``pictures``.
    """

    registry: ClassVar[Registry[Claim]] = Registry("claim")
    statement: ClassVar[str] = ""
    """The sentence as it is heard."""
    rule: ClassVar[str] = ""
    """What counts as an answer, in one or two sentences, fixed before looking."""
    explanation: ClassVar[str] = ""
    """Why it comes out as it does: what to take home."""
    reads: ClassVar[tuple[str, ...]] = ("accuracy",)
    """What ``measure`` takes from what a run has recorded: names of ``UNITS``."""
    pictures: ClassVar[tuple[Picture, ...]] = ()
    looks: ClassVar[bool] = False
    """Whether ``measure`` looks at models or at the clock; then a worker does it when all runs are done."""
    measuring_s: ClassVar[float] = 0.0
    """About how long that takes."""
    share: ClassVar[bool] = True
    """Whether training that arms have in common is done once; not where the cost of training is what is measured."""

    data: DataSource = setting(Digits(), help="What is learnt.")
    model: ModelSource = setting(SmallCNN(), help="What learns it.")
    seeds: int = setting(5, ge=2, le=30, unit="seeds", help="Times everything is repeated, from other initial weights.")
    first_seed: int = setting(
        1000, ge=0, le=2**30, advanced=True,
        help="The first of them. The rules were tried out on seeds from 0 on, so a trial starts where nobody looked.",
    )  # fmt: skip
    steps: int = setting(200, ge=20, le=1_000_000, unit="steps", help="Updates of the weights in one training.")
    lr: float = setting(
        0.1, gt=0, le=1000, log=True, label="Learning rate", help="How far one update goes.", advanced=True
    )
    batch_size: int = setting(
        64, ge=1, le=65_536, unit="examples", help="Examples averaged in one update.", advanced=True
    )

    @model_validator(mode="after")
    def _can_be_run(self) -> Claim:
        if type(self).arms is not Claim.arms:
            _ = self.base
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, readable back by ``from_dict``. Raises ConfigError where it or a part has no name."""
        if loose := [part.registered_as for part in (self, self.data, self.model) if not part.registered]:
            raise ConfigError(
                f"{', '.join(loose)} cannot be written down because no name stands for it; "
                "register it with pc.register(name, label=...)."
            )
        return dict(self.model_dump(mode="json"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Claim:
        """The claim that ``to_dict`` wrote. Raises UnknownNameError for one that is not registered here."""
        rest = {name: value for name, value in values.items() if name != "kind"}
        found: Claim = Claim.registry[values.get("kind", "")].cls(**rest)
        return found

    # --- the experiment -----------------------------------------------------------------------------------------------
    @property
    def base(self) -> Experiment:
        """What all arms have in common. Raises ConfigError where data and model do not fit."""
        train = Training(steps=self.steps, batch_size=self.batch_size, lr=self.lr)
        return Experiment(data=self.data, model=self.model, train=train)

    def arms(self) -> list[Arm]:
        """The sides of the comparison, the baseline first."""
        raise NotImplementedError

    def experiments(self) -> Sweep:
        """Every arm at every seed, seed by seed, so that a machine that slows down slows all arms alike.

        Raises ConfigError where two arms have one name and place.
        """
        places = [(arm.name, arm.at) for arm in self.arms()]
        if len({(name, str(at)) for name, at in places}) < len(places):
            raise ConfigError(f"{type(self).__name__}.arms must differ in name or place, got {places}.")
        rows = [{**arm.changes, "train.seed": seed} for arm, seed in self.places()]
        return Sweep(experiment=self.base, space=Points(points=tuple(rows)), share=self.share)

    def places(self) -> list[tuple[Arm, int]]:
        """Arm and seed of each member of ``experiments``, in their order."""
        return [(arm, self.first_seed + i) for i in range(self.seeds) for arm in self.arms()]

    # --- what is measured ---------------------------------------------------------------------------------------------
    def measure(self, runs: Sequence[Run]) -> pd.DataFrame:
        """The figures of finished ``runs``, a row a figure: columns COLUMNS. By default what ``reads`` names."""
        return self.recorded(runs, self.reads)

    def recorded(self, runs: Sequence[Run], names: Sequence[str]) -> pd.DataFrame:
        """What runs have recorded of themselves, by the names of ``UNITS``."""
        rows = [row(run, name, run.recorded(name)) for run in runs for name in names]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    # --- the answer ---------------------------------------------------------------------------------------------------
    def judge(self, table: pd.DataFrame) -> Verdict:
        """The verdict on measured figures, by ``rule``; a pure function of them. Raises ConfigError where some lack."""
        raise NotImplementedError

    def formula(self, table: pd.DataFrame) -> str:
        """The formula behind it with the measured numbers filled in, as LaTeX; empty where there is none."""
        return ""
