"""Fine-tune from here: a run that starts from the pruned weights and trains what is left."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from prune_core.errors import LabError
from prune_core.experiment import Experiment, FromCheckpoint
from prune_core.figures.words import percent
from prune_core.pruning import Criterion, OneShot, Pruning, Weights
from prune_core.tracking import Store, files
from prune_core.training.checkpoint import file_sha256
from prune_ui import prune_state as state
from prune_ui import session
from prune_ui.fields import number_label
from prune_ui.prune_state import Source
from prune_ui.session import RUN, Key

STEPS: Key[int] = Key("prune/steps", 200)
FACTORS = (1.0, 0.3, 0.1, 0.03, 0.01)


def fine_tune(source: Source, sparsity: float, budget: tuple[str, ...] = ()) -> None:
    """Draw the form; its button launches the run and opens it on Train. ``budget`` has a share for every layer."""
    try:
        name, parent = _parent(session.store(), source.run)
    except LabError as error:
        st.error(str(error), icon=":material/error:")
        return
    key = "budget" if budget else "tune"
    with st.container(border=True, key=f"prune_{key}_form"):
        st.markdown("**Fine-tune with this budget**" if budget else "**Fine-tune from here**")
        st.caption(
            f"Removes {percent(sparsity)} at once and trains the weights that are left; the others stay at zero."
        )
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            session.hold(STEPS)
            st.number_input("Steps", min_value=1, max_value=1_000_000, step=50, key=STEPS.name, width=150)
            factor = st.selectbox(
                "Learning rate", FACTORS, index=2, key="prune/lr", width=190,
                format_func=lambda f: f"{number_label(parent.train.lr * f)} ({number_label(f)} × the run's)",
            )  # fmt: skip
            pressed = st.button(
                "Fine-tune", key=f"prune/{key}", type="primary", icon=":material/play_arrow:",
                disabled=sparsity <= 0, help="Starts a run, and shows it on Train.",
            )  # fmt: skip
    if pressed:
        try:
            asked = sparsity if budget else state.SPARSITY.get()
            experiment = tuned(parent, source.run, asked, STEPS.get(), parent.train.lr * float(factor), budget)
            by = " by a budget" if budget else ""
            name = f"{name or source.run[-4:]}, fine-tuned at {percent(sparsity, 0)}{by}"
            handle = session.lab().launch(experiment, name=name, owner=session.owner())
        except LabError as error:
            st.error(str(error), icon=":material/error:")
            return
        st.switch_page("pages/train.py", query_params={RUN: handle.id})


@lru_cache(maxsize=64)
def _parent(store: Store, run_id: str) -> tuple[str, Experiment]:
    """A run's name and experiment, which never change: read once, not at each move of a slider."""
    record = store.run(run_id)
    return record.name, record.experiment


def tuned(
    parent: Experiment, run_id: str, sparsity: float, steps: int, lr: float, budget: tuple[str, ...] = ()
) -> Experiment:
    """The experiment: the run's own settings from its checkpoint, pruned before the first step.

    With ``budget`` every layer loses the share that it names, single weights. Raises ConfigError where steps or
    learning rate are out of bounds, CheckpointError where the checkpoint is gone.
    """
    content = file_sha256(files.checkpoint(run_id))
    before = parent.prune or Pruning()
    criterion = Criterion.registry[state.CRITERION.get()].cls()
    # as the page shows it: shares that the run itself had are not in the preview
    prune = before.replace(
        criterion=criterion,
        scope="layer" if budget else state.SCOPE.get(),
        granularity=Weights() if budget else state.grain(),
        schedule=OneShot(final=sparsity, at=0),
        layer_sparsity=budget,
        regrow=None,
    )
    train = parent.train.replace(steps=steps, lr=lr, warmup=min(parent.train.warmup, max(steps - 1, 0)))
    return parent.replace(start=FromCheckpoint(path=files.address(run_id), sha256=content), prune=prune, train=train)
