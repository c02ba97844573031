"""Formulas with the numbers of now in them, on every page that shows a step or a pruning: what they say, and one look.

A formula stands as the method's paper has it, and under it once more with what was measured. The methods fill their
formulas in themselves (``prune_core.formulas``); here is only where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from prune_core.events import MAX_LAYERS, LayerSnapshot
from prune_core.experiment import Experiment
from prune_core.figures.words import count
from prune_core.formulas import SIZE, ClipNumbers, LayerNumbers, Pieces, PruneNumbers
from prune_core.jobs import PreviewReply
from prune_core.pruning import Criterion, Granularity, Pruning, Weights
from prune_core.registry import Registered
from prune_ui.fields import plain
from prune_ui.live import LiveRun
from prune_ui.naming import in_text
from prune_ui.train_actions import in_force

Idea = Literal["clipping", "pruning"]
MASK = r"m_i = \mathbf{1}[\, s_i > \tau \,]"
GROUP_MASK = r"m_G = \mathbf{1}[\, s_G > \tau \,]"


@dataclass(frozen=True)
class Formula:
    """``head`` says what and when, ``plain`` is the formula without numbers, ``filled`` with them; all LaTeX pieces."""

    idea: Idea
    head: str
    plain: Pieces
    filled: Pieces


def show(key: str, formulas: Sequence[Formula]) -> None:
    """Draw them beside each other, on a narrow screen below each other. Their places keep their height."""
    if not formulas:
        return
    columns = st.columns(len(formulas), gap="medium")
    for column, formula in zip(columns, formulas, strict=True):
        with column, st.container(key=f"formula_{formula.idea}_{key}"):
            st.markdown("\n\n".join((formula.head, line(formula.plain), line(formula.filled))))


def line(pieces: Pieces) -> str:
    """Pieces as Markdown: one line where there is room, broken between two of them where there is not."""
    # in braces, or KaTeX would break a piece at every relation
    return "&emsp; ".join(rf"$\displaystyle {{{piece}}}$" for piece in pieces) or "&nbsp;"


# --- of a run ---------------------------------------------------------------------------------------------------------
def of_experiment(experiment: Experiment | None) -> list[Formula]:
    """Before there is a run: the formulas, and that their numbers will come."""
    found = []
    if experiment is not None and experiment.clip is not None:
        found.append(Formula("clipping", _head("Clipping", experiment.clip), _plain(experiment.clip), ()))
    if experiment is not None and experiment.prune is not None:
        prune = experiment.prune
        found.append(Formula("pruning", _head("Pruning", prune.criterion), _masks(prune.criterion, prune), ()))
    return found


def of_run(run: LiveRun, layer: str = "", lane: bool = False) -> list[Formula]:
    """Clipping's and pruning's, as far as the run does either; ``layer`` is the one that is looked into."""
    return [*clipping(run, lane), *pruning(run, layer, lane)]


def clipping(run: LiveRun, lane: bool = False) -> list[Formula]:
    """What clipping did in the newest step that is known; empty where the run does not clip."""
    return run.made(("formula", "clipping", lane), lambda r: _clipping(r, lane))


def pruning(run: LiveRun, layer: str = "", lane: bool = False) -> list[Formula]:
    """What pruning has removed by the newest step that is known; empty where the run does not prune."""
    return run.made(("formula", "pruning", layer, lane), lambda r: _pruning(r, layer, lane))


def _clipping(run: LiveRun, lane: bool) -> list[Formula]:
    clip, last = run.record.experiment.clip, run.last
    if clip is None:
        return []
    what = "Clipping lane" if lane else "Clipping"
    if not last:
        return [Formula("clipping", _head(what, clip), _plain(clip), ())]
    step = int(last["step"])
    at = clip.with_threshold(in_force(run, step)["clip_threshold"])
    before, after, changed = (last[name] for name in ("grad_norm_before", "grad_norm_after", "clipped"))
    layers: list[LayerNumbers] = []
    if run.snapshot is not None and run.snapshot.step == step:
        layers = [LayerNumbers(x.name, x.numel, x.norm_before, x.norm_after) for x in run.snapshot.layers]
    now = ClipNumbers(before, after, changed, layers=layers, norms=step)
    return [Formula("clipping", _head(what, clip, f"step {count(step)}"), _plain(clip), at.filled(now) + now.measured)]


def _pruning(run: LiveRun, layer: str, lane: bool) -> list[Formula]:
    prune, snapshot, last = run.record.experiment.prune, run.snapshot, run.last
    if prune is None:
        return []
    what, criterion = "Pruning lane" if lane else "Pruning", prune.criterion
    bare = _masks(criterion, prune)
    if snapshot is None or not snapshot.layers or not last:
        return [Formula("pruning", _head(what, criterion), bare, ())]
    step = int(last["step"])
    threshold, where = _threshold(prune, snapshot.layers, layer)
    newest = snapshot.step == step
    if threshold is not None and not newest:  # every step has its sparsity, thresholds come with snapshots
        where += f"{', ' if where else ''}step {snapshot.step}"
    # of larger networks a snapshot shows not all
    total = sum(x.numel for x in snapshot.layers) if len(snapshot.layers) < MAX_LAYERS else 0
    # a snapshot has what the step's pruning left, the step itself what it was made with
    kept = sum(x.kept for x in snapshot.layers) if newest else total - round(last["sparsity"] * total)
    now = PruneNumbers(kept if total else 0, total, threshold, where, sizes=True)
    schedule = prune.schedule.with_final(in_force(run, step)["sparsity"])
    filled = (criterion.filled(now) or schedule.filled(step if newest else step - 1)) + now.measured
    return [Formula("pruning", _head(what, criterion, f"step {count(step)}"), bare, filled)]


def _threshold(prune: Pruning, layers: Sequence[LayerSnapshot], chosen: str) -> tuple[float | None, str]:
    """The largest |w| that the last change of masks took, where a run records one; and where, "" in all."""
    found = {x.name: x for x in layers if x.threshold is not None}
    if not found or not isinstance(prune.granularity, Weights):  # of N in M a larger one may go than stays elsewhere
        return None, ""
    if prune.scope == "global" and prune.criterion.symbol == SIZE:
        return max(x.threshold or 0.0 for x in found.values()), ""
    one = found.get(chosen) or max(found.values(), key=lambda x: x.numel)
    return one.threshold, f"in {one.name}"


# --- of the Prune page's answer ---------------------------------------------------------------------------------------
def of_preview(reply: PreviewReply, criterion: Criterion, granularity: Granularity, scope: str) -> Formula:
    """What the slider's place removes."""
    total = sum(layer.numel for layer in reply.layers)
    kept = sum(layer.kept for layer in reply.layers)
    groups = not isinstance(granularity, Weights)
    layer = f"in {reply.picture.name}" if scope != "global" and reply.picture is not None else ""
    threshold = None if granularity.at_most is not None else reply.threshold
    now = PruneNumbers(kept, total, threshold, layer, groups)
    bare = (*_plain(criterion), GROUP_MASK if groups else MASK)
    return Formula("pruning", _head("Pruning", criterion), bare, criterion.filled(now) + now.measured)


# --- pieces -----------------------------------------------------------------------------------------------------------
def _head(what: str, method: Registered, when: str = "") -> str:
    entry = type(method).registry.entry_of(type(method))
    label = in_text(entry.label) if entry is not None else type(method).__name__
    return f"**{what}** · {plain(label)}{f', {when}' if when else ''}"


def _plain(method: Registered) -> Pieces:
    """The formula as it was registered; of methods that were not, none."""
    entry = type(method).registry.entry_of(type(method))
    return (entry.formula,) if entry is not None and entry.formula else ()


def _masks(criterion: Criterion, prune: Pruning) -> Pieces:
    return (*_plain(criterion), MASK if isinstance(prune.granularity, Weights) else GROUP_MASK)
