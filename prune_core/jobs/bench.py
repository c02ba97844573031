"""The preview worker's side: models kept in memory, pruned and measured again and again."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prune_core.data import Dataset
from prune_core.data.cache import Cache
from prune_core.errors import ConfigError, LabError, UnknownNameError
from prune_core.jobs.question import Cost, LayerPicture, LayerView, PreviewReply, PreviewRequest
from prune_core.jobs.scored import Plan, Scored
from prune_core.jobs.shelf import Shelf
from prune_core.jobs.slices import SlicedScan
from prune_core.jobs.worker import store
from prune_core.measuring import MacCount, macs
from prune_core.probing import LayerTiles, layer_tiles, pruned
from prune_core.pruning import Criterion, Granularity, Masks, Weights, prunable
from prune_core.pruning.evidence import Evidence
from prune_core.pruning.granularity.base import owner
from prune_core.pruning.index import Histogram
from prune_core.pruning.quiet import normalised
from prune_core.pruning.sensitivity import check_scan
from prune_core.pruning.tolerance import LossCurve
from prune_core.seeding import generator
from prune_core.tracking import files
from prune_core.training import Evaluation, evaluate, load_checkpoint, restore_model
from prune_core.training.sensitivity import check_once, drawn

WEIGHTS = 200_000_000  # of all models in memory together: 0.8 GB, and twice that for their indices
MANY = 5_000_000  # weights of a model up to which the scores of several criteria stay in memory, 40 MB each
REPLIES = 512
PROBE = 256  # test examples that a first look at the speed takes
PICTURE = 64  # rows and columns of a mask picture, at most
IMAGENET = ((3, 224, 224), 1000)  # what a model without data is built for

log = logging.getLogger("prune_core.jobs")


def preview(store_url: str, request: PreviewRequest, patience_s: float = math.inf) -> PreviewReply | LabError:
    """Answer ``request``; what is wrong with it comes back as a LabError, which is a sentence and no failure.

    So does a ScanningError where layers have to be scanned first and that takes over ``patience_s``: ask again.
    """
    began = time.perf_counter()
    try:
        key, model = loaded(store_url, request)
        return _replies.get((key, request.model_dump_json()), lambda: model.answer(request, began, patience_s))
    except LabError as error:
        return error
    except Exception as error:
        log.exception("Preview")
        return ConfigError(f"This model cannot be previewed: {type(error).__name__}: {str(error)[:200]}")


class Loaded:
    """A model, its unpruned weights and its test data. ``keep`` holds what a run has removed already."""

    def __init__(self, store_url: str, request: PreviewRequest) -> None:
        self.step: int | None = None
        shape: tuple[int, ...]
        self.keep: Masks = {}
        self.data: Dataset | None = None
        if request.run:
            experiment = store(store_url).run(request.run).experiment
            path = files.checkpoint(request.run)
            self.model, self.keep = restore_model(experiment, path)
            self.step = load_checkpoint(path).step
            self.data = experiment.data.load(seed=experiment.train.seed)
            shape = self.data.info.shape
            prune = experiment.prune.replace(granularity=Weights()) if experiment.prune else None
            found = prune.select(self.model) if prune else prunable(self.model)
        else:
            assert request.model is not None, "checked by PreviewRequest"
            shape, classes = IMAGENET
            if request.data is not None:
                self.data = request.data.load(seed=request.seed)
                shape, classes = self.data.info.shape, self.data.info.classes
            self.model = request.model.build(shape, classes, request.seed)
            found = prunable(self.model)
        if not found:
            raise ConfigError(f"{type(self.model).__name__} has no prunable weights.")
        self.model.eval().requires_grad_(False)
        self.weights = {name: p.data for name, p in found.items()}
        # only measuring changes weights, and it must put them back
        self._unpruned = {name: w.clone() for name, w in self.weights.items()} if self.data is not None else {}
        self.size = sum(w.numel() for w in self.weights.values())
        self.gone = {name: int((~self.keep[name]).sum()) if name in self.keep else 0 for name in self.weights}
        self._scores: Cache[Scored] = Cache(6 if self.size <= MANY else 2)  # five are compared, and the slider's
        self._scans: Cache[SlicedScan] = Cache(2)
        self._bytes = sum(t.numel() * t.element_size() for t in self.model.state_dict().values())
        self._macs = self._count(shape)
        self._normalised = bool(normalised(self.model))
        self._samples: dict[float, int] = {}
        self._dense: dict[int, Evaluation] = {}

    def answer(self, request: PreviewRequest, began: float, patience_s: float) -> PreviewReply:
        """Look up what goes, make masks only where they are looked at or measured."""
        plan = self.plan(request, patience_s)
        scored, removed, found, sparsity = plan.scored, plan.removed, plan.thresholds, plan.sparsity
        index, weights = scored.index, {name: self.weights[name] for name in scored.scores}
        layer = self._layer(request, scored)
        shown = found.values() if request.scope == "global" else [found[layer]]
        layers = tuple(
            LayerView(n, tuple(w.shape), w.numel(), w.numel() - removed[n], found[n]) for n, w in weights.items()
        )
        accuracy = dense = None
        if request.accuracy and self.data is not None:
            n = self._sample(request.budget_s)
            dense = self._dense[n]
            more = any(k > self.gone[n] for n, k in removed.items())
            anew = request.seed if request.recalibrate else None
            accuracy = self._measure(scored.masks(removed, sparsity, request.scope), n, anew) if more else dense
        picture = None
        if request.picture:
            mask = scored.masks(removed, sparsity, request.scope, layer)[layer]
            picture = self._picture(layer, mask, index.histogram(layer))
            if request.tiles:
                picture = replace(picture, tiles=self._tiles(layer, mask, request.granularity))
        return PreviewReply(
            sparsity=sum(removed.values()) / index.total,
            threshold=max((t for t in shown if t is not None), default=None),
            largest=index.largest("" if request.scope == "global" else layer),
            layers=layers,
            picture=picture,
            cost=self._cost(removed),
            accuracy=accuracy,
            dense=dense,
            normalised=self._normalised,
            step=self.step,
            uncut=scored.groups.dense if scored.groups is not None else (),
            seconds=time.perf_counter() - began,
        )

    def plan(self, request: PreviewRequest, patience_s: float = math.inf) -> Plan:
        """How many weights of each layer go, and up to which score."""
        scored = self.scored(request.criterion, request.granularity, request.seed)
        index, layer = scored.index, self._layer(request, scored)
        if request.scope == "sensitivity" and index.curves is None:
            index.curves = self._scan(request, scored, patience_s)
        sparsity = request.sparsity or 0.0
        if request.threshold is not None:
            sparsity = index.sparsity_for(request.threshold, request.scope, layer)
        sparsity = min(sparsity, scored.most)
        removed, thresholds = index.removed_at(sparsity, request.scope), index.thresholds_at(sparsity, request.scope)
        for name, share in request.ratios(index.sizes).items():
            removed[name] = index.removed_at(share, "layer")[name]
            thresholds[name] = index.thresholds_at(share, "layer")[name]
        # what a run has removed stays removed, however far to the left the slider is
        removed = {n: max(k, self.gone[n]) for n, k in removed.items()}
        # -inf: nothing but what a run had removed before
        found = {n: t if removed[n] and math.isfinite(t) else None for n, t in thresholds.items()}
        return Plan(scored, sparsity, removed, found)

    def masks(self, request: PreviewRequest) -> Masks:
        """The masks of the model pruned as ``request`` says."""
        plan = self.plan(request)
        return plan.scored.masks(plan.removed, plan.sparsity, request.scope)

    def _layer(self, request: PreviewRequest, scored: Scored) -> str:
        """The layer to look at: the one asked for, or the largest."""
        layer = request.layer or max(scored.scores, key=lambda name: self.weights[name].numel())
        if layer not in scored.scores:
            raise UnknownNameError("prunable layer", layer, scored.scores)
        return layer

    def evidence(self, weights: Mapping[str, Tensor], seed: int) -> Evidence:
        """What criteria look at."""
        batches = None if self.data is None else partial(drawn, self.data, seed)
        draw = generator(seed, "masks")
        return Evidence(weights, model=self.model, masks=self.keep, generator=draw, batches=batches)

    def scored(self, criterion: Criterion, granularity: Granularity, seed: int) -> Scored:
        """The scores of the model as it is."""

        def make() -> Scored:
            groups = granularity.groups(self.model, self.weights)
            weights = self.weights if groups is None else {name: self.weights[name] for name in groups.names}
            return Scored.of(criterion, self.evidence(weights, seed), groups)

        check_once(criterion)
        return self._scores.get((criterion.model_dump_json(), granularity.model_dump_json(), seed), make)

    def _scan(self, request: PreviewRequest, scored: Scored, patience_s: float) -> dict[str, LossCurve]:
        """What each layer costs in loss, on training examples; goes on where the last question's patience ended."""
        if self.data is None:
            raise ConfigError("Scope 'sensitivity' measures the loss on training examples: this model has no data.")
        check_scan(request.criterion)
        weights = {name: self.weights[name] for name in scored.scores}
        batches = partial(drawn, self.data, request.seed)
        at = Evidence(weights, model=self.model, masks=self.keep, batches=batches)
        key = request.criterion.model_dump_json(), request.granularity.model_dump_json(), request.seed
        return self._scans.get(key, lambda: SlicedScan(at, scored.scores, scored.groups)).advance(patience_s)

    def _picture(self, name: str, mask: Tensor, everything: Histogram) -> LayerPicture:
        low, high = float(everything.edges[0]), float(everything.edges[-1])
        weight, bins = self.weights[name], len(everything.counts)
        # what a run had removed lies at 0 and would hide all the rest
        there = torch.histc(weight[self.keep[name]] if name in self.keep else weight, bins, low, high)
        kept = torch.histc(weight[mask], bins, low, high)
        table = mask.reshape(mask.shape[0], -1).float()
        size = min(PICTURE, table.shape[0]), min(PICTURE, table.shape[1])
        share = F.adaptive_avg_pool2d(table[None], size)[0]
        return LayerPicture(
            name,
            (low, high),
            kept.to(torch.int32).numpy(),
            (there - kept).to(torch.int32).numpy(),
            (share * 255).round().to(torch.uint8).numpy(),
        )

    def _tiles(self, name: str, mask: Tensor, granularity: Granularity) -> LayerTiles:
        along = 0 if getattr(owner(self.model, name), "transposed", False) else 1
        return layer_tiles(name, self.weights[name], mask, granularity, along=along)

    # --- measuring ----------------------------------------------------------------------------------------------------
    def _count(self, shape: tuple[int, ...]) -> MacCount | None:
        try:
            return macs(self.model, shape)
        except (RuntimeError, ValueError, TypeError):  # a model that wants more than one example, say
            log.info("MACs of %s cannot be counted", type(self.model).__name__, exc_info=True)
            return None

    def _cost(self, removed: Mapping[str, int]) -> Cost:
        """From counts alone: each entry of a weight takes part in equally many multiplications."""
        weights = {n: self.weights[n] for n in removed}
        saved = sum(removed[n] * w.element_size() - math.ceil(w.numel() / 8) for n, w in weights.items())
        if self._macs is None:
            return Cost(self._bytes, self._bytes - saved, None, None)
        by_weight = self._macs.weights
        spared = sum(by_weight.get(n, 0) * k / max(self.weights[n].numel(), 1) for n, k in removed.items())
        return Cost(self._bytes, self._bytes - saved, self._macs.dense, round(self._macs.dense - spared))

    def _measure(self, masks: Masks, n: int, anew: int | None) -> Evaluation:
        """Accuracy under ``masks``; with ``anew`` as seed, batch normalisation is measured anew first."""
        assert self.data is not None
        with self.pruned(masks, anew):
            return evaluate(self.model, self.data, limit=n)

    def pruned(self, masks: Masks, anew: int | None) -> AbstractContextManager[nn.Module]:
        """The model under ``masks`` for a moment."""
        return pruned(self.model, self.weights, masks, self.data, anew, self._unpruned)

    def _sample(self, budget_s: float) -> int:
        """How many test examples fit in the budget: decided once, so that two answers are of the same examples."""
        assert self.data is not None
        if budget_s not in self._samples:
            of = self.data.info.test
            n = min(PROBE, of)
            evaluate(self.model, self.data, limit=n)  # the first one also warms up
            seconds = math.inf  # the best of three: a machine that is busy for a moment must not shrink the sample
            for _ in range(3):
                began = time.perf_counter()
                evaluate(self.model, self.data, limit=n)
                seconds = min(seconds, time.perf_counter() - began)
                if seconds > budget_s:
                    break
            fit = int(n * budget_s / seconds)
            while 2 * n <= fit:
                n *= 2
            self._samples[budget_s] = of if fit >= of else min(n, of)
        n = self._samples[budget_s]
        if n not in self._dense:
            self._dense[n] = evaluate(self.model, self.data, limit=n)
        return n


def loaded(store_url: str, request: PreviewRequest) -> tuple[Hashable, Loaded]:
    """What names the weights that are asked about, and their model, from memory where it is there."""
    key = source_key(store_url, request)
    return key, _models.get(key, lambda: Loaded(store_url, request))


_models: Shelf[Loaded] = Shelf(WEIGHTS)
_replies: Cache[PreviewReply] = Cache(REPLIES)


def source_key(store_url: str, request: PreviewRequest) -> Hashable:
    """What decides the weights; a run's checkpoint is another source every time it is written."""
    if not request.run:
        assert request.model is not None, "checked by PreviewRequest"
        data = request.data.model_dump_json() if request.data is not None else ""
        return request.model.model_dump_json(), data, request.seed
    stamp = files.stamp(request.run)
    if stamp is None:
        store(store_url).run(request.run)  # says so if there is no such run
        raise ConfigError(f"Run {request.run} has no checkpoint yet; wait until it has trained for some seconds.")
    return store_url, request.run, stamp
