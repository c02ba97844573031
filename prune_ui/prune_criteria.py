"""The section "Criteria": several of them on the same model, their curves, and whether they agree."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from prune_core.errors import ConfigError
from prune_core.figures.agreement import agreement_data, draw_agreement
from prune_core.figures.criteria_curves import criteria_curves_data, draw_criteria_curves
from prune_core.figures.words import percent
from prune_core.jobs import AgreementProbe, AgreementReply, PreviewReply
from prune_core.jobs.answers import Question
from prune_core.probing import agreement_findings, curve_sentence
from prune_core.pruning import Criterion, check_together
from prune_ui import prune_asking as asking
from prune_ui import prune_charts as charts
from prune_ui import prune_curve, session
from prune_ui import prune_state as state
from prune_ui.naming import part_label
from prune_ui.options import why as reason
from prune_ui.prune_asking import Asked
from prune_ui.prune_state import Source
from prune_ui.session import Key

LEAST, MOST = 2, 5
LARGE = 5_000_000  # weights from which on scoring takes seconds
DEFAULT = ("magnitude", "random", "relative_magnitude", "lamp", "taylor")
CHOSEN: Key[list[str]] = Key("prune/compare", list(DEFAULT))
BEFORE: Key[tuple[tuple[str, ...], AgreementReply] | None] = Key("prune/compare/before", None)
"""The last answer and of which criteria: what stands while a newer one is on its way."""
STOPPED: Key[tuple[str, pd.DataFrame] | None] = Key("prune/compare/stopped", None)
"""Which comparison was stopped, and what was measured by then."""
COLUMNS = ["criterion", "asked", "sparsity", "accuracy", "low", "high", "loss", "examples"]


def section(source: Source, reply: PreviewReply) -> bool:
    """Draw it; returns whether more will come."""
    names = _choose(source)
    if len(names) < LEAST:
        st.info(f"Choose {LEAST} to {MOST} criteria to compare.", icon=":material/compare_arrows:")
        return False
    place = st.container()
    table, more = pd.DataFrame(columns=COLUMNS), False
    if reply.accuracy is not None:
        table, more = _curves(source, reply, names)
    else:
        st.caption("No test data belongs to this model, so there are no curves; what the criteria say is compared.")
    found, waiting = _agreement(source, reply, names)
    if found is not None:
        rho, both = (pd.DataFrame(m, _labels(names), _labels(names)) for m in (found.correlation, found.overlap))
        said = [*agreement_findings(rho, both, found.chance), curve_sentence(table, reply.sparsity)]
        place.markdown("\n".join(f"- {sentence}" for sentence in said if sentence))
        _heat_maps(found, names)
        _tables(table, rho, both)
    return more or waiting


def offered() -> dict[str, str]:
    """Criteria by name, and why one cannot be compared here; "" where it can."""
    there = frozenset() if state.KIND.get() == state.PUBLISHED else frozenset({"model", "data"})
    found = {}
    for entry in Criterion.registry:
        why = ""
        if not entry.cls.needs <= there:
            why = "follows a training run" if "training" in entry.cls.needs else "looks at data, which a run has"
        elif entry.cls().rounds_to(state.MOST) > 1:
            why = "removes in rounds, scored anew in each"
        else:
            try:
                check_together(entry.cls(), state.SCOPE.get(), state.grain())  # type: ignore[arg-type]
            except ConfigError as error:
                why = reason(str(error))
        found[entry.name] = why
    return found


def _choose(source: Source) -> list[str]:
    every = offered()
    session.hold(CHOSEN)
    can = [name for name, why in every.items() if not why]
    chosen = [name for name in CHOSEN.get() if name in can][:MOST]
    if not chosen:
        chosen = [name for name in DEFAULT if name in can] or can[:LEAST]
    CHOSEN.set(chosen)
    st.multiselect(
        "Criteria side by side", can, key=CHOSEN.name, max_selections=MOST,
        format_func=lambda name: part_label("prune.criterion", name),
        help=f"{LEAST} to {MOST}. All score the same weights, and are compared at the sparsity of the slider.",
    )  # fmt: skip
    early = [n for n in CHOSEN.get() if Criterion.registry[n].cls.before_training]
    if early and state.KIND.get() != state.FRESH:
        st.caption(
            f"{', '.join(_labels(early))}: defined for before training; here the formula scores the trained weights."
        )
    return list(CHOSEN.get())


def _curves(source: Source, reply: PreviewReply, names: list[str]) -> tuple[pd.DataFrame, bool]:
    """The points so far, and whether more will come."""
    # as the curve of the first section asks: what is measured there is known here
    bare = source.request(budget_s=prune_curve.BUDGET_S).replace(layer="", picture=False)
    shares = prune_curve.within(bare.granularity.most)
    questions: list[Question] = [
        bare.replace(sparsity=share, criterion=Criterion.registry[name].cls()) for share in shares for name in names
    ]
    key = f"{source.stamp}/{names}/{bare.model_dump_json()}"
    before = STOPPED.get()
    stopped = before is not None and before[0] == key
    asked = None if stopped else asking.ask(state.window(), "criteria", source.stamp, questions)
    table = before[1] if before is not None and stopped else None
    if asked is not None:
        table = asking.look(asked, "criteria", partial(_table, shares=shares, names=names))
    if table is None:
        return pd.DataFrame(columns=COLUMNS), False
    n, of = (reply.dense.n, reply.dense.of) if reply.dense else (None, None)
    figure = draw_criteria_curves.plain(
        criteria_curves_data(
            table, _labels(names), dense=reply.dense.accuracy if reply.dense else None, at=reply.sparsity, n=n, total=of
        )
    )
    charts.show("criteria", figure)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="prune_criteria_controls"):
        if asked is not None and not asked.answers.done:
            st.progress(len(table) / asked.total, text=f"{len(table)} of {asked.total} points measured")
            st.button("Stop", key="prune/criteria/stop", icon=":material/stop:", on_click=_stop,
                      args=(key, table, asked))  # fmt: skip
        elif stopped:
            st.caption(f"Stopped: {len(table)} of {len(questions)} points are measured.", width="content")
            st.button(
                "Go on", key="prune/criteria/go", icon=":material/play_arrow:", on_click=STOPPED.set, args=(None,)
            )
    return table, asked is not None and not asked.answers.done


def _table(replies: dict[int, Any], shares: tuple[float, ...], names: list[str]) -> pd.DataFrame:
    called = _labels(names)
    rows = [
        (called[i % len(names)], shares[i // len(names)], r.sparsity, a.accuracy, *a.interval, a.loss, a.n)
        for i, r in replies.items()
        if (a := r.accuracy) is not None
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _stop(key: str, table: pd.DataFrame, asked: Asked) -> None:
    """Measure no more of this comparison, and keep what there is; others who look at it ask again."""
    STOPPED.set((key, table))
    asked.answers.cancel()


def _agreement(source: Source, reply: PreviewReply, names: list[str]) -> tuple[AgreementReply | None, bool]:
    """The newest answer, or the last one while it is on its way."""
    of = source.request(sparsity=state.SPARSITY.get()).replace(layer="", picture=False)
    probe = AgreementProbe(of=of, criteria=tuple(Criterion.registry[name].cls() for name in names))
    probes: list[Question] = [probe]
    if sum(layer.numel for layer in reply.layers) > LARGE:  # one criterion after the other, and sliders in between
        probes = [probe.replace(criteria=probe.criteria[:k]) for k in range(LEAST, len(names) + 1)]
    asked = asking.ask(state.window(), "agreement", source.stamp, probes, patience_s=0.15)
    replies = asking.look(asked, "agreement", dict)
    if replies is None:
        return None, False
    if (found := replies.get(len(probes) - 1)) is not None:
        BEFORE.set((tuple(names), found))
        return found, False
    before = BEFORE.get()
    if before is None or before[0] != tuple(names):
        st.progress(len(replies) / len(probes), text="Scoring the weights by each criterion ...")
        return None, True
    return before[1], True


def _heat_maps(found: AgreementReply, names: list[str]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        data = agreement_data(found.correlation, _labels(names), "rank", weights=found.weights)
        charts.show("rank", draw_agreement.plain(data))
    with right:
        data = agreement_data(
            found.overlap, _labels(names), "overlap", chance=found.chance, sparsity=found.sparsity
        )  # fmt: skip
        charts.show("overlap", draw_agreement.plain(data))
    within = "all layers together" if state.SCOPE.get() == "global" else "within each layer, as the scope compares them"
    st.caption(
        f"Ranks are of weights {within}; ties share a rank. The overlap is of the masks at "
        f"{percent(found.sparsity)}: one order can still give different masks, where layers are weighed differently "
        "near the threshold."
    )


def _tables(table: pd.DataFrame, rho: pd.DataFrame, both: pd.DataFrame) -> None:
    with st.container(horizontal=True, gap="small"):
        if len(table):
            charts.download("Curves (CSV)", table, "criteria.csv", "prune/criteria/csv")
        charts.download("Rank correlation (CSV)", rho.rename_axis("criterion").reset_index(), "rank-correlation.csv",
                        "prune/rank/csv")  # fmt: skip
        charts.download("Overlap (CSV)", both.rename_axis("criterion").reset_index(), "overlap.csv", "prune/over/csv")


def _labels(names: list[str]) -> list[str]:
    return [part_label("prune.criterion", name) for name in names]


def read(text: str) -> None:
    """From the link: names with commas between."""
    names = [name for name in text.split(",") if name in Criterion.registry]
    CHOSEN.set(list(dict.fromkeys(names))[:MOST] or list(DEFAULT))


def text() -> str:
    """For the link; empty for the usual ones."""
    return "" if tuple(CHOSEN.get()) == DEFAULT else ",".join(CHOSEN.get())
