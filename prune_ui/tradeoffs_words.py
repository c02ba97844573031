"""What the seeds say: is one method better at equal sparsity? Also when the answer is that none is shown."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from prune_core.comparing import Difference, differences, final_rows, line_fields, names_of
from prune_core.figures.words import percent, plural
from prune_ui.fields import plain
from prune_ui.session import Key
from prune_ui.tradeoffs_charts import Shown

AT: Key[float | None] = Key("tradeoffs/at", None)  # the sparsity at which methods are compared
LISTED = 6  # pairs as sentences; more as a table
MOST = 16  # methods that are compared pair by pair


def section(shown: Shown) -> None:
    """Choose a sparsity, read every pair of methods there."""
    methods = len(shown.trade.lines)
    if methods < 2:
        return
    st.subheader("Is one method better?", anchor=False)
    if methods > MOST:
        st.caption(f"{methods} methods are too many to compare each with each: keep some of them above.")
        return
    table = shown.view.made(("methods", *shown.key), lambda: _table(shown))
    levels = [float(v) for v in sorted(table["at"].unique())]
    if not levels:
        return
    if len(levels) > LISTED and len(levels) == len(table):
        st.caption("No two runs aim at the same sparsity, so that methods cannot be compared at an equal one.")
        return
    wanted = AT.get()
    at = min(levels, key=lambda v: abs(v - wanted)) if wanted is not None else _first(shown, levels)
    key = "tradeoffs/at/widget"
    if st.session_state.get(key) != at:
        st.session_state[key] = at
    if len(levels) > 1:
        st.selectbox(
            "At equal target sparsity", levels, levels.index(at), key=key, width=260,
            format_func=lambda v: percent(v, 0),
            on_change=lambda: AT.set(st.session_state[key]),
        )  # fmt: skip
    found = shown.view.made(
        ("differences", *shown.key, at),
        lambda: differences(table[table["at"] == at], method="line", cost="at"),
    )
    _answers(sorted(found, key=lambda d: (not d.shown, d.p_holm != d.p_holm, d.p_holm)), shown.view.running)


def _table(shown: Shown) -> pd.DataFrame:
    rows = final_rows(shown.rows)
    by = line_fields(shown.rows) if shown.by is None else list(shown.by)
    lines = names_of(rows, by, shown.titles)
    return pd.DataFrame(
        {"line": lines, "at": rows["target"].fillna(0.0).round(6), "accuracy": rows["accuracy"], "seed": rows["seed"]}
    )


def _first(shown: Shown, levels: list[float]) -> float:
    """Where the first line with a knee bends, else in the middle."""
    for line in shown.trade.lines:
        if line.knee is not None:
            target = float(line.points.loc[line.knee, "target"])
            return min(levels, key=lambda v: abs(v - target))
    return levels[len(levels) // 2]


def _answers(found: list[Difference], running: bool) -> None:
    if not found:
        st.caption("Here only one method was measured.")
        return
    alone = [d for d in found if min(d.n_a, d.n_b) == 1]
    told = [d for d in found if d not in alone or len(alone) == 1]
    if len(told) <= LISTED:
        sentences = [plain(d.sentence) for d in told]
        if len(told) < len(found):  # the same sentence for each of them would bury the others
            sentences.append(
                f"{len(alone)} of {plural(len(found), 'pair')} have a method with one seed, which says nothing about a "
                f"difference{' so far' if running else '; run at least two'}."
            )
        st.markdown("\n".join(f"- {sentence}" for sentence in sentences))
    else:
        frame = pd.DataFrame(
            {
                "method": [d.a for d in found],
                "against": [d.b for d in found],
                "what the seeds say": [_short(d) for d in found],
                "p": [_p(d.p_holm) for d in found],
            }
        )
        st.dataframe(
            frame, key="tradeoffs/differences", hide_index=True,
            column_config={"p": st.column_config.TextColumn(alignment="right", width="small")},
        )  # fmt: skip
    paired = (
        "the same seeds one by one (paired t-test)" if all(d.paired for d in found) else "the means (Welch's t-test)"
    )
    st.caption(
        f"Compared are {paired}; p is corrected for {plural(len(found), 'pair')} (Holm). "
        "That no difference is shown does not mean that there is none: more seeds may show it."
    )


def _p(value: float) -> str:
    """To three decimals: more of them say nothing at a handful of seeds."""
    return "–" if value != value else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _short(d: Difference) -> str:
    """The answer where the two methods stand beside it."""
    if d.shown:
        return f"the first is better by {100 * d.low:.1f} to {100 * d.high:.1f} points"
    return "one seed says nothing" if min(d.n_a, d.n_b) < 2 else "no difference shown"
