"""What a clipping strategy is: settings with one hook. The base measures what the hook did."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from prune_core.clipping import probing, quick
from prune_core.clipping.gradients import FlatGradients
from prune_core.clipping.report import (
    ClipReport,
    measure,
    report_changed,
    report_counted,
    report_scaled,
    report_units,
)
from prune_core.formulas import ClipNumbers, Pieces, tex
from prune_core.registry import Registered, Registry


class ClipStrategy(Registered):
    """Limits a gradient between backward pass and update. It never changes the number of parameters.

    A member gives ``_apply_``, or, where it multiplies the whole gradient by one number, derives from ScalingStrategy.
    What must be remembered from step to step lives in ``state``: plain tensors and numbers that a checkpoint can hold.

    The gradient of a removed weight does not belong to the update: mask it to zero before clipping, or it inflates the
    norm (1.6 times at 90 % sparsity). With a loss scaler, unscale first.
    """

    registry: ClassVar[Registry[ClipStrategy]] = Registry("clipping strategy")
    threshold_field: ClassVar[str] = "threshold"
    """The field that a slider moves in mid-run; with a dot where it is a member's own."""

    per_sample: ClassVar[bool] = False
    """Whether it clips each example's own gradient: such a member also gives ``check_model`` and ``gradient_``."""

    if TYPE_CHECKING:  # a property here would hide the field of that name that most members have

        @property
        def threshold(self) -> float:
            """The value of ``threshold_field``."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        field = cls.threshold_field
        if field != "threshold" and "threshold" not in cls.__dict__:
            cls.threshold = property(lambda self: getattr(self, field))  # type: ignore[method-assign, assignment]

    def with_threshold(self, value: float) -> Self:
        """A copy with another threshold. Raises ConfigError outside its bounds."""
        return self.replace(**{self.threshold_field: value})

    @property
    def parts(self) -> list[Registered]:
        """Itself, and every strategy within."""
        return [self]

    def filled(self, now: ClipNumbers) -> Pieces:
        """The formula with this threshold and the numbers of one clipping in it, as pieces of LaTeX.

        A member need not give it. What a run does not record is missing in ``now``: then leave out what needs it.
        """
        return (rf"\text{{threshold }} {tex(self.threshold)}",)

    def init_state(self) -> dict[str, Any]:
        """A fresh state for one run; empty unless a member remembers something."""
        return {}

    def check_model(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
        """Raise ConfigError where the gradient of ``model`` cannot be clipped; a run asks at its start."""

    def gradient_(
        self,
        grads: FlatGradients,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        *,
        keep: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Instead of ``backward()`` where ``per_sample``: fill ``grads`` from a batch and return its mean loss."""
        raise NotImplementedError

    def clip_(
        self,
        parameters: Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Tensor,
        state: dict[str, Any] | None = None,
        *,
        layers: bool = True,
    ) -> ClipReport:
        """Clip the gradients of any model after ``backward()`` and report what that did.

        Takes ``model.parameters()``, ``model.named_parameters()`` (the report then has names) or one parameter, of any
        devices and floating types. ``state`` (from ``init_state``) is needed from step to step by strategies that
        remember. Raises ConfigError where there is no gradient, or a sparse one.
        """
        with torch.no_grad():
            grads = FlatGradients.gather(parameters)
            report = self.clip_flat_(grads, self.init_state() if state is None else state, layers=layers)
            grads.scatter_()
        return report

    @torch.no_grad()
    def clip_flat_(self, grads: FlatGradients, state: dict[str, Any], *, layers: bool = True) -> ClipReport:
        """Clip ``grads.values`` in place; ``layers`` asks for the report by layer too, which costs as much again."""
        before = grads.keep_before()
        self._apply_(grads, state)
        return report_changed(before, grads, layers=layers)

    def probe(self, grads: FlatGradients, state: dict[str, Any]) -> Callable[[float], ClipReport]:
        """What clipping ``grads`` would report at any threshold, layers included; nothing is clipped, or remembered.

        Here by clipping a copy each time; members whose change can be told from sums do without. ``grads`` must stay as
        they are while the answer is in use. It raises ConfigError for a threshold out of bounds.
        """

        @torch.no_grad()
        def at(threshold: float) -> ClipReport:
            member = self.with_threshold(threshold)
            return member.clip_flat_(probing.copy_of(grads), copy.deepcopy(state))

        return at

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        """Change ``grads.values`` in place."""
        raise NotImplementedError


