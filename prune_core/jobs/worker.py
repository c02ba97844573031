"""What happens inside a worker process: everything heavy is imported beforehand, then one run after the other."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import os
from collections.abc import Sequence

import torch
from distributed import Worker, get_worker

from prune_core.clipping import quick as clipping
from prune_core.jobs import place
from prune_core.pruning import quick as pruning
from prune_core.tracking import Store, execute, execute_race

NICE = 5  # the page and the preview worker go first: a slider is felt, a training step is not

log = logging.getLogger("prune_core.jobs")


def execute_job(store_url: str, run_ids: Sequence[str], race: str = "") -> str:
    """Train a queued run, or the lanes of a ``race``, and record them; returns what became of them.

    Whatever fails is written into the run. Nothing is raised, so that no code of a run ever harms the worker.
    """
    me = str(get_worker().name)
    try:
        if race:
            return ", ".join(execute_race(store(store_url), race, run_ids, worker=me).values())
        return execute(store(store_url), run_ids[0], worker=me)
    except BaseException as error:  # SystemExit from people's own code would end the worker
        log.exception("Run %s", ", ".join(run_ids))
        return f"failed: {type(error).__name__}"


@functools.lru_cache(maxsize=4)
def store(url: str) -> Store:
    """This process's connection to the store at ``url``."""
    return Store(url)


@functools.cache
def warm() -> None:
    """Import and compile all that a run touches, the first optimizer's 2 seconds included; the collector forgets it."""
    torch.set_num_threads(1)
    logging.getLogger("distributed").setLevel(logging.WARNING)
    for name in ("torchvision", "sklearn.datasets", "pandas", "sqlalchemy.dialects.sqlite", "prune_core.jobs.bench"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    load_plugins()
    weights = torch.nn.Parameter(torch.zeros(4))
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        optimizer = kind([weights], lr=0.1, fused=True)
        weights.grad = torch.ones(4)
        optimizer.step()
    clipping.warm()
    pruning.warm()
    gc.collect()
    gc.freeze()


def load_plugins() -> None:
    """Import people's own parts, so that runs with them can be read. A broken one is reported and left out."""
    for name in place.plugins():
        try:
            importlib.import_module(name)
        except Exception:
            log.exception("%s names %s, which cannot be imported:", place.PLUGINS, name)


def dask_setup(worker: Worker) -> None:
    """Called by Dask in every new worker process."""
    warm()
    torch.set_num_threads(1)
    if "train" in (worker.state.total_resources or {}) and hasattr(os, "nice"):
        os.nice(NICE)
