"""How a run prunes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import field_validator, model_validator
from torch import nn

from prune_core.errors import ConfigError
from prune_core.pruning.criteria import Criterion, Magnitude
from prune_core.pruning.distillation import Distillation
from prune_core.pruning.granularity import Granularity, Groups, Weights
from prune_core.pruning.granularity.base import owner
from prune_core.pruning.masks import Scope
from prune_core.pruning.prunable import prunable
from prune_core.pruning.regrowth import Regrowth
from prune_core.pruning.schedules import Cubic, Schedule
from prune_core.pruning.sensitivity import check_scan
from prune_core.pruning.together import check_together
from prune_core.registry import Registered
from prune_core.settings import Settings, setting

MOST_REWINDS = 100
Rewind = Literal["no", "weights", "learning_rate", "random"]


class Pruning(Settings):
    """Which weights a run removes, from where, and when."""

    criterion: Criterion = setting(Magnitude(), help="How much a weight matters; the lowest are removed first.")
    scope: Scope = setting(
        "global",
        help="Compare all weights with each other; or remove the same share of every layer ('layer'), or more of large "
        "layers than of small ones by a formula of their shape ('erk', Erdős–Rényi kernel), or of each layer as much "
        "as raises the loss equally, by a scan at the first removal ('sensitivity').",
    )
    granularity: Granularity = setting(Weights(), help="What goes at once: single weights, or groups of them.")
    schedule: Schedule = setting(Cubic(), help="How the share removed grows during training.")
    regrow: Regrowth | None = setting(
        None, help="Whether removed weights may come back in exchange for others; the density stays.", label="Regrowth"
    )
    distill: Distillation | None = setting(
        None,
        help="Learn from the answers of the network as it was before its first removal, beside the true classes.",
        label="Distillation",
    )
    rewind: Rewind = setting(
        "no",
        help="After every removal go back to the weights of an early step (lottery ticket), to its learning rate only, "
        "or to other random weights (the control).",
        advanced=True,
    )
    rewind_to: int = setting(
        0, ge=0, le=10_000_000, unit="steps", help="The early step that is gone back to.", advanced=True
    )
    recalibrate: bool = setting(
        True,
        help="Measure batch normalisation's statistics anew where nothing is trained after the last removal.",
        advanced=True,
    )
    keep_first: bool = setting(False, help="Leave the first layer dense.", advanced=True)
    keep_last: bool = setting(False, help="Leave the last layer, the classifier, dense.", advanced=True)
    keep_dense: tuple[str, ...] = setting(
        (), help="Layers to leave dense, by name; * stands for anything, as in 'layer1.*'.", advanced=True
    )
    layer_sparsity: tuple[str, ...] = setting(
        (),
        help="Another sparsity for single layers, as in 'fc1=0.95, conv*=0.5': reached when the schedule ends. Needs "
        "scope 'layer'; of two that fit a layer the later counts.",
        advanced=True,
    )

    @field_validator("layer_sparsity")
    @classmethod
    def _readable(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            _ratio(text)
        return texts

    @model_validator(mode="after")
    def _agree(self) -> Pruning:
        if self.layer_sparsity and self.scope != "layer":
            raise ConfigError(
                f"Pruning.layer_sparsity needs scope 'layer', where every layer has a share of its own, "
                f"got scope {self.scope!r}."
            )
        if self.scope == "sensitivity":
            check_scan(self.criterion)
        return self

    @property
    def parts(self) -> tuple[Registered | None, ...]:
        """What stands here by name."""
        return self.criterion, self.granularity, self.schedule, self.regrow

    def check(self, steps: int) -> None:
        """Raise ConfigError where this cannot be done in a training of ``steps`` updates."""
        schedule, name = self.schedule, type(self.criterion).__name__
        if self.criterion.before_training and schedule.end > 0:
            raise ConfigError(
                f"Pruning.schedule must end at step 0 (one shot), because {name} is defined before training; "
                f"got {schedule.end}."
            )
        if "training" in self.criterion.needs and schedule(0) > 0:
            raise ConfigError(
                f"Pruning.schedule must remove nothing at step 0, because {name} follows training first; "
                f"got {schedule(0):g}."
            )
        if self.layer_sparsity and schedule.final == 0:
            raise ConfigError(
                "Pruning.layer_sparsity needs a schedule that removes something, got sparsity 0 at its end; "
                "to remove from some layers only, add '*=0' in front."
            )
        self.check_axes()
        if schedule.final > self.granularity.most:
            raise ConfigError(
                f"Pruning.schedule must end at a sparsity of at most {self.granularity.most:g} with "
                f"{type(self.granularity).__name__}, got {schedule.final:g}."
            )
        if schedule.end > steps:
            raise ConfigError(f"Pruning.schedule must end by step {steps}, where training ends, got {schedule.end}.")
        if self.rewind == "no":
            return
        removals = [step for step in range(schedule.end + 1) if schedule.changes_at(step)]
        if len(removals) > MOST_REWINDS:
            raise ConfigError(
                f"Pruning.rewind goes back after every removal and needs a schedule with at most {MOST_REWINDS} of "
                f"them, got {len(removals)}; choose One shot, or rounds some steps apart."
            )
        if self.rewind_to > removals[0]:
            raise ConfigError(
                f"Pruning.rewind_to must be at most {removals[0]}, the step of the first removal, got {self.rewind_to}."
            )

    def check_axes(self) -> None:
        """Raise ConfigError where criterion, scope, granularity and regrowth do not go together at all."""
        check_together(self.criterion, self.scope, self.granularity)
        if self.regrow is not None and self.regrow.keeps_values:
            self._check_anew(type(self.regrow).__name__, type(self.criterion).__name__)
        if self.scope == "sensitivity" and self.regrow is not None and self.regrow.keeps_values:
            raise ConfigError(
                f"Pruning.scope must not be 'sensitivity' with {type(self.regrow).__name__}, which moves all weights "
                f"after the scan; got {self.scope!r}."
            )
        exchanges = self.regrow is not None and not self.regrow.keeps_values
        if exchanges and not isinstance(self.granularity, Weights):
            raise ConfigError(
                f"Pruning.granularity must be Weights with {type(self.regrow).__name__}, which lets single weights "
                f"come back; got {type(self.granularity).__name__}."
            )

    @property
    def depends_on_layers(self) -> bool:
        """Whether it says something of layers, so that it may not fit a model."""
        named = self.keep_dense or self.layer_sparsity or not isinstance(self.granularity, Weights)
        return bool(named) or type(self.criterion).can_score is not Criterion.can_score

    def groups(self, model: nn.Module) -> Groups | None:
        """How the weights of ``model`` that are not kept dense are cut; None where every weight stands for itself."""
        return self.granularity.groups(model, self._not_kept(model))

    def _check_anew(self, regrow: str, criterion: str) -> None:
        """Whether masks can be chosen anew all the time, among weights that keep their values."""
        why = ""
        if self.criterion.before_training:
            why = f"{criterion}, which is defined before training"
        elif "training" in self.criterion.needs:
            why = f"{criterion}, which follows weights only while they are there"
        elif self.rewind != "no":
            why = f"rewind {self.rewind!r}, which goes back after removals that last"
        if why:
            raise ConfigError(f"Pruning.regrow must be None or an exchange such as RigL with {why}; got {regrow}.")

    def select(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The parameters of ``model`` that this removes from: ``prunable`` without those that stay dense.

        Sparsity is a share of these. Layers in which ``granularity`` finds no groups stay dense too. Raises ConfigError
        where a name in ``keep_dense`` is no layer's, or nothing is left.
        """
        left = self._not_kept(model)
        groups = self.groups(model)
        if groups is not None:
            left = {name: left[name] for name in left if name in groups.names}
        if lost := [name for name in left if not self.criterion.can_score(owner(model, name))]:
            raise ConfigError(
                f"Pruning.criterion {type(self.criterion).__name__} cannot score {', '.join(lost)}; leave that dense "
                "(keep_dense), or choose another criterion."
            )
        if over := [s for s in self.ratios(left, self.schedule.final).values() if s > self.granularity.most]:
            raise ConfigError(
                f"Pruning.layer_sparsity must be at most {self.granularity.most:g} with "
                f"{type(self.granularity).__name__}, got {over[0]:g}."
            )
        return left

    def _not_kept(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """``prunable`` without the layers that are to stay dense."""
        found = prunable(model)
        names = list(found)
        dense = set(names[:1] * self.keep_first + names[-1:] * self.keep_last)
        for pattern in self.keep_dense:
            hits = _matches(pattern, names)
            if not hits:
                raise ConfigError(
                    f"Pruning.keep_dense names {pattern!r}, but no prunable weight is called so; "
                    f"there are: {', '.join(names) or 'none'}."
                )
            dense.update(hits)
        left = {name: w for name, w in found.items() if name not in dense}
        if not left:
            raise ConfigError(
                f"Pruning has nothing to remove: of {len(names)} prunable weights {len(dense)} are kept dense; "
                "use a model with linear, convolution, attention or recurrent layers, or keep fewer dense."
            )
        return left

    def ratios(self, names: Iterable[str], sparsity: float) -> dict[str, float]:
        """What the layers in ``layer_sparsity`` lose while the schedule, and so every other layer, is at ``sparsity``.

        Their share grows in step with the schedule and is reached at its end. Raises ConfigError where a name is no
        layer's.
        """
        there, final = list(names), self.schedule.final
        found: dict[str, float] = {}
        for text in self.layer_sparsity:
            pattern, share = _ratio(text)
            hits = _matches(pattern, there)
            if not hits:
                raise ConfigError(
                    f"Pruning.layer_sparsity names {pattern!r}, but no weight that is pruned is called so; "
                    f"there are: {', '.join(there)}."
                )
            found |= dict.fromkeys(hits, share * min(sparsity / final, 1.0) if final else 0.0)
        return found


def _matches(pattern: str, names: list[str]) -> list[str]:
    """Names of weights that ``pattern`` fits, as such or as names of their layers."""
    return [n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n.rpartition(".")[0], pattern)]


def _ratio(text: str) -> tuple[str, float]:
    """``fc1=0.95`` → ("fc1", 0.95)."""
    pattern, _, number = (part.strip() for part in text.partition("="))
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not pattern or not 0 <= share < 1:
        raise ConfigError(
            "Pruning.layer_sparsity must name layers with shares at least 0 and less than 1, as in 'fc1=0.95', "
            f"got {text!r}."
        )
    return pattern, share
