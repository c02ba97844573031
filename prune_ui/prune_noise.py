"""The section "Noise": accuracy while noise is added to what the model sees, before and after pruning."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from prune_core.figures.noise_accuracy import draw_noise_accuracy, noise_accuracy_data
from prune_core.jobs import NoiseProbe, PreviewReply
from prune_core.probing import LEVELS
from prune_core.probing.robustness import noise_sentence, noise_table
from prune_ui import prune_asking as asking
from prune_ui import prune_charts as charts
from prune_ui import prune_state as state
from prune_ui import session
from prune_ui.prune_state import Source
from prune_ui.session import Key

EXAMPLES = 2000  # test examples of a level: an interval of two per cent either way
SEED: Key[int] = Key("prune/noise/seed", 0)


def section(source: Source, reply: PreviewReply) -> bool:
    """Draw it; returns whether more levels will come."""
    if not source.measured or reply.dense is None:
        st.info("Accuracy under noise needs test data, and none belong to this model: choose a trained run.",
                icon=":material/blur_on:")  # fmt: skip
        return False
    session.hold(SEED)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.number_input("Seed of the noise", 0, 2**31 - 1, key=SEED.name, width=150)
        st.caption(
            "Gaussian noise is added to the normalised inputs of the test split, the same for both models and for "
            "equal seeds. At noise 1 it varies as much as the inputs do.",
        )
    of = source.request(sparsity=state.SPARSITY.get()).replace(layer="", picture=False)
    probes = [NoiseProbe(of=of, level=level, examples=EXAMPLES, seed=SEED.get()) for level in LEVELS]
    asked = asking.ask(state.window(), "noise", source.stamp, probes, patience_s=0.15)
    table = asking.look(asked, "noise", _table)
    if table is None:
        return False
    if len(table):
        st.markdown(noise_sentence(table))
    classes = len(reply.dense.per_class)
    charts.show("noise", draw_noise_accuracy.plain(noise_accuracy_data(table, chance=1 / classes if classes else None)))
    if not asked.answers.done:
        measured = len(table) // 2
        st.progress(measured / asked.total, text=f"{measured} of {asked.total} levels measured")
        return True
    charts.download("Table (CSV)", table, "noise.csv", "prune/noise/csv")
    return False


def _table(replies: dict[int, Any]) -> pd.DataFrame:
    found = list(replies.values())
    return noise_table([*(("before", r.level, r.before) for r in found), *(("after", r.level, r.after) for r in found)])


def read(text: str) -> None:
    """From the link."""
    SEED.set(int(text) if text.isdigit() and int(text) < 2**31 else 0)


def text() -> str:
    """For the link; empty for seed 0."""
    return str(SEED.get()) if SEED.get() else ""
