"""What pages need again and again and that never changes: kept by digest or id, never by object, and bounded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from prune_core.data import DataSource
from prune_core.errors import ConfigError, LabError
from prune_core.experiment import Experiment
from prune_core.models import ModelSource
from prune_core.pruning import Pruning

if TYPE_CHECKING:
    from prune_core.tracking import RunRecord


def samples() -> list[RunRecord]:
    """The sample runs that ship with the lab, read-only; empty where they are missing or cannot be read."""
    from prune_ui import session

    try:
        return list(session.store().samples())
    except (LabError, AttributeError, OSError):
        return []


def parameters(experiment: Experiment) -> int:
    """How many parameters the experiment's model has. Raises ModelError where it cannot be built."""
    info = experiment.data.info
    return _parameters(json.dumps(experiment.model.model_dump()), info.shape, info.classes)


@st.cache_data(max_entries=64, show_spinner=False)
def _parameters(model: str, shape: tuple[int, ...], classes: int) -> int:
    return sum(p.numel() for p in ModelSource.model_validate(json.loads(model)).outline(shape, classes).parameters())


def check_fit(experiment: Experiment, prune: Pruning) -> None:
    """Raise ConfigError where the experiment's model has nothing that ``prune`` could remove, or cannot be scored."""
    info, model = experiment.data.info, json.dumps(experiment.model.model_dump())
    # without schedule and shares, so that no move of a slider asks anew
    axes = Pruning(criterion=prune.criterion, granularity=prune.granularity, keep_dense=prune.keep_dense)
    if sentence := _misfit(model, info.shape, info.classes, json.dumps(axes.model_dump())):
        raise ConfigError(sentence)


@st.cache_data(max_entries=512, show_spinner=False)
def _misfit(model: str, shape: tuple[int, ...], classes: int, prune: str) -> str:
    try:
        net = ModelSource.model_validate(json.loads(model)).outline(shape, classes)
        Pruning(**json.loads(prune)).select(net)
    except ConfigError as error:
        return str(error)
    except (LabError, RuntimeError, NotImplementedError):  # some models have no outline: a run says what fits
        return ""
    return ""


def points(experiment: Experiment) -> tuple[np.ndarray, np.ndarray] | None:
    """Training points (n, 2), normalised, and their classes (n,), of data in the plane; None of images."""
    if len(experiment.data.info.shape) != 1:
        return None
    return _points(json.dumps(experiment.data.model_dump()), experiment.train.seed)


@st.cache_data(max_entries=16, show_spinner=False)
def _points(data: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    values: dict[str, Any] = json.loads(data)
    source: DataSource = DataSource.registry[values.pop("kind")].cls(**values)
    loaded = source.load(seed=seed)
    return loaded.normalise(loaded.train_x).numpy(), loaded.train_y.numpy()
