"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file written atomically."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prune_core import remote
from prune_core.errors import CheckpointError, StoreError
from prune_core.experiment import Experiment

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back. ``model_state`` has ordinary state-dict keys; ``rest`` is the loop's own."""

    digest: str
    step: int
    model_state: dict[str, torch.Tensor]
    masks: dict[str, torch.Tensor]
    rest: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write beside the old file, flush to disk, then replace it: a reader sees the old or the new, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    content = {
        "format": FORMAT,
        "digest": checkpoint.digest,
        "step": checkpoint.step,
        "model_state": checkpoint.model_state,
        "masks": checkpoint.masks,
        "rest": checkpoint.rest,
    }
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_checkpoint(path: Path | str, sha256: str = "") -> Checkpoint:
    """Read a checkpoint, a file or an address that fsspec knows; only tensors and plain values are ever unpickled.

    Raises CheckpointError if the file is missing, damaged, of another format, or does not have the content ``sha256``.
    """
    source: Path | io.BytesIO
    if remote.is_remote(path):
        try:
            source = io.BytesIO(remote.read(str(path)))
        except StoreError as error:
            raise CheckpointError(f"There is no checkpoint at {path}: {error}") from None
    else:
        path = source = Path(path)
        if not path.is_file():
            raise CheckpointError(f"There is no checkpoint at {path}.")
    if sha256 and (found := _sha256(source)) != sha256:
        raise CheckpointError(f"{path} must have the content {sha256[:12]}..., got {found[:12]}...: it was changed.")
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise CheckpointError(f"{path} has format {content['format']}; this version reads format {FORMAT}.")
        return Checkpoint(content["digest"], content["step"], content["model_state"], content["masks"], content["rest"])
    except (RuntimeError, EOFError, KeyError, TypeError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint of this lab: {_short(error)}") from None


def file_sha256(path: Path | str) -> str:
    """The content of a file as 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(source: Path | io.BytesIO) -> str:
    return file_sha256(source) if isinstance(source, Path) else hashlib.sha256(source.getbuffer()).hexdigest()


def load_weights_(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy a checkpoint's weights into ``model``. Raises CheckpointError naming the first mismatch."""
    own = model.state_dict()
    for name, value in own.items():
        saved = checkpoint.model_state.get(name)
        if saved is None:
            raise CheckpointError(f"This checkpoint is of another model: it has no {name!r}.")
        if saved.shape != value.shape:
            raise CheckpointError(
                f"This checkpoint is of another model: {name!r} has shape {tuple(saved.shape)} in it "
                f"and {tuple(value.shape)} here."
            )
    if extra := [name for name in checkpoint.model_state if name not in own]:
        raise CheckpointError(f"This checkpoint is of another model: {extra[0]!r} of it is unknown here.")
    model.load_state_dict(checkpoint.model_state)


def restore_model(experiment: Experiment, path: Path | str) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """The trained model of a run and its masks (``{name: bool, True = kept}``), on the CPU.

    Raises CheckpointError if the file is missing, damaged or of another model.
    """
    checkpoint = load_checkpoint(path)
    info = experiment.data.info
    model = experiment.model.build(info.shape, info.classes, experiment.train.seed)
    load_weights_(model, checkpoint)
    return model, checkpoint.masks


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
