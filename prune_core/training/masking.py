"""The masks of one run: made by the schedule, applied every step, and what they removed remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import numpy as np
import torch
from torch import Tensor

from prune_core.data import Dataset
from prune_core.events import WEIGHT_BINS, MaskEvent
from prune_core.experiment import Experiment
from prune_core.pruning import Masks, Pruning, apply_masks_, make_masks, prunable
from prune_core.pruning.choose import choose_masks, score
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.masks import count_kept
from prune_core.pruning.regrowth import Exchange, exchange
from prune_core.pruning.sensitivity import scan_curves
from prune_core.pruning.tolerance import LossCurve
from prune_core.seeding import generator
from prune_core.training.binning import bin_counts, chosen, edges_of
from prune_core.training.flat import FlatModel


class RunMasks:
    """Masks over the prunable weights of a flat model. A removed weight never returns, but for regrowth.

    ``before_first`` is called right before the first weights are removed, those of a start checkpoint included.
    """

    def __init__(
        self, experiment: Experiment, flat: FlatModel, data: Dataset, before_first: Callable[[], None]
    ) -> None:
        self._flat, self._data, self._before_first = flat, data, before_first
        self._seed = experiment.train.seed
        self.pruning: Pruning | None = experiment.prune
        found = prunable(flat.model) if self.pruning is None else self.pruning.select(flat.model)
        self.weights = {name: w for name, w in found.items() if name in flat.names}
        self.masks: dict[str, torch.Tensor] = {}
        self.kept: dict[str, int] = {}  # weights left, by layer
        self.sparsity = 0.0
        self.changed_at: int | None = None  # step after which weights were last removed
        self.thresholds: dict[str, float] = {}
        self._keep: torch.Tensor | None = None  # (n,) float 0/1 over all parameters: one multiplication masks all
        self.edges = {name: edges_of(w.detach()) for name, w in self.weights.items()}
        self.removed = {name: torch.zeros(WEIGHT_BINS, dtype=torch.int32) for name in self.weights}
        follows = self.pruning is not None and "training" in self.pruning.criterion.needs
        self.groups = self.pruning.groups(flat.model) if self.pruning is not None else None
        self._regrow = self.pruning.regrow if self.pruning is not None else None
        self._exchange = self._regrow if isinstance(self._regrow, Exchange) else None
        self._through = self._regrow is not None and self._regrow.keeps_values
        self._floor = 0.0  # what a start checkpoint has removed: with other weights it may be, but not less
        if self._through:
            flat.separate_()
        self._steps = experiment.train.steps
        self._unmasked: Tensor | None = None  # (n,) the gradient before masking, at a step after which weights grow
        self._lost = torch.zeros_like(flat.weights) if self._exchange else None  # (n,) values of what went
        self._movement = torch.zeros_like(flat.weights) if follows else None  # (n,) minus the sum of w·g so far
        self._curves: dict[str, LossCurve] | None = None  # of the scan at the first removal (scope "sensitivity")

    @property
    def active(self) -> bool:
        """Whether anything was removed yet."""
        return self._keep is not None

    @property
    def keep(self) -> torch.Tensor | None:
        """(n,) over all parameters, 0 where a gradient does not belong to the update, because the weight was removed,
        and else 1; None where all do."""
        return None if self._through else self._keep

    def target_at(self, step: int) -> float | None:
        """The sparsity the schedule wants after ``step`` updates if masks are chosen there, else None."""
        schedule = self.pruning.schedule if self.pruning else None
        if schedule is None:
            return None
        anew = self._through and self._regrow is not None and self._regrow.is_due(step, self._steps)
        return schedule(step) if anew or schedule.changes_at(step) else None

    def retarget(self, final: float) -> None:
        """The schedule ends at ``final`` from now on."""
        assert self.pruning is not None, "checked by check_intervention"
        self.pruning = self.pruning.replace(schedule=self.pruning.schedule.with_final(final))

    @torch.no_grad()
    def prune_to_(self, target: float, step: int) -> MaskEvent | None:
        """Remove more weights until ``target`` is reached; None where that much is already gone.

        Where removed weights keep their values, all masks are chosen anew; then None where they stay as they are.
        """
        assert self.pruning is not None, "only a run that prunes has targets"
        if self._through:
            return self._choose_anew_(max(target, self._floor), step)
        if self._reached(target):
            return None
        weights = {name: w.detach() for name, w in self.weights.items()}
        look = partial(self._look, weights, step)
        if self.pruning.scope == "sensitivity" and self._curves is None:
            at = look(self.masks)
            self._curves = scan_curves(at, score(self.pruning.criterion, at, self.groups), self.groups)
        masks = choose_masks(self.pruning.criterion, target, self._select, look, self.masks, self.groups)
        if all(count_kept(mask) == self.kept.get(name, mask.numel()) for name, mask in masks.items()):
            return None  # one group more would be further away than none
        self.thresholds = {}
        for name, w in weights.items():
            before = self.masks.get(name)
            gone = ~masks[name] if before is None else before ^ masks[name]  # masks only ever shrink here
            values = self._lose(name, w, gone)
            if values.numel() and self.pruning.criterion.by_size and self.groups is None:
                self.thresholds[name] = float(values.abs().max())
        self._set(masks)
        self.changed_at = step
        return MaskEvent(step, self.sparsity, target, dict(self.kept), dict(self.thresholds))

    def _choose_anew_(self, target: float, step: int) -> MaskEvent | None:
        assert self.pruning is not None, "only a run that prunes has targets"
        if not target and not self.active:
            return None
        before, weights = self.masks, {name: self._dense(name) for name in self.weights}
        look = partial(self._look, weights, step)  # dense weights, in a network that uses the kept ones
        masks = choose_masks(self.pruning.criterion, target, self._select, look, groups=self.groups)
        self.thresholds = {}
        if self.pruning.criterion.by_size and self.groups is None:
            gone = {name: chosen(w, ~masks[name]) for name, w in weights.items()}
            self.thresholds = {name: float(values.abs().max()) for name, values in gone.items() if values.numel()}
        if before.keys() == masks.keys() and all(torch.equal(before[n], mask) for n, mask in masks.items()):
            return None
        returned = sum(count_kept(masks[name] & ~mask) for name, mask in before.items())
        sparsity = self.sparsity
        self._set(masks)
        if self.sparsity > sparsity:
            self.changed_at = step
        return MaskEvent(step, self.sparsity, target, dict(self.kept), dict(self.thresholds), returned)

    def _dense(self, name: str) -> Tensor:
        """What the optimizer moves of a layer, where removed weights keep their values."""
        return self._flat.moved.detach()[self._flat.span(name)].view(self.weights[name].shape)

    def removed_counts(self, name: str) -> np.ndarray:
        """Removed weights of a layer (80,) by value: the one they had when they went or, if they keep one, have now."""
        if self._through and name in self.masks:
            return bin_counts(chosen(self._dense(name), ~self.masks[name]), *self.edges[name], WEIGHT_BINS)
        return self.removed[name].numpy().copy()

    def see_gradients_(self, step: int) -> None:
        """Keep the gradient of all weights, removed ones included, where regrowth looks at it after this step."""
        if self._exchange is not None and self._exchange.sees_gradients and self._due(step):
            self._unmasked = self._flat.gradients.values.clone()

    @torch.no_grad()
    def exchange_(self, step: int) -> tuple[MaskEvent, Tensor] | None:
        """Drop and grow after ``step`` updates; also says at which places (n,) masks changed. None where none did."""
        if self._exchange is None or not self.active or not (share := self._due(step)):
            return None
        weights = {name: w.detach() for name, w in self.weights.items()}
        draw, regrow, dense = generator(self._seed, "masks", step, 1), self._exchange, self._unmasked

        def grow(name: str) -> Tensor:
            there = None if dense is None else dense[self._flat.span(name)].view(weights[name].shape)
            return regrow.grow(weights[name], there, draw)

        masks = exchange(weights, self.masks, share, grow)
        moved = torch.zeros_like(self._flat.weights, dtype=torch.bool)
        returned = 0
        for name, w in weights.items():
            before = self.masks[name]
            returned += self._regain(name, masks[name] & ~before)
            self._lose(name, w, before & ~masks[name])
            moved[self._flat.span(name)] = (before ^ masks[name]).reshape(-1)
        self._unmasked, self.thresholds = None, {}
        self._set(masks)  # what grows was 0 and stays so
        return MaskEvent(step, self.sparsity, self.sparsity, dict(self.kept), {}, returned), moved

    def _due(self, step: int) -> float:
        return self._exchange.share_at(step, self._steps) if self._exchange is not None else 0.0

    def _lose(self, name: str, weight: Tensor, gone: Tensor) -> Tensor:
        """Count the weights that go, at the values that they have now (k,)."""
        values = chosen(weight, gone)
        if values.numel():
            self.removed[name] += torch.from_numpy(bin_counts(values, *self.edges[name], WEIGHT_BINS))
            if self._lost is not None:
                self._lost[self._flat.span(name)][gone.reshape(-1)] = values
        return values

    def _regain(self, name: str, come: Tensor) -> int:
        """Count the weights that come back no more as removed; returns how many they are."""
        assert self._lost is not None, "kept where there is regrowth"
        values = chosen(self._lost[self._flat.span(name)].view(come.shape), come)
        if values.numel():
            self.removed[name] -= torch.from_numpy(bin_counts(values, *self.edges[name], WEIGHT_BINS))
        return values.numel()

    def _select(self, scores: Mapping[str, Tensor], target: float, keep: Mapping[str, Tensor] | None) -> Masks:
        assert self.pruning is not None, "only a run that prunes selects"
        ratios = self.pruning.ratios(self.weights, target)
        return make_masks(
            scores, target, self.pruning.scope, keep=keep, ratios=ratios, groups=self.groups, curves=self._curves
        )

    def _reached(self, target: float) -> bool:
        """Whether as much as ``target`` asks for is gone."""
        assert self.pruning is not None, "only a run that prunes has targets"
        if not self.pruning.layer_sparsity:
            return target <= self.sparsity
        # with ratios of their own, layers may be behind a target that the whole has passed
        sizes = {name: w.numel() for name, w in self.weights.items()}
        ratios = dict.fromkeys(sizes, target) | self.pruning.ratios(sizes, target)
        return all(round(ratios[name] * n) <= n - self.kept.get(name, n) for name, n in sizes.items())

    def _look(self, weights: Mapping[str, Tensor], step: int, masks: Mapping[str, Tensor]) -> Evidence:
        """What the criterion may look at after ``step`` updates."""
        draw = generator(self._seed, "masks", step)
        movement = None
        if self._movement is not None:
            movement = {name: self._movement[self._flat.span(name)].view(w.shape) for name, w in weights.items()}
        return Evidence(
            weights, model=self._flat.model, masks=masks, generator=draw,
            batches=lambda n: self._data.drawn(n, generator(self._seed, "scoring", step)),  # shifts no other draw
            movement=movement, shape=self._data.info.shape,
        )  # fmt: skip

    @torch.no_grad()
    def follow_(self) -> None:
        """Note where the gradient of this step moves the weights, where the criterion wants to know."""
        if self._movement is not None:
            # a step whose half-precision gradient overflowed is not made: it moves nothing
            gradients = self._flat.gradients.values.nan_to_num(0.0, 0.0, 0.0)
            self._movement.addcmul_(self._flat.weights, gradients, value=-1)

    def mask_gradients_(self) -> None:
        """Zero the gradient of removed weights, so that it counts in no norm and moves no state."""
        if (keep := self.keep) is not None:
            self._flat.gradients.values.mul_(keep)

    def mask_weights_(self) -> None:
        """Zero removed weights again: momentum and weight decay would bring them back."""
        self._flat.mask_(self._keep)

    @torch.no_grad()
    def tidy_(self) -> None:
        """Write +0.0 where weights are removed: -0.0 is equal to it, but makes a compressed file a third larger."""
        apply_masks_({name: self.weights[name] for name in self.masks}, self.masks)

    def state_dict(self) -> dict[str, object]:
        """Everything that ``load_state_dict`` needs, as plain tensors and numbers."""
        return {
            "masks": dict(self.masks),
            "edges": dict(self.edges),
            "removed": dict(self.removed),
            "thresholds": dict(self.thresholds),
            "movement": self._movement,
            "lost": self._lost,
            "dense": self._flat.moved.detach() if self._through else None,
            "changed_at": self.changed_at,
            "curves": {name: asdict(curve) for name, curve in (self._curves or {}).items()},
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from ``state_dict``."""
        masks: dict[str, torch.Tensor] = state["masks"]  # type: ignore[assignment]
        self.edges = {k: tuple(v) for k, v in state["edges"].items()}  # type: ignore[attr-defined]
        self.removed = dict(state["removed"])  # type: ignore[call-overload]
        self.thresholds = dict(state["thresholds"])  # type: ignore[call-overload]
        if self._movement is not None:
            self._movement.copy_(state["movement"])  # type: ignore[arg-type]
        if self._lost is not None:
            self._lost.copy_(state["lost"])  # type: ignore[arg-type]
        if self._through:
            self._flat.moved.detach().copy_(state["dense"])  # type: ignore[arg-type]
        curves: dict[str, dict[str, tuple[float, ...]]] = state.get("curves", {})  # type: ignore[assignment]
        self._curves = {name: LossCurve(**curve) for name, curve in curves.items()} or None  # type: ignore[arg-type]
        if masks:
            self._take(masks)
        self.changed_at = state["changed_at"]  # type: ignore[assignment]

    def start_from(self, masks: dict[str, torch.Tensor]) -> None:
        """Begin with the masks of an earlier run."""
        self._take(masks)
        self._floor = self.sparsity

    def _take(self, masks: dict[str, torch.Tensor]) -> None:
        device = self._flat.weights.device
        self._set({name: masks[name].to(device) for name in self.weights if name in masks})

    @torch.no_grad()
    def _set(self, masks: dict[str, torch.Tensor]) -> None:
        self.masks = masks
        self.kept = {name: count_kept(mask) for name, mask in masks.items()}
        total = sum(mask.numel() for mask in masks.values())
        self.sparsity = (total - sum(self.kept.values())) / total if total else 0.0
        if self._keep is None:
            self._before_first()
            self._keep = torch.ones_like(self._flat.weights)
        for name, mask in masks.items():
            self._keep[self._flat.span(name)] = mask.reshape(-1)
        self.mask_weights_()
