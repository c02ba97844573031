"""The Clipping page: whose gradient in the side bar; one fragment with the sliders, and one with the cliff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from prune_core import export
from prune_core.clipping.curves import Lane, threshold_spec
from prune_core.errors import LabError
from prune_core.jobs import GradientReply, SupersededError
from prune_ui import clipping_charts as charts
from prune_ui import clipping_gradient as gradients
from prune_ui import clipping_state as state
from prune_ui import clipping_words as words
from prune_ui import formulas, take_away
from prune_ui.clipping_state import Source
from prune_ui.fields import field_help, log_options, number_label
from prune_ui.options import not_offered
from prune_ui.session import Key

ROOM = 20  # letters of a slider's label beside which its sign still stands in the same line
CLIFF = {"map": "Map", "surface": "Surface"}
SHOWN = {"changed": "Entries changed", "turned": "Turn", "left": "Length left"}


def panel() -> None:
    """Draw the choice of the gradient in the side bar."""
    for key in (state.KIND, state.CHOSEN):
        key.set(key.get())  # a widget's value is forgotten when the visitor looks at another page
    with st.container(border=True):
        st.radio("Whose gradient", (state.RUNS, state.FRESH), key=state.KIND.name)
        if state.KIND.get() == state.FRESH:
            form = state.fresh_form()
            form.part("data")
            form.part("model")
            form.field("train.lr")
            form.field("train.seed")
            for path in ("", "train"):
                form.problem(path)
        elif runs := state.candidates():
            if state.CHOSEN.get() not in runs:
                state.source()
            st.selectbox("Run", list(runs), key=state.CHOSEN.name, format_func=lambda i: runs.get(i, i))
        else:
            st.caption("There is no run yet.")
    source = state.source()
    with st.container(border=True, key="settings_clip"):
        state.MOMENT.set(state.MOMENT.get())
        state.BATCH.set(state.BATCH.get())
        state.DRAW.set(state.DRAW.get())
        moments = state.moments(state.steps(source))
        st.select_slider(
            "Moment of training", moments, key=state.MOMENT.name, format_func=state.moment_label,
            help="After how many updates the gradient is taken. A moment before the end of a run is reached by "
            "training it once more in the engine, from the same seed.",
        )  # fmt: skip
        sizes = sorted({*state.EXAMPLES, state.BATCH.get()})
        st.select_slider(
            "Examples in the batch", sizes, key=state.BATCH.name,
            help="The more examples are averaged, the shorter and steadier is the gradient.",
        )  # fmt: skip
        st.number_input(
            "Batch number", 0, 10_000, key=state.DRAW.name, step=1, help="Another number draws other training examples."
        )


def show() -> None:
    """Draw the page."""
    st.fragment(_gradient)()
    st.fragment(_cliff)()


def _gradient() -> None:
    source = state.source()
    if said := state.SAID.pop():
        st.error(said, icon=":material/error:")
    if lost := state.LOST.get():
        st.error(f"Run {lost} is not in this lab, or has made no step yet.", icon=":material/error:")
    if source is None:
        st.info("Choose a run, or a model that fits its data, in the side bar.", icon=":material/tune:")
        state.keep_link(None)
        return
    reply = _answer(source)
    if reply is None:
        return
    if all(lane.why for lane in reply.lanes):
        st.info("No strategy changes anything here: this gradient is zero, or not finite.", icon=":material/info:")
        return
    lane, at = state.in_hand(reply.lanes), state.places(reply.lanes)
    state.LANE.set(lane.name)
    st.html(words.lesson(source, reply, lane, at[lane.name]))
    _strategies(reply)
    _sliders(reply, at)
    moved = partial(state.take, lane)
    _curves(reply, at, lane, moved)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.histogram(source.key, reply, lane, at[lane.name], moved)
    with right:
        charts.arrows(reply.lanes, at, lane)
        st.caption(
            "Each arrow lies in the plane of the true gradient and of what its strategy leaves of it: lengths, and "
            "angles to the true gradient, are exact. Two clipped arrows lie in different planes."
        )
    _layers(reply, at)
    threshold, remembers = float(lane.thresholds[at[lane.name]]), bool(lane.state)
    take_away.box(
        lambda: export.clip_code(source.request, lane.strategy, threshold, remembers=remembers), key="clipping/code"
    )
    state.keep_link(source)


def _answer(source: Source) -> GradientReply | None:
    """The gradient; a sentence where there is none."""
    if (reply := gradients.known(source)) is not None:
        return reply
    try:
        with st.spinner(
            f"Training {source.name} to that moment ..." if source.request.step else "Taking the gradient ..."
        ):
            return gradients.asked(source)
    except SupersededError:
        return None
    except (LabError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        st.button("Try again", key="clipping/again", icon=":material/refresh:")
        state.keep_link(source)
        return None


def _strategies(reply: GradientReply) -> None:
    """Which strategy is in hand."""
    labels = {lane.name: lane.label for lane in reply.lanes if not lane.why}
    st.pills(
        "Strategy in hand", list(labels), key=state.LANE.name, format_func=lambda name: labels.get(name, name),
        label_visibility="collapsed", required=True,
    )  # fmt: skip


def _sliders(reply: GradientReply, at: Mapping[str, int]) -> None:
    """A threshold for every strategy."""
    with st.container(key="clipping_sliders"):
        for lane in reply.lanes:
            if not lane.why:
                _slider(lane, at[lane.name])


def _slider(lane: Lane, place: int) -> None:
    options = lane.thresholds.tolist()
    key = f"clipping/at/{lane.name}"
    st.session_state[key] = options[place]
    spec = threshold_spec(lane.strategy)
    sign = spec.label.split()[-1] if len(spec.label.split()[-1]) <= 2 else spec.unit
    label = f"{lane.label} · {sign}" if sign and len(lane.label) < ROOM else lane.label
    st.select_slider(
        label, options, options[place], key=key, format_func=number_label, on_change=_slid, args=(lane.name, key),
        help=field_help(spec),
    )  # fmt: skip


def _slid(name: str, key: str) -> None:
    state.set_threshold(name, st.session_state[key])


def _curves(reply: GradientReply, at: Mapping[str, int], lane: Lane, moved: Callable[[float], None]) -> None:
    """Three measures over the threshold."""
    st.html(charts.legend(reply.lanes, lane))
    for column, measure in zip(st.columns(3, gap="medium"), charts.MEASURES, strict=True):
        with column:
            charts.curve(measure, reply.lanes, at, lane, moved)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="clipping_formula"):
        st.markdown(formulas.line(words.formula(lane, at[lane.name], reply)), width="stretch")
        st.download_button(
            "All curves (CSV)", lambda: words.table(reply.lanes).to_csv(index=False), "clipping.csv", "text/csv",
            key="clipping/csv", icon=":material/download:", type="tertiary", on_click="ignore",
        )  # fmt: skip
    st.caption(
        "Dots stand where the sliders do. Thresholds of different strategies have different units; here each is drawn "
        "at its share of the smallest threshold that leaves the gradient as it is."
    )
    not_offered({lane.label: lane.why for lane in reply.lanes if lane.why})


def _layers(reply: GradientReply, at: Mapping[str, int]) -> None:
    with st.container(border=True, key="clipping_layers"):
        state.SHOWN.set(state.SHOWN.get())
        st.segmented_control(
            "What the map shows", list(SHOWN), key=state.SHOWN.name, format_func=lambda name: SHOWN[name],
            label_visibility="collapsed", required=True,
        )  # fmt: skip
        charts.layers(reply, at, state.SHOWN.get())


def _cliff() -> None:
    """The surface with a wall, and three descents."""
    with st.container(border=True, key="clipping_cliff"):
        st.markdown("**Why anybody clips: the cliff**")
        st.caption(
            "A recurrent unit, $x_t = w\\,\\sigma(x_{t-1}) + b$, is to end at $\\sigma(x_{50}) = 0.7$. Its loss over "
            "$w$ and $b$ has a wall, and at the wall a gradient that is many times longer than elsewhere (Pascanu, "
            "Mikolov, Bengio 2013)."
        )
        paths = state.descents()
        st.html(words.cliff_lesson(paths))
        with st.container(horizontal=True, gap="medium", key="clipping_cliff_sliders"):
            _log_slider("Learning rate", state.CLIFF_LR, state.LR_SPAN, "How far one update goes along the gradient.")
            _log_slider(
                "Clip threshold", state.CLIFF_CLIP, state.CLIP_SPAN,
                "Longest gradient with clipping by norm; largest of the two entries with clipping by value.",
            )  # fmt: skip
            state.CLIFF_SHOWN.set(state.CLIFF_SHOWN.get())
            st.segmented_control(
                "Shown as", list(CLIFF), key=state.CLIFF_SHOWN.name, format_func=lambda name: CLIFF[name], required=True
            )
        left, right = st.columns(2, gap="medium")
        with left:
            (charts.cliff_surface if state.CLIFF_SHOWN.get() == "surface" else charts.cliff)(paths)
        with right:
            charts.cliff_loss(paths)
    if (source := state.source()) is not None:
        state.keep_link(source)


def _log_slider(label: str, key: Key[float], span: tuple[float, float], help: str) -> None:
    options = log_options(span, key.get())
    widget = f"{key.name}#slider"
    value = min(options, key=lambda o: abs(o - key.get()))
    st.session_state[widget] = value

    def moved() -> None:
        key.set(float(st.session_state[widget]))

    st.select_slider(label, options, value, key=widget, format_func=number_label, on_change=moved, help=help)
