"""Where the Clipping page's gradient comes from: a file that ships with the lab, what was asked before, the engine."""

from __future__ import annotations

from functools import cache

from prune_core.data import Digits
from prune_core.data.cache import Cache
from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.jobs import GradientReply
from prune_core.jobs.gradients import reply_of
from prune_core.models import SmallCNN
from prune_core.training.gradient import Gradient, load_gradients
from prune_ui import session, theme
from prune_ui.clipping_state import FIRST_EXAMPLES, FIRST_MOMENT, Source, window

KEPT = 12  # replies in this process: at most 16 MB each

_replies: Cache[GradientReply] = Cache(KEPT)


def known(source: Source) -> GradientReply | None:
    """The answer, where it is at hand: of the sample run that ships, at once and without an engine."""
    gradient = _shipped(source)
    if gradient is not None:
        return _replies.get(("sample", gradient.step), lambda: reply_of(gradient))
    return _replies.peek(source.key)


def asked(source: Source) -> GradientReply:
    """The engine's answer, which may take as long as the training to that moment does. Raises LabError."""
    return _replies.get(source.key, lambda: session.lab().gradient(source.request, session=window()))


def warm() -> None:
    """Make what the first visitor sees."""
    gradient = _samples().get(FIRST_MOMENT)
    if gradient is not None:
        _replies.get(("sample", gradient.step), lambda: reply_of(gradient))


def _shipped(source: Source) -> Gradient | None:
    request = source.request
    if request.examples != FIRST_EXAMPLES or request.seed or source.experiment.digest != _sample_digest():
        return None
    step = source.experiment.train.steps if request.step is None else request.step
    return _samples().get(str(step))


@cache
def _sample_digest() -> str:
    return Experiment(data=Digits(), model=SmallCNN()).digest


@cache
def _samples() -> dict[str, Gradient]:
    """Gradients of the sample run by step; none where the file is missing: then the engine is asked."""
    try:
        return load_gradients(theme.ASSETS / "samples" / "gradients.npz")
    except LabError:
        return {}
