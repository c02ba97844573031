"""The state of one run and what one step does to it; ``stream`` decides when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from prune_core.clipping import ClipReport, measure
from prune_core.errors import CheckpointError
from prune_core.events import (
    STEP_FIELDS,
    DoneEvent,
    EvalEvent,
    InterventionEvent,
    MaskEvent,
    SnapshotEvent,
    WarningEvent,
)
from prune_core.experiment import Experiment
from prune_core.pruning.quiet import draws
from prune_core.seeding import generator, global_seed
from prune_core.training.batches import Batches
from prune_core.training.beginning import by_step, pick_device, start_of
from prune_core.training.checkpoint import Checkpoint, load_weights_
from prune_core.training.evaluate import Evaluation, evaluate
from prune_core.training.flat import FlatModel
from prune_core.training.masking import RunMasks
from prune_core.training.optim import forget_, lr_at, make_optimizer, quick_step
from prune_core.training.recalibrate import recalibrate_and_say_
from prune_core.training.rewinding import Rewinding
from prune_core.training.snapshots import gradient_counts, snapshot
from prune_core.training.teaching import Teaching


class RunState:
    """Model, optimizer, masks, clipping, order of data, and all that was seen so far.

    Raises LabError where the run cannot start: missing data, no GPU, a first checkpoint that does not fit, an
    intervention out of bounds.
    """

    def __init__(self, experiment: Experiment, interventions: Iterable[InterventionEvent] = ()) -> None:
        train = experiment.train
        self.experiment = experiment
        self.replay = by_step(experiment, interventions)
        self.device = pick_device(train.device)
        if self.device.type == "cuda":  # otherwise cuDNN picks by timing, and two runs differ in the last bits
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        self.data = experiment.data.load(seed=train.seed, device=self.device)
        info = self.data.info
        self.model = experiment.model.build(info.shape, info.classes, train.seed).train()
        start = start_of(experiment)
        if start is not None:
            load_weights_(self.model, start)
        self.flat = FlatModel(self.model, self.device)
        self.teaching = Teaching(experiment, self.model)
        self.masks = RunMasks(experiment, self.flat, self.data, self.teaching.begin_)
        if start is not None and start.masks:
            self.masks.start_from(start.masks)
        self.rewinding = Rewinding(experiment, self.flat)
        self.rewinding.note(0)
        self.optimizer = make_optimizer(train, self.flat.moved)
        self._move = quick_step(self.optimizer)
        # half precision has few exponents: the loss is scaled up before backward, the gradient down before clipping
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=train.precision == "float16")
        self.clip = experiment.clip
        self.clip_state = self.clip.init_state() if self.clip is not None else {}
        if self.clip is not None and self.clip.per_sample:
            self.clip.check_model(self.model, *self.data.train_batch(torch.arange(2, device=self.device)))
        self.batches = Batches(info.train, train.batch_size, train.seed, self.device)
        self.step = 0  # updates made
        self.seen = 0  # rows that hold finite numbers: more than ``step`` once the run fell back
        self.seconds = 0.0
        self.rows = torch.zeros(train.steps, len(STEP_FIELDS), device=self.device)
        self.evals: list[EvalEvent] = []
        self.marks: list[InterventionEvent] = []
        self.done: DoneEvent | None = None
        self._base_lr = train.lr
        self._tail = (math.nan, math.nan)
        self._tail_row = torch.zeros(2, device=self.device)  # lr and sparsity as they stand in a row
        self._table = self.rows.numpy() if self.device.type == "cpu" else None  # the same memory
        self._random_forward = any(draws(m) for m in self.model.modules())
        self._gradients: dict[str, Any] = {}
        self._report: ClipReport | None = None
        self.keep_good()

    # -- one step -----------------------------------------------------------------------------------------------------

    def gradient(self, step: int, look: bool) -> torch.Tensor:
        """Forward, backward, mask, clip for update ``step``: its row (7,). ``look`` also gathers what a snapshot needs.

        Raises nothing where the loss is not finite: the row says so, and no weight has changed yet.
        """
        grads, precision = self.flat.gradients, self.experiment.train.precision
        x, y = self.data.train_batch(self.batches.next())
        # seeded by step, not carried on: a watcher that draws numbers, or a resume, cannot shift dropout
        chance: AbstractContextManager[Any] = (
            global_seed(self.experiment.train.seed, "forward", step) if self._random_forward else nullcontext()
        )
        mixed: AbstractContextManager[Any] = (
            torch.autocast(self.device.type, dtype=getattr(torch, precision))
            if precision != "float32"
            else nullcontext()
        )
        if self.clip is not None and self.clip.per_sample:
            noise = generator(self.experiment.train.seed, "noise", step, device=self.device)
            with chance, mixed:
                loss = self.clip.gradient_(grads, self.model, x, y, keep=self.masks.keep, generator=noise)
        else:
            with chance, mixed:
                loss = self.teaching.loss(x, y)
            self._backward_(loss)
        self.masks.see_gradients_(step)
        self.masks.mask_gradients_()
        self.masks.follow_()
        self._gradients = gradient_counts(self.flat, self.masks) if look else {}
        report = (
            measure(grads, layers=look)
            if self.clip is None
            else self.clip.clip_flat_(grads, self.clip_state, layers=look)
        )
        self._report = report if look else None
        return self._write_row(step, loss.detach(), report)

    def _backward_(self, loss: torch.Tensor) -> None:
        if self.scaler.is_enabled():
            self.scaler.scale(loss).backward()
            self.flat.gather_()
            self.scaler.unscale_(self.optimizer)
        else:
            loss.backward()
            self.flat.gather_()

    def update(self) -> None:
        """Move the weights along the gradient; removed ones stay exactly 0."""
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self._move()
        self.masks.mask_weights_()
        self.step += 1
        self.seen = self.step
        self.rewinding.note(self.step)

    def first_bad(self, rows: list[torch.Tensor]) -> int | None:
        """Index of the first row whose loss or gradient norm is not finite; None where all are."""
        columns = 1 if self.scaler.is_enabled() else 2  # the scaler itself skips a step whose gradient overflowed
        finite = torch.isfinite(torch.stack(rows)[:, :columns]).all(1).tolist() if len(rows) > 1 else None
        if finite is None:
            finite = [all(map(math.isfinite, rows[0].tolist()[:columns]))]
        return None if all(finite) else finite.index(False)

    def follow_schedule(self) -> MaskEvent | None:
        """Prune where the schedule says so after the updates made so far, and go back where pruning asks for it."""
        target = self.masks.target_at(self.step)
        return None if target is None else self._prune_to(target)

    def exchange(self) -> MaskEvent | None:
        """Let removed weights come back in exchange for others, where it is time to."""
        changed = self.masks.exchange_(self.step)
        if changed is None:
            return None
        event, moved = changed
        forget_(self.optimizer, moved)
        return event

    def recalibrate(self) -> WarningEvent | None:
        """Measure normalisation anew, where masks changed and nothing was trained since; says so."""
        prune = self.masks.pruning
        due = prune is not None and prune.recalibrate and self.masks.changed_at == self.step
        return recalibrate_and_say_(self.model, self.data, self.experiment.train.seed, self.step) if due else None

    def intervene(self, mark: InterventionEvent) -> MaskEvent | None:
        """Take over a new value from the next update on; a higher sparsity is reached at once if already due."""
        self._adopt(mark)
        if mark.field != "sparsity":
            return None
        assert self.masks.pruning is not None, "checked by check_intervention"
        return self._prune_to(self.masks.pruning.schedule(self.step))

    # -- looking ------------------------------------------------------------------------------------------------------

    def evaluate(self, limit: int | None) -> EvalEvent:
        """Accuracy on the test split, or on the first ``limit`` examples of its fixed order."""
        seen: Evaluation = evaluate(self.model, self.data, limit)
        event = EvalEvent(self.step, seen.accuracy, seen.loss, seen.n, seen.per_class)
        self.evals.append(event)
        return event

    def snapshot(self) -> SnapshotEvent:
        """Histograms of now; gradients are those of the last update that was looked at."""
        return snapshot(self.step, self.flat, self.masks, self._gradients, self._report, self.data)

    # -- good states, checkpoints -------------------------------------------------------------------------------------

    def keep_good(self) -> None:
        """Remember weights and buffers: the loss at them was finite."""
        self._good = (self.step, self.flat.copy_state())

    def fall_back(self) -> None:
        """Return to the last state known to be good."""
        self.step, state = self._good
        self.flat.restore_state(state)
        self.masks.mask_weights_()

    def checkpoint(self) -> Checkpoint:
        """Everything that ``load`` needs."""
        done = self.done
        self.masks.tidy_()
        rest = {
            "masks": self.masks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "batches": self.batches.state_dict(),
            "clip_state": self.clip_state,
            "rewinding": self.rewinding.state_dict(),
            "teacher": self.teaching.state_dict(),
            "seconds": self.seconds,
            "rows": self.rows[: self.seen].clone(),
            "evals": [(e.step, e.accuracy, e.loss, e.n, list(e.per_class)) for e in self.evals],
            "marks": [(m.step, m.field, m.value, m.sender) for m in self.marks],
            "done": None if done is None else (done.step, done.status, done.reason, done.seconds),
        }
        # cloned: the parameters share one storage, which would be written once for each of them
        state = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        return Checkpoint(self.experiment.digest, self.step, state, dict(self.masks.masks), rest)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint``. Raises CheckpointError if it is of another experiment."""
        if checkpoint.digest != self.experiment.digest:
            raise CheckpointError(
                f"This checkpoint belongs to experiment {checkpoint.digest}, not to {self.experiment.digest}; "
                "give another path, or resume=False to start anew."
            )
        rest = checkpoint.rest
        with torch.no_grad():
            load_weights_(self.model, checkpoint)
        self.masks.load_state_dict(rest["masks"])
        self.teaching.load_state_dict(rest["teacher"])  # after the masks, whose return is no first removal
        self.optimizer.load_state_dict(rest["optimizer"])
        self.scaler.load_state_dict(rest["scaler"])
        self.batches.load_state_dict(rest["batches"])
        self.clip_state = rest["clip_state"]
        self.rewinding.load_state_dict(rest["rewinding"])
        self.step, self.seconds = checkpoint.step, rest["seconds"]
        self.seen = len(rest["rows"])
        self.rows[: self.seen] = rest["rows"].to(self.device)
        self.evals = [EvalEvent(step, acc, loss, n, tuple(per)) for step, acc, loss, n, per in rest["evals"]]
        for mark in (InterventionEvent(*values) for values in rest["marks"]):
            self._adopt(mark)
            if mark in self.replay.get(mark.step, ()):  # taken over before the step was made: not once more
                self.replay[mark.step].remove(mark)
        self.done = None if rest["done"] is None else DoneEvent(*rest["done"])
        if self.done is not None and self.done.status == "stopped":
            self.done, self.evals = None, self.evals[:-1]  # a run that goes on was never looked at there
        self.keep_good()

    # -- small things -------------------------------------------------------------------------------------------------

    def _prune_to(self, target: float) -> MaskEvent | None:
        event = self.masks.prune_to_(target, self.step)
        if event is not None and self.rewinding.go_back_(self.step):
            self.masks.mask_weights_()
            self.optimizer.state.clear()
            self.keep_good()
        return event

    def _adopt(self, mark: InterventionEvent) -> None:
        self.marks.append(mark)
        if mark.field == "clip_threshold":
            assert self.clip is not None, "checked by check_intervention"
            self.clip = self.clip.with_threshold(mark.value)
        elif mark.field == "lr":
            self._base_lr = mark.value
        else:
            self.masks.retarget(mark.value)

    def _write_row(self, step: int, loss: torch.Tensor, report: ClipReport) -> torch.Tensor:
        tail = (lr_at(self.experiment.train, self.rewinding.lr_step(step), self._base_lr), self.masks.sparsity)
        if tail != self._tail:
            for group in self.optimizer.param_groups:
                group["lr"] = tail[0]
            self._tail = tail
            self._tail_row = torch.tensor(tail, device=self.device)
        row = self.rows[step - 1]
        if self._table is not None:  # numbers are at hand on the CPU: numpy writes them in a tenth of the time
            with np.errstate(over="ignore"):
                self._table[step - 1] = (loss.item(), *report.overall.tolist(), *tail)
        else:
            torch.cat([loss.float().view(1), report.overall.float(), self._tail_row], out=row)
        return row
