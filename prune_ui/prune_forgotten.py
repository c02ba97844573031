"""The section "Forgotten": which classes and which test examples the pruned model gets wrong that it knew before."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from prune_core.figures.class_change import class_change_data, draw_class_change
from prune_core.figures.confusion_change import confusion_change_data, draw_confusion_change
from prune_core.figures.flipped_points import draw_flipped_points, flipped_points_data
from prune_core.figures.words import count, percent, plural
from prune_core.jobs import AnswersProbe, ExamplesProbe, ExamplesReply, PreviewReply, PreviewRequest
from prune_core.probing import Forgotten
from prune_core.probing.forgotten import COLUMNS, OTHER, RIGHT, WRONG
from prune_ui import prune_asking as asking
from prune_ui import prune_charts as charts
from prune_ui import prune_state as state
from prune_ui.gallery import Card, gallery
from prune_ui.prune_state import Source
from prune_ui.session import Key

PART = 1000  # test examples of one question: below a second, and sliders are answered in between
SHOWN = 24  # pictures of a page
POINTS = 2000  # of data in the plane
KINDS = {WRONG: "Newly wrong", RIGHT: "Newly right", OTHER: "Another mistake"}
MARKS = {WRONG: "wrong", RIGHT: "right", OTHER: ""}
KIND: Key[str] = Key("prune/flips", WRONG)
PAGE: Key[int] = Key("prune/flips/page", 1)
SOURCE = (
    "The question is that of Hooker, Courville, Clark, Dauphin and Frome, *What Do Compressed Deep Neural Networks "
    "Forget?* ([arXiv:1911.05248](https://arxiv.org/abs/1911.05248)): models of nearly the same accuracy may treat "
    "single classes and examples differently. They compare many trained models; this is one, so single flips may be "
    "chance."
)


def section(source: Source, reply: PreviewReply) -> bool:
    """Draw it; returns whether more will come."""
    if not source.measured or reply.accuracy is None:
        st.info("What was forgotten shows on test data, and none belong to this model: choose a trained run.",
                icon=":material/psychology_alt:")  # fmt: skip
        return False
    of = source.request(sparsity=state.SPARSITY.get()).replace(layer="", picture=False)
    parts = [AnswersProbe(of=of, start=i, stop=i + PART) for i in range(0, reply.accuracy.of, PART)]
    asked = asking.ask(state.window(), "forgotten", source.stamp, parts, patience_s=0.15)
    found = asking.look(asked, "forgotten", _joined)
    if found is None:
        return False
    more = not asked.answers.done
    if more:
        n = len(found.answers)
        st.progress(n / reply.accuracy.of, text=f"{count(n)} of {count(reply.accuracy.of)} test examples answered")
    if not len(found.answers):
        return True
    st.markdown(found.sentence)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.show("classes", draw_class_change.plain(class_change_data(found.per_class)))
    with right:
        pairs = confusion_change_data(found.confusions, found.class_names)
        charts.show("confusions", draw_confusion_change.plain(pairs))
    plane = len(next(iter(asked.answers.replies().values())).shape) == 1
    more |= _examples(source, of, found, reply.accuracy.of if plane else 0)
    _tables(found)
    st.caption(SOURCE)
    return more


def _joined(replies: dict[int, Any]) -> Forgotten:
    if not replies:
        return Forgotten(pd.DataFrame(columns=list(COLUMNS)), ())
    parts = list(replies.values())
    table = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    for name in ("label", "before", "after"):
        table[name] = table[name].astype(int)
    return Forgotten(pd.DataFrame(table), parts[0].class_names)


def _examples(source: Source, of: PreviewRequest, found: Forgotten, points: int) -> bool:
    """The examples themselves, of ``points`` in the plane (0: images); returns whether they are on their way."""
    with st.container(border=True, key="prune_flips"):
        st.markdown("**Test examples that are answered otherwise than before**")
        flips = found.flips
        if not len(flips):
            st.caption("No prediction changed.")
            return False
        counts = flips["kind"].value_counts()
        there = [kind for kind in KINDS if counts.get(kind, 0)]
        KIND.set(KIND.get() if KIND.get() in there else there[0])
        if points:
            return _shown(source, of, found, flips, points)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            st.segmented_control(
                "Which", there, key=KIND.name, required=True, label_visibility="collapsed", on_change=_first,
                format_func=lambda kind: f"{KINDS[kind]} ({counts[kind]})",
            )  # fmt: skip
            chosen = flips.loc[flips["kind"] == KIND.get()]
            pages = math.ceil(len(chosen) / SHOWN)
            PAGE.set(min(max(PAGE.get(), 1), pages))
            if pages > 1:
                st.number_input(f"Page (of {pages})", 1, pages, key=PAGE.name, width=150)
        rows = chosen.iloc[(PAGE.get() - 1) * SHOWN :][:SHOWN]
        return _shown(source, of, found, rows, 0)


def _first() -> None:
    PAGE.set(1)


def _shown(source: Source, of: PreviewRequest, found: Forgotten, rows: pd.DataFrame, points: int) -> bool:
    index = range(min(points, POINTS)) if points else rows["index"]
    # what they look like does not depend on how far the model is pruned
    bare = PreviewRequest(run=of.run, model=of.model, data=of.data, seed=of.seed)
    probe = ExamplesProbe(of=bare, index=tuple(int(i) for i in index))
    asked = asking.ask(state.window(), "examples", source.stamp, [probe], patience_s=0.2)
    replies = asking.look(asked, "examples", dict)
    if replies is None:
        return False
    if not replies:
        st.skeleton(height=240)
        return True
    examples: ExamplesReply = replies[0]
    if points:
        which = f"all {count(points)}" if len(examples.x) == points else f"the first {count(len(examples.x))}"
        st.caption(f"These data are points in the plane, so there are no images: {which} test points, with those "
                   "marked whose answer changed.")  # fmt: skip
        seen = found.flips.loc[found.flips["index"] < len(examples.x)]
        data = flipped_points_data(examples.x, examples.y, seen, found.class_names)
        charts.show("points", draw_flipped_points.plain(data))
        return False
    st.html(gallery([_card(row, image, found) for row, image in zip(rows.to_dict("records"), examples.x, strict=True)]))
    st.caption(
        f"{plural(len(rows), 'example')} of {count(int((found.flips['kind'] == KIND.get()).sum()))}, the surest first: "
        "the true class, then what the model said before → after, with its confidence (softmax)."
    )
    return False


def _card(row: dict[str, Any], image: np.ndarray, found: Forgotten) -> Card:
    names = found.class_names
    label, before, after = (names[int(row[name])] for name in ("label", "before", "after"))
    sure = percent(row["confidence_before"], 0), percent(row["confidence_after"], 0)
    alt = f"Test example {row['index']}: a {label}, taken for {before} before pruning and for {after} after."
    return Card(image, alt, (f"true: {label}", f"{before} → {after}", f"{sure[0]} → {sure[1]}"), MARKS[row["kind"]])


def _tables(found: Forgotten) -> None:
    with st.container(horizontal=True, gap="small"):
        names = dict(enumerate(found.class_names))
        called = partial(_called, names=names)
        charts.download("Classes (CSV)", found.per_class, "classes.csv", "prune/classes/csv")
        charts.download("Confusions (CSV)", called(found.confusions, "predicted"), "confusions.csv",
                        "prune/confusions/csv")  # fmt: skip
        charts.download("Changed answers (CSV)", called(found.flips, "before", "after"), "flips.csv",
                        "prune/flips/csv")  # fmt: skip


def _called(table: pd.DataFrame, *columns: str, names: dict[int, str]) -> pd.DataFrame:
    """With the classes' names beside their numbers."""
    return table.assign(**{f"{column}_name": table[column].map(names) for column in ("label", *columns)})
