"""What a presentation shows: a list of slides made from finished runs or a sweep. Nothing is measured here.

The link says what it is about: ``race=ID``, ``run=ID``, ``runs=ID,ID`` or ``sweep=ID``; without one the samples.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from prune_core.errors import LabError
from prune_core.figures.clipped_share import clipped_share_data, draw_clipped_share
from prune_core.figures.gradient_histogram import draw_gradient_histogram, gradient_histogram_data
from prune_core.figures.gradient_norm import draw_gradient_norm, gradient_norm_data
from prune_core.figures.loss_accuracy import draw_loss_accuracy, loss_accuracy_data
from prune_core.figures.overlay import draw_overlay, overlay_data
from prune_core.figures.palette import Idea, idea_of
from prune_core.figures.sparsity import draw_sparsity, sparsity_data
from prune_core.figures.weight_histogram import draw_weight_histogram, weight_histogram_data
from prune_core.figures.words import count, percent, plural, si
from prune_core.tracking import SAMPLE_RACE
from prune_ui import explain, tradeoffs_charts, tradeoffs_read
from prune_ui.live import LiveRun, feed
from prune_ui.naming import describe, short_names
from prune_ui.race_lanes import NAMES, lines
from prune_ui.race_state import view_of
from prune_ui.race_words import finding
from prune_ui.train_charts import plan

Figure = dict[str, Any]
GROW = 1.6  # times the size of all type and lines
MOST_RUNS = 6


@dataclass(frozen=True)
class Slide:
    """One picture and one sentence. ``html`` is the sentence; ``figure`` makes the picture, or there is none."""

    name: str
    html: str
    figure: Callable[[], Figure] | None = None


def slides_of(link: Mapping[str, str]) -> list[Slide]:
    """The slides that a link asks for. Raises LabError, with a sentence, where it names what is not there."""
    if sweep := link.get("sweep"):
        return [opening(), *_sweep(sweep), closing()]
    if race := link.get("race"):
        return [opening(), *_race(race), closing()]
    ids = [i for i in (link.get("runs") or link.get("run") or "").split(",") if i][:MOST_RUNS]
    if ids:
        runs = [feed().get(run_id) for run_id in ids]
        made = _run(runs[0]) if len(runs) == 1 else _runs(runs)
        return [opening(), *made, closing()]
    return [opening(), *_samples(), closing()]


def opening() -> Slide:
    """The question."""
    return Slide(
        "The question",
        "<h1>Does clipping gradients make a network smaller?</h1>"
        '<p><b class="clipping">Clipping</b> limits the update. <b class="pruning">Pruning</b> removes parameters.</p>',
    )


def closing() -> Slide:
    """What to take home."""
    return Slide(
        "To take home",
        '<h1><b class="clipping">Clipping</b> changes how a network learns, '
        '<b class="pruning">pruning</b> what is left of it.</h1>'
        "<p>Every number here was measured; every run can be opened and done again.</p>",
    )


def _samples() -> list[Slide]:
    from prune_ui import cache

    found = [feed().get(record.id) for record in cache.samples()]
    slides = [slide for run in found if run.record.experiment.clip is not None for slide in _run(run)]
    with contextlib.suppress(LabError):  # its files are missing: the others tell the story as well
        slides = [*_race(SAMPLE_RACE), *slides]
    return [*slides, *_sweep(tradeoffs_read.SAMPLE)]


def _race(race: str) -> list[Slide]:
    """Four lanes: what each has left, how well each does, what clipping does to the gradient, and the sentence."""
    view = view_of(race)
    said = "".join(
        f'<b class="{idea}">{escape(text)}</b>' if idea else escape(text) for idea, text in finding(view).parts()
    )
    rows = "".join(f'<li><b class="{lane}">{NAMES[lane]}</b>: {_worth(run)}</li>' for lane, run in view.lanes.items())
    return [
        Slide("Four lanes", f"<p>One network, the same start, the same batches.</p><ul>{rows}</ul>"),
        Slide("Who learns", "<p>All four on the same test examples.</p>", lambda: lines(view, "accuracy")),
        Slide("The loss", "<p>All four on the same batches.</p>", lambda: lines(view, "loss")),
        Slide("In one sentence", f"<h1>{said}</h1>"),
    ]


def _run(run: LiveRun) -> list[Slide]:
    """A run's story: it learned, what clipping changed, what pruning removed, what is left."""
    experiment, what = run.record.experiment, describe(run.record.experiment)
    steps = run.record.steps
    made = [
        Slide(
            "It learns",
            f"<p>{escape(what)}: {_worth(run)}</p>",
            lambda: draw_loss_accuracy.plain(
                loss_accuracy_data(run.history, run.evals, run.marks, steps), "light", _idea(run)
            ),
        )
    ]
    layer = max(run.snapshot.layers, key=lambda x: x.numel) if run.snapshot and run.snapshot.layers else None
    if experiment.clip is not None:
        clip = experiment.clip
        line = clip.threshold if clip.kind == "value" else None
        made.append(
            Slide(
                "What clipping does",
                f'<p>Clipping changed <b class="clipping">{percent(run.means["clipped"])}</b> of the gradient entries, '
                f'a mean over {plural(steps, "step")}. It removed <b class="clipping">0</b> weights.</p>',
                lambda: draw_clipped_share.plain(clipped_share_data(run.history, run.marks, steps)),
            )
        )
        if layer is not None:
            made.append(
                Slide(
                    "The gradient's entries",
                    f"<p>{escape(layer.name)}: {percent(layer.clipped)} of {count(layer.numel)} entries are cut "
                    f"at step {count(run.snapshot.step) if run.snapshot else ''}; all of them are still there.</p>",
                    lambda: draw_gradient_histogram.plain(gradient_histogram_data(layer, line)),
                )
            )
        else:
            made.append(
                Slide("The gradient's length", "<p>Before and after clipping.</p>",
                      lambda: draw_gradient_norm.plain(gradient_norm_data(run.history, None, run.marks, steps)))
            )  # fmt: skip
    if experiment.prune is not None:
        lesson = explain.lesson(experiment, run.means["clipped"], run.last.get("sparsity", 0.0), run.snapshot)
        made.append(
            Slide(
                "What pruning does",
                f'<p>Pruning removed <b class="pruning">{count(lesson.removed)}</b> of {count(lesson.weights)} '
                "weights.</p>",
                lambda: draw_sparsity.plain(sparsity_data(run.history, plan(run), run.marks, steps)),
            )
        )
    if layer is not None:
        made.append(
            Slide(
                "The weights",
                f"<p>{escape(layer.name)}: {count(layer.kept)} of {count(layer.numel)} weights are left.</p>",
                lambda: draw_weight_histogram.plain(weight_histogram_data(layer)),
            )
        )
    return made


