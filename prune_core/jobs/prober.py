"""The preview worker's side of probes: each is one short task, so that sliders are answered in between."""

from __future__ import annotations

import logging
import math

import numpy as np
import torch

from prune_core.data import Dataset
from prune_core.data.cache import Cache
from prune_core.errors import ConfigError, LabError
from prune_core.jobs.bench import Loaded, loaded, preview
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
from prune_core.probing.agreement import MOST
from prune_core.pruning import sparsity_of
from prune_core.training import evaluate

log = logging.getLogger("prune_core.jobs")
_replies: Cache[ProbeReply] = Cache(256)
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
        return _agreement(model, request)
    if model.data is None:
        raise ConfigError("No test data belongs to this model; choose a trained run.")
    if isinstance(request, AnswersProbe):
        return _answers(model, model.data, key, request)
    if isinstance(request, NoiseProbe):
        return _noise(model, model.data, request)
    assert isinstance(request, ExamplesProbe), "there are no other probes"
    return _examples(model.data, request)


def _agreement(model: Loaded, request: AgreementProbe) -> AgreementReply:
    of = request.of
    asked = [of.replace(criterion=criterion) for criterion in request.criteria]
    scores = [model.scored(one.criterion, one.granularity, one.seed).raw for one in asked]
    masks = [model.masks(one) for one in asked]
    total = sum(t.numel() for t in scores[0].values())
    sparsity = sparsity_of(masks[0])
    return AgreementReply(
        rank_correlations(scores, keep=model.keep, scope=of.scope, seed=of.seed),
        overlaps(masks),
        chance_overlap(1 - sparsity),
        sparsity,
        min(total, MOST),
    )


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