class ScalingStrategy(ClipStrategy):
    """Multiplies the whole gradient by one number: the direction stays. A member gives ``_factor``."""

    def state_after(self, norms: Sequence[float]) -> dict[str, Any]:
        """The state of a run whose gradients so far had these L2 norms; a member may know a shorter way."""
        state = self.init_state()
        for norm in norms if state else ():
            self.clip_flat_(FlatGradients(torch.tensor([norm]), ("norm",), (0, 1)), state, layers=False)
        return state

    @torch.no_grad()
    def clip_flat_(self, grads: FlatGradients, state: dict[str, Any], *, layers: bool = True) -> ClipReport:
        length = self._length(grads)
        factor = torch.clamp(self._factor(grads, length, state), max=1.0)  # never lengthens
        if quick.takes(grads.values) and factor.item() != 1:
            lengths = grads.unit_norms() if layers else None
            changed = quick.scale_(grads.values, grads.ends, factor.expand(len(grads.layers)))
            return report_counted(grads, length, factor, changed, lengths)
        report = report_scaled(grads, length, factor, layers=layers)
        _scale_(grads.values, factor)
        return report

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        _scale_(grads.values, torch.clamp(self._factor(grads, self._length(grads), state), max=1.0))

    def probe(self, grads: FlatGradients, state: dict[str, Any]) -> Callable[[float], ClipReport]:
        if not probing.takes(grads):
            return super().probe(grads, state)
        length, lengths = self._length(grads), grads.unit_norms()
        multiplied, unchanged = probing.Multiplied(grads.values, grads.ends), measure(grads)

        @torch.no_grad()
        def at(threshold: float) -> ClipReport:
            factor = self.with_threshold(threshold)._factor(grads, length, copy.deepcopy(state)).clamp(max=1.0)
            if factor.item() == 1:
                return unchanged
            return report_counted(grads, length, factor, multiplied.changed(factor), lengths)

        return at

    def _length(self, grads: FlatGradients) -> Tensor:
        """The L2 norm of ``grads``, 0-dim."""
        return grads.length()

    def _factor(self, grads: FlatGradients, length: Tensor, state: dict[str, Any]) -> Tensor:
        """The factor, 0-dim, on the gradient's device; above 1 counts as 1. ``length`` is the L2 norm of ``grads``."""
        raise NotImplementedError


class UnitScalingStrategy(ClipStrategy):
    """Multiplies each unit of the gradient by a number of its own. A member gives ``_factors``.

    A unit is a layer, or one of the rows of equal length into which ``_rows`` cuts it.
    """

    @torch.no_grad()
    def clip_flat_(self, grads: FlatGradients, state: dict[str, Any], *, layers: bool = True) -> ClipReport:
        if not quick.takes(grads.values):
            return super().clip_flat_(grads, state, layers=layers)
        rows = self._rows(grads)
        lengths = self._lengths(grads, rows)
        factors = self._factors(grads, lengths, state)
        changed = quick.scale_(grads.values, grads.units(rows), factors)
        return report_units(grads, rows, lengths, factors, changed, layers=layers)

    def _apply_(self, grads: FlatGradients, state: dict[str, Any]) -> None:
        rows = self._rows(grads)
        factors = self._factors(grads, self._lengths(grads, rows), state).to(grads.values.dtype)
        for layer, n, own in zip(grads.layers, rows, factors.split(rows), strict=True):
            if layer.numel():
                layer.view(n, -1).mul_(own.unsqueeze(1))

    def probe(self, grads: FlatGradients, state: dict[str, Any]) -> Callable[[float], ClipReport]:
        if not probing.takes(grads):
            return super().probe(grads, state)
        rows = self._rows(grads)
        lengths, multiplied = self._lengths(grads, rows), probing.Multiplied(grads.values, grads.units(rows))

        @torch.no_grad()
        def at(threshold: float) -> ClipReport:
            factors = self.with_threshold(threshold)._factors(grads, lengths, copy.deepcopy(state))
            return report_units(grads, rows, lengths, factors, multiplied.changed(factors), layers=True)

        return at

    def _rows(self, grads: FlatGradients) -> tuple[int, ...]:
        """Into how many rows each layer is cut, at least 1."""
        return (1,) * len(grads.layers)

    def _lengths(self, grads: FlatGradients, rows: tuple[int, ...]) -> Tensor:
        """The L2 norms of the units, (units,)."""
        return grads.unit_norms(rows)

    def _factors(self, grads: FlatGradients, lengths: Tensor, state: dict[str, Any]) -> Tensor:
        """The factor of each unit, (units,), at most 1; ``lengths`` (units,) are their L2 norms."""
        raise NotImplementedError


def _scale_(values: Tensor, factor: Tensor) -> None:
    if not factor.is_cpu or factor.item() != 1:
        values.mul_(factor)
