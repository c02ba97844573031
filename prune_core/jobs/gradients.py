"""The preview worker's side of the Clipping page: a real gradient, and what every strategy would do to it.

The moment of training that is asked for is reached by training again, a slice at a time, so that another visitor's
slider is answered in between; a run's end is read from its checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Hashable
from dataclasses import dataclass

from pydantic import model_validator

from prune_core.clipping import quick
from prune_core.clipping.curves import Lane, lanes
from prune_core.data.cache import Cache
from prune_core.errors import ConfigError, LabError
from prune_core.events import InterventionEvent
from prune_core.experiment import Experiment
from prune_core.jobs.question import ScanningError
from prune_core.jobs.worker import store
from prune_core.settings import Settings, setting
from prune_core.tracking import files
from prune_core.training import load_checkpoint, restore_model
from prune_core.training.gradient import Gradient, Moments, gradient_of

REPLIES, MOMENTS = 8, 4  # kept in the worker

log = logging.getLogger("prune_core.jobs")


class GradientRequest(Settings):
    """The gradient of ``run``, or of ``experiment`` trained anew, after ``step`` updates: give one of the two."""

    run: str = setting("", help="Id of a run; its own settings and changes in mid-run are followed.")
    experiment: Experiment | None = setting(None, help="What to train; its length only bounds the moment.")
    step: int | None = setting(
        None, ge=0, le=10_000_000, unit="steps", help="Updates made before; empty: all that the run has made."
    )
    examples: int = setting(64, ge=1, le=4096, unit="examples", label="Batch size", help="Examples averaged.")
    seed: int = setting(0, ge=0, lt=2**31, help="Decides which examples make up the batch.")

    @model_validator(mode="after")
    def _agree(self) -> GradientRequest:
        if bool(self.run) == (self.experiment is not None):
            raise ConfigError("GradientRequest needs either run or experiment, and not both.")
        return self


@dataclass(frozen=True)
class GradientReply:
    """A gradient and what every registered strategy would do to it. ``seconds`` is the worker's time."""

    gradient: Gradient
    lanes: tuple[Lane, ...]
    seconds: float = 0.0


def gradient(store_url: str, request: GradientRequest, patience_s: float = math.inf) -> GradientReply | LabError:
    """Answer ``request``; what is wrong with it comes back as a LabError, which is a sentence and no failure.

    So does a ScanningError where the moment is not reached within ``patience_s``: ask again.
    """
    began = time.perf_counter()
    try:
        return _replies.get(
            (_stamp(store_url, request), request.model_dump_json()),
            lambda: reply_of(gradient_for(store_url, request, patience_s), began),
        )
    except LabError as error:
        return error
    except Exception as error:
        log.exception("Gradient")
        return ConfigError(f"This model has no gradient to show: {type(error).__name__}: {str(error)[:200]}")


def reply_of(found: Gradient, began: float | None = None) -> GradientReply:
    """``found`` with its lanes."""
    began = time.perf_counter() if began is None else began
    quick.warm()
    made = lanes(found.flat(), found.norms.tolist())
    return GradientReply(found, made, time.perf_counter() - began)


_replies: Cache[GradientReply] = Cache(REPLIES)
_moments: Cache[Moments] = Cache(MOMENTS)


def _stamp(store_url: str, request: GradientRequest) -> Hashable:
    """What decides the weights besides the request."""
    return (store_url, files.stamp(request.run)) if request.run else ""


def gradient_for(store_url: str, request: GradientRequest, patience_s: float = math.inf) -> Gradient:
    """The gradient, found in this process. Raises ScanningError where it takes over ``patience_s``: ask again."""
    if request.run:
        reader = store(store_url)
        record = reader.run(request.run)
        experiment = record.experiment
        if request.step is None or request.step == record.step:
            return _at_the_end(store_url, request, experiment)
        marks = reader.marks(request.run)[["step", "field", "value"]].itertuples(index=False)
        interventions = tuple(InterventionEvent(int(s), f, float(v)) for s, f, v in marks)
    else:
        assert request.experiment is not None, "checked by GradientRequest"
        experiment, interventions = request.experiment, ()
    wanted = experiment.train.steps if request.step is None else request.step
    if wanted > experiment.train.steps:
        raise ConfigError(f"GradientRequest.step must be at most {experiment.train.steps}, got {wanted}.")
    moments = _moments.get((experiment.digest, interventions), lambda: Moments(experiment, interventions))
    if moments.step > wanted:
        moments.begin_anew()
    until = time.monotonic() + patience_s
    while moments.step < wanted and not moments.ended:
        moments.go_on()
        if time.monotonic() > until and moments.step < wanted:
            raise ScanningError(f"The model is being trained: {moments.step} of {wanted} steps are made; ask again.")
    if moments.step < wanted:
        raise ConfigError(f"This run never reaches step {wanted}: {moments.ended}.")
    return moments.gradient(request.examples, request.seed)


def _at_the_end(store_url: str, request: GradientRequest, experiment: Experiment) -> Gradient:
    path = files.checkpoint(request.run)
    if not path.is_file():
        raise ConfigError(f"Run {request.run} has no checkpoint yet; wait until it has trained for some seconds.")
    model, masks = restore_model(experiment, path)
    step = load_checkpoint(path).step
    norms = store(store_url).history(request.run)["grad_norm_before"].to_numpy()[:step]
    data = experiment.data.load(seed=experiment.train.seed)
    return gradient_of(
        model, data, examples=request.examples, seed=request.seed, masks=masks, step=step, norms=norms.tolist()
    )
