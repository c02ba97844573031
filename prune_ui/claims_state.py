"""What is chosen on the Claims page, what the URL says of it, and what its buttons do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prune_core.claims import Claim
from prune_core.claims.base import WORDS
from prune_core.errors import LabError
from prune_core.jobs import Estimate
from prune_ui import predict, session
from prune_ui.claims_read import View, samples, view
from prune_ui.forms import Form
from prune_ui.predict import Question
from prune_ui.session import Key

ANSWERS = tuple(WORDS)
PAGE = "claims"
CLAIM: Key[str] = Key("claims/claim", "")  # empty: all of them
TRIALS: Key[dict[str, str]] = Key("claims/trials", {})  # by claim: the trial that is shown; none: the sample
OPEN: Key[bool] = Key("claims/open", False)  # the settings
SAID: Key[str] = Key("claims/said", "")
AGAIN: Key[bool] = Key("claims/again", False)  # a fragment changed something outside itself
STARTED: Key[tuple[str, float]] = Key("claims/started", ("", 0.0))  # what was started last, and when
GUESS: Key[bool] = Key("claims/guess first", False)  # verdicts are shown to who has guessed them
FIRST = "guess"  # what the URL calls that
TWICE_S = 10.0


def form_of(name: str) -> Form[Any]:
    """The settings that a visitor has for a claim."""
    cls: type[Claim] = Claim.registry[name].cls
    return Form(f"claims/{name}", cls, cls)


def open_link() -> None:
    """Take what the URL says."""
    params = session.read_link(PAGE)
    if params is None:
        return
    GUESS.set(params.pop(FIRST, "") == "first")
    name, trial = params.pop("claim", "")[:64], params.pop("trial", "")[:64]
    if name and name not in Claim.registry:
        SAID.set(f"There is no claim {name!r} here.")
        name = ""
    if trial:
        try:
            found = view(trial)
        except LabError as error:
            SAID.set(str(error))
        else:
            name = found.claim.registered_as
            show_trial(name, trial)
            form_of(name).take(found.claim)
    elif name:
        show_trial(name, "")
        if wrong := form_of(name).read(params):
            SAID.set(" ".join(wrong))
    CLAIM.set(name)


def keep_link(shown: View | None) -> None:
    """Make the URL say what is shown; nothing while that is the list."""
    name = CLAIM.get()
    params = {"claim": name, FIRST: "first" if GUESS.get() else ""}
    if shown is not None and not shown.sample:
        params["trial"] = shown.id
    elif name:
        params |= form_of(name).draft.params()
    session.write_link(PAGE, params)


def question(shown: View) -> Question:
    """What a visitor is asked before the verdict of a trial is shown."""
    return Question(f"claims/{shown.claim.registered_as}/{shown.id}", "What will the verdict be?", ANSWERS)


def hidden(shown: View | None) -> bool:
    """Whether the verdict waits for the visitor's guess."""
    if shown is None or shown.verdict is None or not GUESS.get():
        return False
    return predict.guessed(question(shown)) is None


def shown(name: str) -> View | None:
    """The visitor's trial of a claim, else its sample; None where there is neither."""
    trial = TRIALS.get().get(name, "")
    if trial:
        try:
            return view(trial)
        except LabError as error:
            SAID.set(str(error))
            show_trial(name, "")
    return samples().get(name)


def show_trial(name: str, trial: str) -> None:
    """Show a trial of a claim from now on; empty: its sample."""
    TRIALS.set({**TRIALS.get(), name: trial})


def choose(name: str) -> None:
    """Open a claim; empty: go back to all of them."""
    CLAIM.set(name)
    OPEN.set(False)


def start(claim: Claim, estimate: Estimate | None) -> None:
    """Put a claim on trial; a second click before the page has answered the first does nothing."""
    text, at = STARTED.get()
    key = str(claim.to_dict())
    if text == key and time.monotonic() - at < TWICE_S:
        return
    STARTED.set((key, time.monotonic()))

    def begin() -> None:
        handle = session.lab().trial(claim, owner=session.owner(), where="workers", estimate=estimate)
        show_trial(claim.registered_as, handle.id)
        OPEN.set(False)

    if not act(begin):
        STARTED.pop()


def tried(claim: Claim) -> bool:
    """Whether this very trial goes on or is done in this lab, whoever began it."""
    try:
        return session.lab().tried(claim) is not None
    except LabError:
        return False


def steer(trial: str, what: str) -> None:
    """stop, resume or measure_again a trial of one's own; whose it is is checked again with every click."""

    def begin() -> None:
        if not view(trial).mine:
            SAID.set("This trial belongs to somebody else: you can look at it, and start your own with its settings.")
            return
        getattr(session.lab().trial_handle(trial), what)()
        view(trial, now=True)
        AGAIN.set(True)

    act(begin)


def act(action: Callable[[], object]) -> bool:
    """Do it; a LabError becomes a sentence on the page. Returns whether it went well."""
    try:
        action()
    except (LabError, OSError) as error:
        SAID.set(str(error))
        return False
    return True
