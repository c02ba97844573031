"""From a run to a race with its settings: the link that other pages draw, and what the Race page adds to it.

A race needs clipping and pruning, so that lanes can leave out either. Where the settings of a link lack one, the page
fills it in from its own defaults and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import streamlit as st

from prune_core.errors import LabError
from prune_core.experiment import Experiment
from prune_core.pruning import Cubic
from prune_core.training import RACE_PRESETS
from prune_ui.draft import NONE, Draft, flatten
from prune_ui.forms import Form
from prune_ui.naming import describe
from prune_ui.session import Key

SKIP = frozenset({"start"})  # a race begins with initial weights
FILLED: Key[str] = Key("race/filled", "")


def params_of(experiment: Experiment) -> dict[str, str] | None:
    """What a link to the Race page says of an experiment; None where a part of it is not registered here."""
    try:
        draft: Draft[Experiment] = Draft(Experiment, SKIP)
        draft.take(experiment)
        return draft.params()
    except LabError:
        return None


def link_to(experiment: Experiment) -> None:
    """Draw *Race it*: the Race page with these settings."""
    params = params_of(experiment)
    if params is None:
        return
    st.page_link(
        "pages/race.py", label="Race it", icon=":material/flag:", query_params=params, help=what_it_does(experiment)
    )


def what_it_does(experiment: Experiment) -> str:
    """The link in words: what is raced, and what the race adds or leaves out."""
    missing = [word for word, part in (("clipping", experiment.clip), ("pruning", experiment.prune)) if part is None]
    parts = ["Its settings as a race: without both ideas, with either, and with both."]
    if missing:
        parts.append(f"It has no {' and no '.join(missing)}: the Race page's own is filled in.")
    if experiment.start is not None:
        parts.append("A race begins with initial weights, not with the model that this run began with.")
    return " ".join(parts)


def fill(form: Form[Experiment], params: Mapping[str, str]) -> str:
    """Give the settings of a link the clipping and pruning that it says they lack; returns the sentence that says so.

    They are those of the page's first preset; its pruning is fitted to the steps that the link asks for, from a quarter
    to three quarters of the way. Empty where nothing was missing.
    """
    first = RACE_PRESETS[0].experiment
    said: dict[str, str] = {}
    if params.get("clip") == NONE and first.clip is not None:
        _put(form, "clip", first)
        said["clipping"] = describe(first.replace(prune=None)).rpartition(" · ")[2]
    if params.get("prune") == NONE and first.prune is not None:
        steps = form.draft.parsed(*next(both for both in form.draft.walk() if both[0] == "train.steps"))
        steps = steps if isinstance(steps, int) and steps > 1 else first.train.steps
        schedule = Cubic(final=first.prune.schedule.final, start=steps // 4, stop=max(1, steps * 3 // 4), every=5)
        filled = first.with_(**{"train.steps": max(steps, first.train.steps), "prune.schedule": schedule})
        _put(form, "prune", filled)
        said["pruning"] = describe(filled.replace(clip=None)).rpartition(" · ")[2]
    sentence = ""
    if said:
        sentence = (
            f"These settings came without {' and without '.join(said)}. A race needs both, to leave out either "
            f"in turn; this page's own {'stands' if len(said) == 1 else 'stand'} in: {' and '.join(said.values())}."
        )
    FILLED.set(sentence)
    return sentence


def _put(form: Form[Experiment], part: str, experiment: Experiment) -> None:
    """Show ``part`` of ``experiment`` in the form, and leave the rest as it is."""
    form.draft.values.update({p: v for p, v in flatten(experiment) if re.split(r"[.:]", p)[0] == part})
    form.commit()


def note() -> None:
    """Draw what was filled in, for as long as no race of it was begun."""
    from prune_ui.race_state import SHOWN

    if (sentence := FILLED.get()) and not SHOWN.get().startswith("race-"):
        st.info(sentence, icon=":material/info:")
