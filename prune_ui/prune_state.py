"""What stands on the Prune page: the model, how far it is pruned and by what; and what its controls do."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import get_args

from prune_core.data import DataSource
from prune_core.errors import ConfigError, LabError, UnknownNameError
from prune_core.jobs import PreviewReply, PreviewRequest, SupersededError
from prune_core.models import ModelSource
from prune_core.models.torchvision_models import Torchvision
from prune_core.pruning import Criterion, Granularity, Scope, Weights, check_together
from prune_core.settings import Settings, setting
from prune_core.tracking import files
from prune_ui import session
from prune_ui.forms import Form
from prune_ui.naming import part_label
from prune_ui.options import why
from prune_ui.runs_table import described, listing
from prune_ui.session import Key

PAGE = "prune"
RUNS, FRESH, PUBLISHED = "A trained run", "A fresh model", "A model of torchvision"
MOST_LISTED = 100
MOST = 0.999  # the slider's right end: at 1 nothing would be left
DEFAULT = 0.5

KIND: Key[str] = Key("prune/kind", RUNS)
CHOSEN: Key[str] = Key("prune/run", "")
ARCHITECTURE: Key[str] = Key("prune/architecture", "resnet18")
WEIGHTS: Key[str] = Key("prune/weights", "random")
MODEL: Key[str] = Key("prune/model", "small_cnn")  # of a fresh model, and the data it is for
DATA: Key[str] = Key("prune/data", "digits")
CRITERION: Key[str] = Key("prune/criterion", "magnitude")
SCOPE: Key[str] = Key("prune/scope", "global")
SPARSITY: Key[float] = Key("prune/sparsity", DEFAULT)
THRESHOLD: Key[float] = Key("prune/threshold", 0.0)
LAYER: Key[str] = Key("prune/layer", "")
GRAIN = "granularity"  # in the link
NOTE: Key[tuple[str, str]] = Key("prune/note", ("", ""))  # a criterion, and why there are no groups with it
RECALIBRATE: Key[bool] = Key("prune/recalibrate", True)
SAID: Key[str] = Key("prune/said", "")
LOST: Key[str] = Key("prune/lost", "")
"""The run of a link that cannot be shown: said until another is chosen."""
KNOWN: Key[tuple[tuple[str, ...], Source] | None] = Key("prune/known", None)
"""What was chosen, and the source that it is; forgotten with each run of the whole page."""
WINDOW: Key[str] = Key("prune/window", "")
"""Names the browser's window to the worker: two windows of one person do not supersede each other's questions."""


class Grain(Settings):
    """What of the page's choices has settings of its own."""

    granularity: Granularity = setting(Weights(), help="What goes at once: single weights, or groups of them.")


def grain_form() -> Form[Grain]:
    """The choice of granularity, with its settings."""
    return Form("prune/grain", Grain, closed=_closed)


def grain() -> Granularity:
    """What goes at once; single weights while the form is wrong."""
    return value.granularity if (value := grain_form().value) is not None else Weights()


def _closed(form: Form[Grain], path: str) -> dict[str, str]:
    return {e.name: why for e in Granularity.registry if (why := _against("global", e.cls()))}


def settle() -> str:
    """Go back to single weights where the criterion does not go with the groups chosen; says why until another is."""
    if against := _against("global", grain()):
        grain_form().put(GRAIN, "weights")
        NOTE.set((CRITERION.get(), against))
    return NOTE.get()[1] if NOTE.get()[0] == CRITERION.get() and isinstance(grain(), Weights) else ""


def scopes() -> dict[Scope, str]:
    """Every scope, and why it cannot be had with what else is chosen; "" where it can."""
    found = {scope: _against(scope, grain()) for scope in get_args(Scope)}
    if KIND.get() == PUBLISHED:
        found["sensitivity"] = "measures the loss on training examples, which a run has"
    return found


def _against(scope: Scope, granularity: Granularity) -> str:
    """Why the two do not go with the criterion chosen, "" where they do."""
    try:
        check_together(Criterion.registry[CRITERION.get()].cls(), scope, granularity)
    except ConfigError as error:
        return why(str(error))
    return ""


@dataclass(frozen=True)
class Source:
    """What is pruned: a run's checkpoint, or a model that was never trained here. ``name`` says which, for people."""

    name: str
    run: str = ""
    architecture: str = ""
    weights: str = ""
    model: str = ""
    data: str = ""
    removed: float = 0.0
    """Share that the run itself has removed: it stays removed."""

    @property
    def measured(self) -> bool:
        """Whether there are test data to measure it on."""
        return bool(self.run or self.data)

    @property
    def keeps_dense(self) -> bool:
        """Whether the run itself leaves some layers as they are, which then stay so here."""
        prune = session.store().run(self.run).experiment.prune if self.run else None
        return prune is not None and bool(prune.keep_dense)

    @property
    def stamp(self) -> str:
        """Changes when the weights do: when the run's checkpoint was written; empty without one."""
        try:
            return str(files.stamp(self.run) or "") if self.run else ""
        except LabError:  # shared files that cannot be reached: the preview says so
            return ""

    def request(self, **more: object) -> PreviewRequest:
        """A question about it."""
        criterion = Criterion.registry[CRITERION.get()].cls()
        values: dict[str, object] = {"criterion": criterion, "scope": SCOPE.get(), "layer": LAYER.get()}
        values |= {"granularity": grain(), "recalibrate": RECALIBRATE.get(), **more}
        if self.run:
            return PreviewRequest(run=self.run, **values)  # type: ignore[arg-type]
        if self.model:
            fresh, data = ModelSource.registry[self.model].cls(), DataSource.registry[self.data].cls()
            return PreviewRequest(model=fresh, data=data, **values)  # type: ignore[arg-type]
        model = Torchvision(architecture=self.architecture, weights=self.weights)  # type: ignore[arg-type]
        return PreviewRequest(model=model, **values)  # type: ignore[arg-type]


