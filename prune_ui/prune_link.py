"""The Prune page's address: what it says, and how the page is opened from it."""

from __future__ import annotations

from collections.abc import Container

from prune_core.data import DataSource
from prune_core.models import ModelSource
from prune_core.models.torchvision_models import torchvision_names
from prune_core.pruning import Weights
from prune_ui import prune_budget as budget
from prune_ui import prune_criteria as several
from prune_ui import prune_noise as noise
from prune_ui import prune_sections as sections
from prune_ui import prune_state as state
from prune_ui import session
from prune_ui.fields import plain
from prune_ui.prune_state import Source
from prune_ui.session import RUN, Key

TEXTS: dict[str, Key[str]] = {
    "model": state.ARCHITECTURE,
    "weights": state.WEIGHTS,
    "fresh": state.MODEL,
    "data": state.DATA,
    "criterion": state.CRITERION,
    "scope": state.SCOPE,
    "layer": state.LAYER,
}
WRONG: Key[list[str]] = Key("prune/wrong", [])
"""Sentences on the last link: the page runs again while its curve grows, and must not forget them."""


def open_link() -> list[str]:
    """Take what the URL says; returns a sentence for each part of it that meant nothing and was left out."""
    state.KNOWN.set(None)
    params = session.read_link(state.PAGE)
    if params is None:
        return WRONG.get()
    state.LOST.set("")
    if run_id := params.get(RUN, ""):
        state.KIND.set(state.RUNS)
        state.CHOSEN.set(run_id)
    elif "model" in params:
        state.KIND.set(state.PUBLISHED)
    elif "fresh" in params:
        state.KIND.set(state.FRESH)
    known: dict[str, Container[str]] = {
        "model": torchvision_names(),
        "weights": ("random", "pretrained"),
        "fresh": ModelSource.registry,
        "data": DataSource.registry,
        "criterion": state.criteria(),
        "scope": state.scopes(),
    }
    wrong = []
    for name, key in TEXTS.items():
        if (value := params.get(name)) is None:
            continue
        if name == "layer" or value in known[name]:
            key.set(value)
        else:
            wrong.append(f"In the link: {name}={plain(value[:40])} is no choice of this page; it was left out.")
    grain = {k: v for k, v in params.items() if k.partition(".")[0] == state.GRAIN}
    state.grain_form().read(grain or {state.GRAIN: "weights"})
    state.RECALIBRATE.set(params.get("recalibrate") != "off")
    sections.read(params.get("show", ""))
    several.read(params.get("compare", ""))
    budget.read(params.get("budget", ""))
    noise.read(params.get("noise", ""))
    if (text := params.get("sparsity", "")) and (share := _share(text)) is None:
        wrong.append(f"In the link: sparsity={plain(text[:40])} is no share from 0 to 1; it was left out.")
    elif text:
        state.SPARSITY.set(min(share or 0.0, state.MOST))
    WRONG.set(wrong)
    return wrong


def _share(text: str) -> float | None:
    """A share in [0, 1]; None where the text is none."""
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


def keep_link(source: Source | None) -> None:
    """Make the URL say what stands on the page."""
    if source is None:
        session.write_link(state.PAGE, {})
        return
    published = {"model": source.architecture, "weights": source.weights} if source.architecture else {}
    session.write_link(
        state.PAGE,
        {
            RUN: source.run,
            **published,
            "fresh": source.model,
            "data": source.data,
            "criterion": state.CRITERION.get(),
            "scope": state.SCOPE.get(),
            **(state.grain_form().draft.params() if not isinstance(state.grain(), Weights) else {}),
            "layer": state.LAYER.get(),
            "sparsity": f"{state.SPARSITY.get():.4g}",
            "recalibrate": "" if state.RECALIBRATE.get() else "off",
            "show": sections.text(),
            "compare": several.text(),
            "budget": budget.text(),
            "noise": noise.text(),
        },
    )