def _runs(runs: list[LiveRun]) -> list[Slide]:
    """A comparison: one curve a run, then what each left."""
    names = short_names([run.record for run in runs])
    lines = [
        {"name": name, "idea": _idea(run), "history": run.history, "evals": run.evals}
        for name, run in zip(names, runs, strict=True)
    ]
    rows = "".join(f"<li>{escape(name)}: {_worth(run)}</li>" for name, run in zip(names, runs, strict=True))
    many = plural(len(runs), "run")
    return [
        Slide("Accuracy", f"<p>{many}, on the same axes.</p>", lambda: draw_overlay.plain(overlay_data(lines))),
        Slide(
            "Weights removed",
            "<p>Share of weights removed, step by step.</p>",
            lambda: draw_overlay.plain(overlay_data(lines, "sparsity")),
        ),
        Slide("What is left", f"<ul>{rows}</ul>"),
    ]


def _idea(run: LiveRun) -> Idea:
    experiment = run.record.experiment
    return idea_of(clipped=experiment.clip is not None, pruned=experiment.prune is not None)


def _sweep(sweep_id: str) -> list[Slide]:
    view = tradeoffs_read.sample() if sweep_id == tradeoffs_read.SAMPLE else tradeoffs_read.view(sweep_id)
    shown = tradeoffs_charts.shown_of(view)
    return [
        Slide(
            "The trade-off",
            f"<p>{plural(len(view.results), 'run')}, measured: {escape(view.name)}.</p>",
            lambda: tradeoffs_charts.trade_figure(shown),
        )
    ]


def _worth(run: LiveRun) -> str:
    """Accuracy, what is left, and bytes, as far as they are known."""
    summary = run.record.summary
    parts = []
    if len(run.evals):
        parts.append(f"{percent(float(run.evals['accuracy'].iloc[-1]))} of test examples right")
    if summary.get("nonzero") is not None:
        parts.append(f"{count(summary['nonzero'])} of {count(summary['parameters'])} parameters not zero")
    if summary.get("kept_bytes") is not None:
        parts.append(f"{si(summary['kept_bytes'], 'B')} with zeros left out")
    return ", ".join(parts) + "." if parts else "no accuracy yet."


def enlarged(figure: Figure) -> Figure:
    """The figure for the back row: all type and lines larger, nothing else changed."""
    big = copy.deepcopy(figure)
    layout = big["layout"]
    layout["font"] = {**layout.get("font", {}), "size": 13 * GROW}
    title = layout.setdefault("title", {})
    title["font"] = {**title.get("font", {}), "size": 16 * GROW}
    if title.get("subtitle", {}).get("text"):
        title["subtitle"] = {**title["subtitle"], "font": {"size": 13 * GROW}}
    layout["margin"] = {**layout.get("margin", {}), "r": 22}  # the last number on the axis needs more room, too
    layout["legend"] = {**layout.get("legend", {}), "font": {"size": 13 * GROW}}
    for name in {"xaxis", "yaxis", *(n for n in layout if n.startswith(("xaxis", "yaxis")))}:
        axis = layout[name] = {**layout.get(name, {})}
        axis["tickfont"] = {**axis.get("tickfont", {}), "size": 12 * GROW}
        axis["title"] = {**axis.get("title", {})}
        axis["title"]["font"] = {**axis["title"].get("font", {}), "size": 13 * GROW}
    for note in layout.get("annotations", ()):
        note["font"] = {**note.get("font", {}), "size": note.get("font", {}).get("size", 12) * GROW}
    for trace in big["data"]:
        if "line" in trace and trace["line"].get("width", 2):
            trace["line"]["width"] = trace["line"].get("width", 2) * GROW
        size = trace.get("marker", {}).get("size")
        if isinstance(size, int | float):
            trace["marker"]["size"] = size * GROW
        elif isinstance(size, list):
            trace["marker"]["size"] = [one * GROW for one in size]
    return big