# --- choices ----------------------------------------------------------------------------------------------------------
def criteria() -> tuple[str, ...]:
    """Names of the criteria that what is chosen can be pruned by: without data, those that need only the weights.

    Those for before training are for fresh models.
    """
    there = frozenset() if KIND.get() == PUBLISHED else frozenset({"model", "data"})
    fresh = KIND.get() == FRESH
    return tuple(e.name for e in Criterion.registry if e.cls.needs <= there and _now(e.cls, fresh))


def _now(cls: type[Criterion], fresh: bool) -> bool:
    """Whether it may score what is chosen, in one round."""
    return not cls.before_training or (fresh and cls().rounds_to(MOST) == 1)


def not_offered() -> str:
    """Why the other criteria are not offered, in a sentence; "" where all are."""
    why: dict[str, list[str]] = {}
    for entry in Criterion.registry:
        if entry.name in criteria():
            continue
        reason = "looking at data, which a run has" if "data" in entry.cls.needs else "made while training, on Train"
        if entry.cls.before_training:
            reason = "in rounds, on Train" if KIND.get() == FRESH else "for before training, on Train"
        why.setdefault(reason, []).append(entry.label)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in why.items())


def candidates() -> dict[str, str]:
    """Runs that can be pruned, by id, and what they are called; samples first, then the newest."""
    found: dict[str, str] = {}
    for row in listing().frame.to_dict("records"):
        if len(found) >= MOST_LISTED:
            break
        ended = row["status"] in ("finished", "stopped", "diverged")
        if not (ended or row["sample"] or row["step"]) or not files.listed(row["id"]):
            continue
        what = str(row["name"] or described(row))
        found[row["id"]] = f"{what} (sample)" if row["sample"] else what  # a narrow menu cuts off the end
    names = list(found.values())
    return {i: name if names.count(name) == 1 else f"{name} ({i[-4:]})" for i, name in found.items()}


def source() -> Source | None:
    """What is chosen; None where there is nothing to choose. Runs are listed once a visit, not at each move."""
    known = KNOWN.get()
    if known is not None and known[0] == _chosen():
        return known[1]
    found = _source()
    if found is not None:
        KNOWN.set((_chosen(), found))
    return found


def _chosen() -> tuple[str, ...]:
    return KIND.get(), CHOSEN.get(), ARCHITECTURE.get(), WEIGHTS.get(), MODEL.get(), DATA.get()


def _source() -> Source | None:
    if KIND.get() == PUBLISHED:
        return Source(ARCHITECTURE.get(), architecture=ARCHITECTURE.get(), weights=WEIGHTS.get())
    if KIND.get() == FRESH:
        name = f"{part_label('model', MODEL.get())} for {part_label('data', DATA.get())}"
        return Source(name, model=MODEL.get(), data=DATA.get())
    runs = candidates()
    run_id = CHOSEN.get()
    if run_id and run_id not in runs:
        LOST.set(run_id[:32])
        run_id = ""
    run_id = run_id or _first(runs)
    if CHOSEN.get() != run_id:  # before its widget is there; afterwards it is one of the runs
        CHOSEN.set(run_id)
    if not run_id:
        return None
    share = listing().frame.set_index("id")["sparsity"].get(run_id)
    return Source(runs[run_id], run=run_id, removed=float(share) if share is not None and share > 0 else 0.0)


def _first(runs: dict[str, str]) -> str:
    """What the page starts with: a run with all its weights where there is one, as there is most to take from it."""
    removed = listing().frame.set_index("id")["sparsity"]
    return next((i for i in runs if not removed.get(i) > 0), next(iter(runs), ""))


def another() -> None:
    """Another model was chosen: its layers are others, and what was lost is done with."""
    LAYER.set("")
    LOST.set("")


def window() -> str:
    """The browser's window, for the worker."""
    if not WINDOW.get():
        WINDOW.set(secrets.token_hex(8))
    return WINDOW.get()


# --- the two sliders --------------------------------------------------------------------------------------------------
def ask(request: PreviewRequest, *, newest: bool = True) -> PreviewReply | None:
    """The worker's answer; None where a newer question took its place, or it cannot be answered (the page says why)."""
    try:
        return session.lab().preview(request, session=window() if newest else "", timeout=90)
    except SupersededError:
        return None
    except UnknownNameError as error:
        if request.layer:  # a link's, or the last model's: this one has others
            LAYER.set("")
            return ask(request.replace(layer=""), newest=newest)
        SAID.set(str(error))
        return None
    except LabError as error:
        SAID.set(str(error))
        return None


def set_threshold(of: Source, value: float) -> None:
    """The threshold was moved: the sparsity follows."""
    reply = ask(of.request(threshold=max(value, 0.0), picture=False, accuracy=False), newest=False)
    if reply is not None:
        SPARSITY.set(held(of, reply.sparsity))


def set_sparsity(of: Source, value: float) -> None:
    """The dot on the curve was moved."""
    SPARSITY.set(held(of, value))


def least(of: Source) -> float:
    """The slider's left end."""
    return min(math.floor(of.removed * 1000) / 1000, MOST - 0.001)


def most() -> float:
    """The slider's right end."""
    return min(math.floor(grain().most * 1000) / 1000, MOST)


def held(of: Source, value: float) -> float:
    """``value`` within the slider."""
    return min(max(float(value), least(of)), most())
