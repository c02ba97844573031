"""What the tour's questions are answered with: figures of the samples, of the visitor's own race, or of the engine.

Nothing stands here as a number. Each function raises LabError with a sentence while there is nothing to answer with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from prune_core.comparing import mean_interval
from prune_core.errors import EngineError, LabError
from prune_core.figures.words import number, percent, plural
from prune_core.training import RACE_PRESETS
from prune_ui.draft import Draft
from prune_ui.predict import Answer

POINTS = 0.02  # of accuracy: what "below the dense network" means in the question


def removed_by_clipping() -> Answer:
    """The share of parameters that the clipping lane of the race on the page lost."""
    from prune_ui import race_state, race_words

    view = race_state.shown()
    found = race_words.finding(view) if view is not None else None
    if found is None or not found.n:
        raise EngineError("The answer comes when all four lanes have ended.")
    return Answer(found.lost_clipping / found.parameters, found.sentence)


def race() -> Mapping[str, str]:
    """Start a race with the settings on the page."""
    from prune_ui import race_form, race_state

    race_state.launch(race_form.race_form())
    race_state.AGAIN.pop()
    if said := race_state.SAID.pop():
        raise EngineError(said)
    return {race_state.RACE: race_state.SHOWN.get()}


def preset_link(name: str) -> dict[str, str]:
    """The link that puts a preset's settings on the Race page."""
    from prune_core.experiment import Experiment
    from prune_ui.race_form import SKIP

    preset = next(p for p in RACE_PRESETS if p.name == name)
    draft: Draft[Experiment] = Draft(Experiment, SKIP)
    draft.take(preset.experiment)
    return draft.params()


def survivors() -> Answer:
    """Which lanes of the race on the page learned, once it has ended."""
    from prune_ui import race_state, race_words

    view = race_state.shown()
    wanted = next(p for p in RACE_PRESETS if p.name == "exploding").experiment
    if view is None or view.experiment.with_(**{"train.seed": wanted.train.seed}) != wanted:
        raise EngineError("Start the race: its four lanes give the answer.")
    found = race_words.finding(view)
    if view.active or not found.n:
        raise EngineError("The lanes are on their way; the answer comes when all four have ended.")
    learned = {lane for lane, times in found.diverged.items() if not times}
    named = {
        frozenset(): "none",
        frozenset({"clipping", "both"}): "only those that clip",
        frozenset({"pruning", "both"}): "only those that prune",
        frozenset({"baseline", "clipping", "pruning", "both"}): "all four",
    }
    truth = named.get(frozenset(learned), ", ".join(sorted(learned)))
    return Answer(truth, found.sentence)


def turned(strategy: str, threshold: float) -> Answer:
    """By how much a strategy turns the gradient on the Clipping page."""
    from prune_ui import clipping_gradient, clipping_state
    from prune_ui.tour_steps import TURNS

    source = clipping_state.source()
    reply = clipping_gradient.known(source) if source is not None else None
    lane = next((lane for lane in reply.lanes if lane.name == strategy and not lane.why), None) if reply else None
    if lane is None:
        raise EngineError("The gradient is being computed; the answer comes with it.")
    place = lane.nearest(threshold)
    cosine, changed = float(lane.overall("cosine")[place]), float(lane.overall("changed")[place])
    angle = math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))
    truth = TURNS[0] if angle < 0.1 else TURNS[1] if angle < 10 else TURNS[2] if angle <= 45 else TURNS[3]
    return Answer(
        truth,
        f"{percent(changed)} of the entries were changed, and the gradient turned by {number(angle, 3)}°. "
        "Not one parameter was removed.",
    )


def pruned() -> Answer:
    """The accuracy that is left when the smallest nine of ten weights of the network on the Prune page go."""
    from prune_ui import prune_state, session

    source = prune_state.source()
    if source is None:
        raise EngineError("There is no network on the page to prune.")
    reply = session.lab().preview(source.request(sparsity=0.9, picture=False), timeout=60)
    if reply.accuracy is None or reply.dense is None:
        raise EngineError("There is no test data to measure this network on.")
    return Answer(
        reply.accuracy.accuracy,
        f"It was {percent(reply.dense.accuracy)} before, on the same {plural(reply.accuracy.n, 'test example')}. "
        "Training afterwards wins much of it back.",
    )


def move_sparsity() -> Mapping[str, str]:
    """Put the Prune page's slider to 90 %."""
    return {"run": "sample-dense", "sparsity": "0.9"}


def bend() -> Answer:
    """From which sparsity on pruning by magnitude costs two points, in the sweep that ships with the lab."""
    from prune_ui import tradeoffs_read

    rows = tradeoffs_read.sample().raw
    rows = rows[(rows["prune"] == "magnitude") & rows["accuracy"].notna()]
    if "clip" in rows and rows["clip"].isna().any():
        rows = rows[rows["clip"].isna()]
    by_target = rows.groupby("target")["accuracy"]
    if by_target.ngroups < 2:
        raise EngineError("The sample sweep cannot be read.")
    means = by_target.mean()
    dense = float(means.iloc[0])
    below = means[means < dense - POINTS]
    at = float(below.index[0]) if len(below) else 1.0
    interval = mean_interval(by_target.get_group(at).to_list()) if len(below) else None
    how = f", which leaves {percent(interval.mean)}" if interval is not None else ""
    return Answer(
        at,
        f"Of the sparsities that were measured, {percent(at, 0)} is the first that costs more than 2 points{how}; "
        f"the least pruned networks reach {percent(dense)}. Means over {plural(int(by_target.size().min()), 'seed')}.",
    )


def verdict(name: str) -> Answer:
    """What a claim's sample trial came to."""
    from prune_ui import claims_read

    view = claims_read.samples().get(name)
    if view is None or view.verdict is None:
        raise LabError("This claim's sample trial cannot be read: run it on the page.")
    on = f" It depends on {view.verdict.on}." if view.verdict.on else ""
    return Answer(str(view.verdict.word), f"{view.verdict.sentence}{on}")


def truth(sentence: str) -> Answer:
    """The sentence that the lab exists for, with the numbers of the race on the page."""
    return Answer(sentence, removed_by_clipping().words)
