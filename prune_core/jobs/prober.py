"""The preview worker's side of probes: each is one short task, so that sliders are answered in between."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from prune_core.data import Dataset
from prune_core.data.cache import Cache
from prune_core.errors import ConfigError, LabError
from prune_core.jobs.bench import MANY, Loaded, loaded, preview
from prune_core.jobs.probes import (
    AgreementProbe,
    AgreementReply,
    AnswersProbe,
    AnswersReply,
    ExamplesProbe,
    ExamplesReply,
    NoiseProbe,
    NoiseReply,
    Probe,
    ProbeReply,
)
from prune_core.jobs.question import PreviewReply, PreviewRequest
from prune_core.probing import chance_overlap, noisy, overlaps, predict, rank_correlations
from prune_core.pruning import Masks, Weights, allocate, make_masks, score, sparsity_of
from prune_core.seeding import generator
from prune_core.training import evaluate
from prune_core.training.sensitivity import check_once

SAMPLE = 500_000  # weights of a large model that criteria are compared on: a correlation is then good to 0.003

log = logging.getLogger("prune_core.jobs")
_replies: Cache[ProbeReply] = Cache(256)
_sketches: Cache[Mapping[str, Tensor]] = Cache(16)
_dense: Cache[tuple[torch.Tensor, torch.Tensor]] = Cache(64)  # predictions of unpruned models, a part each


def answer(
    store_url: str, request: Probe | PreviewRequest, patience_s: float = math.inf
) -> ProbeReply | PreviewReply | LabError:
    """Answer ``request``; what is wrong with it comes back as a LabError, which is a sentence and no failure."""
    if isinstance(request, PreviewRequest):
        return preview(store_url, request, patience_s)
    try:
        key, model = loaded(store_url, request.of)
        name = type(request).__name__
        return _replies.get((key, name, request.model_dump_json()), lambda: _answer(model, key, request))
    except LabError as error:
        return error
    except Exception as error:
        log.exception("Probe")
        return ConfigError(f"This model cannot be probed: {type(error).__name__}: {str(error)[:200]}")


def _answer(model: Loaded, key: object, request: Probe) -> ProbeReply:
    if isinstance(request, AgreementProbe):
        return _agreement(model, key, request)
    if model.data is None:
        raise ConfigError("No test data belongs to this model; choose a trained run.")
    if isinstance(request, AnswersProbe):
        return _answers(model, model.data, key, request)
    if isinstance(request, NoiseProbe):
        return _noise(model, model.data, request)
    assert isinstance(request, ExamplesProbe), "there are no other probes"
    return _examples(model.data, request)


def _agreement(model: Loaded, key: object, request: AgreementProbe) -> AgreementReply:
    of, keep = request.of, model.keep
    asked = [of.replace(criterion=criterion) for criterion in request.criteria]
    scores: Sequence[Mapping[str, Tensor]]
    if model.size > MANY and isinstance(of.granularity, Weights) and of.scope != "sensitivity":
        part = _part(model, of.seed)
        scores = [_sampled(model, key, one, part) for one in asked]
        keep = {name: mask.reshape(-1)[part[name]] for name, mask in keep.items() if name in part}
        masks = [_sampled_masks(model, of, one, keep) for one in scores]
    else:
        scores = [model.scored(one.criterion, one.granularity, one.seed).raw for one in asked]
        masks = [model.masks(one) for one in asked]
    sparsity = sparsity_of(masks[0])
    return AgreementReply(
        rank_correlations(scores, keep=keep, scope=of.scope, seed=of.seed),
        overlaps(masks),
        chance_overlap(1 - sparsity),
        sparsity,
        sum(t.numel() for t in scores[0].values()),
    )


def _part(model: Loaded, seed: int) -> dict[str, Tensor]:
    """Which weights of a large model are compared, about ``SAMPLE`` of all: places in each layer, drawn by ``seed``."""
    draw, share = generator(seed, "scoring", 2), SAMPLE / model.size
    return {
        name: torch.randint(w.numel(), (max(round(share * w.numel()), 1),), generator=draw)
        for name, w in model.weights.items()
    }


def _sampled(model: Loaded, key: object, of: PreviewRequest, part: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Scores of that part (4 MB); those of all weights are let go again."""

    def make() -> Mapping[str, Tensor]:
        check_once(of.criterion)
        scores = score(of.criterion, model.evidence(model.weights, of.seed))
        return {name: scores[name].reshape(-1)[places].clone() for name, places in part.items()}

    return _sketches.get((key, of.criterion.model_dump_json(), of.seed), make)


def _sampled_masks(model: Loaded, of: PreviewRequest, scores: Mapping[str, Tensor], keep: Masks) -> Masks:
    """What of the part is kept: as many as the scope takes of the layer it is of."""
    sparsity, scope = of.sparsity or 0.0, of.scope
    ratios = None
    if scope != "global":
        shapes = {name: tuple(w.shape) for name, w in model.weights.items()}
        gone = allocate(shapes, sparsity, model.gone, "erk" if scope == "erk" else "layer")
        ratios = {name: min(gone[name] / model.weights[name].numel(), 1 - 1e-9) for name in scores}
    return make_masks(scores, sparsity, "global" if ratios is None else "layer", keep=keep, ratios=ratios)


def _answers(model: Loaded, data: Dataset, key: object, request: AnswersProbe) -> AnswersReply:
    total = len(data.test_y)
    index = torch.arange(min(request.start, total), min(request.stop, total), device=data.device)
    if not len(index):
        raise ConfigError(f"AnswersProbe.start must be less than {total}, got {request.start}.")
    masks = model.masks(request.of)
    before = _dense.get((key, request.start, request.stop), lambda: predict(model.model, data, index))
    with model.pruned(masks, request.of.seed if request.of.recalibrate else None):
        after = predict(model.model, data, index)
    (was, sure), (now, then) = before, after
    label, first, second = (t.cpu().numpy().astype(np.int16) for t in (data.test_y[index], was, now))
    return AnswersReply(
        index.cpu().numpy(), label, first, second, sure.cpu().numpy(), then.cpu().numpy(), total, data.info.class_names,
        data.info.shape, sparsity_of(masks),
    )  # fmt: skip


def _noise(model: Loaded, data: Dataset, request: NoiseProbe) -> NoiseReply:
    shown = noisy(data, request.level, examples=request.examples, seed=request.seed)
    before = evaluate(model.model, shown)
    with model.pruned(model.masks(request.of), request.of.seed if request.of.recalibrate else None):
        return NoiseReply(request.level, before, evaluate(model.model, shown))


def _examples(data: Dataset, request: ExamplesProbe) -> ExamplesReply:
    total = len(data.test_y)
    if lost := [i for i in request.index if not 0 <= i < total]:
        raise ConfigError(f"ExamplesProbe.index must be at least 0 and less than {total}, got {lost[0]}.")
    index = torch.tensor(request.index, dtype=torch.int64, device=data.device)
    x = data.test_x.index_select(0, index)
    if x.dtype != torch.uint8:
        x = data.normalise(x)
    elif 0 < (top := int(data.test_x.max())) < 255:  # scikit-learn's digits end at 16
        x = (x.float() * (255 / top)).round().to(torch.uint8)
    return ExamplesReply(x.cpu().numpy(), data.test_y[index].cpu().numpy())
