"""A run's live charts inside Jupyter, with the same buttons and sliders as on the page.

A thread reads the store twice a second and changes the figures in place, so that they move while other cells are run,
and zoom and legend stay. It ends with the run, with ``close``, or when nothing refers to it any more.
"""

from __future__ import annotations

import threading
import weakref
from html import escape
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from prune_core.errors import ConfigError, LabError
from prune_core.events import ENDED
from prune_core.figures.clipped_share import clipped_share_data, draw_clipped_share
from prune_core.figures.gradient_norm import draw_gradient_norm, gradient_norm_data
from prune_core.figures.loss_accuracy import draw_loss_accuracy, loss_accuracy_data
from prune_core.figures.palette import Theme, idea_of
from prune_core.figures.sparsity import draw_sparsity, sparsity_data
from prune_core.figures.words import count, percent
from prune_core.jobs.handle import RunHandle

if TYPE_CHECKING:
    import ipywidgets

TICK_S = 0.5
NEEDS = "pip install ipywidgets anywidget"


class Watch:
    """What ``watch`` returns: shown by Jupyter as charts above a row of buttons.

    ``box`` is the widget, ``figures`` are its FigureWidgets by name, ``status`` is the text at the top.
    """

    def __init__(self, handle: RunHandle, theme: Theme = "light") -> None:
        self._over = threading.Event()
        widgets = _widgets()
        self.handle, self._theme = handle, theme
        self.figures = {name: go.FigureWidget(figure) for name, figure in self._drawn().items()}
        self._status = widgets.HTML()
        self._said = widgets.HTML()
        rows = [widgets.HBox(list(self.figures.values())[i : i + 2]) for i in range(0, len(self.figures), 2)]
        self.box: ipywidgets.VBox = widgets.VBox([self._status, self._controls(widgets), self._said, *rows])
        self._version: Any = None
        self.refresh()
        # the thread does not keep the watch alive: a cell that is run again leaves nothing behind
        self._thread = threading.Thread(target=_follow, args=(weakref.ref(self), self._over), daemon=True)
        self._thread.start()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        return f"Watch({self.handle!r})"

    def __del__(self) -> None:
        self._over.set()

    @property
    def status(self) -> str:
        """The text at the top, without HTML."""
        return str(self._status.value).split(">", 1)[-1].rsplit("<", 1)[0]

    @property
    def watching(self) -> bool:
        """Whether the charts still follow the run."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Follow no longer; the charts stay as they are, and so does the run."""
        self._over.set()
        self._thread.join(timeout=5)

    def refresh(self) -> bool:
        """Read the run and draw what is new; returns whether it goes on."""
        record = self.handle.record
        version = (record.status, record.step, record.accuracy, len(self.handle.marks()))
        if version != self._version:
            self._version = version
            self._status.value = f"<b>{escape(_state(record))}</b>"
            for name, figure in self._drawn().items():
                _update(self.figures[name], figure)
            for button in self._buttons:
                button.disabled = record.status in ENDED
            self._buttons[0].description = "Resume" if record.status == "paused" else "Pause"
        return record.status not in ENDED

    def _drawn(self) -> dict[str, go.Figure]:
        experiment, handle = self.handle.record.experiment, self.handle
        history, evals, marks, steps = handle.history(), handle.evals(), handle.marks(), experiment.train.steps
        idea = idea_of(clipped=experiment.clip is not None, pruned=experiment.prune is not None)
        drawn = {
            "learning": draw_loss_accuracy(loss_accuracy_data(history, evals, marks, steps), self._theme, idea),
            "norms": draw_gradient_norm(gradient_norm_data(history, None, marks, steps), self._theme),
        }
        if experiment.clip is not None:
            drawn["clipped"] = draw_clipped_share(clipped_share_data(history, marks, steps), self._theme)
        if experiment.prune is not None:
            drawn["sparsity"] = draw_sparsity(sparsity_data(history, None, marks, steps), self._theme)
        return drawn

    # --- buttons and sliders ------------------------------------------------------------------------------------------
    def _controls(self, widgets: Any) -> Any:
        experiment = self.handle.record.experiment
        pause, step, stop = (widgets.Button(description=text) for text in ("Pause", "Step", "Stop"))
        pause.on_click(lambda _: self._do(self._pause_or_resume))
        step.on_click(lambda _: self._do(self.handle.step))
        stop.on_click(lambda _: self._do(self.handle.stop))
        self._buttons = [pause, step, stop]
        self.sliders: dict[str, Any] = {}
        if experiment.clip is not None:
            self.sliders["clip_threshold"] = widgets.FloatLogSlider(
                value=experiment.clip.threshold, min=-6, max=3, description="threshold", continuous_update=False
            )
        if experiment.prune is not None:
            self.sliders["sparsity"] = widgets.FloatSlider(
                value=experiment.prune.schedule.final, min=0, max=0.99, step=0.01, description="sparsity",
                continuous_update=False,
            )  # fmt: skip
        for field, slider in self.sliders.items():
            slider.observe(lambda change, field=field: self._do(self.handle.set, **{field: change["new"]}), "value")
        return widgets.HBox([*self._buttons, *self.sliders.values()])

    def _pause_or_resume(self) -> None:
        (self.handle.resume if self.handle.status == "paused" else self.handle.pause)()

    def _do(self, action: Any, **values: float) -> None:
        """Steer; what cannot be done is a sentence below the buttons."""
        try:
            action(**values)
            self._said.value = ""
        except LabError as error:
            self._said.value = f"<span style='color:#b3261e'>{escape(str(error))}</span>"


def watch(handle: RunHandle, theme: Theme = "light") -> Watch:
    """Show a run's charts in the notebook and keep them up to date while it goes.

    Raises ConfigError where the notebook's widgets are not installed.
    """
    return Watch(handle, theme)


def _widgets() -> Any:
    try:
        import anywidget  # noqa: F401  Plotly's widget stands on it
        import ipywidgets
    except ImportError:
        raise ConfigError(f"Watching in a notebook needs its widgets: {NEEDS}, then restart the kernel.") from None
    return ipywidgets


def _follow(reference: weakref.ref[Watch], over: threading.Event) -> None:
    while not over.wait(TICK_S):
        watched = reference()
        if watched is None:
            return
        try:
            if not watched.refresh():
                return
        except LabError as error:  # the store is away for a moment
            watched._said.value = escape(str(error))
        del watched


def _state(record: Any) -> str:
    words = f"{record.status}: step {count(record.step or 0)} of {count(record.steps)}"
    if record.accuracy is not None:
        words += f", test accuracy {percent(record.accuracy)}"
    if record.sparsity:
        words += f", {percent(record.sparsity)} of the weights removed"
    return words + (f" ({record.reason})" if record.reason else "")


def _update(shown: go.FigureWidget, figure: go.Figure) -> None:
    """Bring a figure up to date in place where it has the same lines, so that the zoom stays."""
    with shown.batch_update():
        if [t.type for t in shown.data] != [t.type for t in figure.data]:
            shown.data = []
            shown.add_traces(list(figure.data))
        else:
            for old, new in zip(shown.data, figure.data, strict=True):
                old.update(new.to_plotly_json(), overwrite=False)
        shown.layout.title = figure.layout.title
        shown.layout.shapes, shown.layout.annotations = figure.layout.shapes, figure.layout.annotations
