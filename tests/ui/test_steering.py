"""A slider that steers: a visitor's moves count, what a browser reports of the page's own does not."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest


def _draw() -> None:
    import streamlit as st

    from prune_core.clipping import ValueClip
    from prune_ui.steering import slider, spec_of

    def changed(value: float) -> None:
        st.session_state["moves"].append(value)
        st.session_state["page"] = value

    spec = spec_of(ValueClip(), "threshold")
    slider("it", "Clip threshold", spec, st.session_state["page"], changed, disabled=False)


def _drawn(at: float) -> tuple[AppTest, list[Any]]:
    script = AppTest.from_function(_draw)
    moves: list[float] = []
    script.session_state["page"], script.session_state["moves"] = at, moves
    return script.run(), moves


def _put(script: AppTest, at: float) -> None:
    script.session_state["page"] = at
    script.run()


def _report(script: AppTest, value: float) -> None:
    script.select_slider(key="it").set_value(value).run()
    assert not script.exception


def test_a_visitor_moves_it_there_and_back() -> None:
    script, moves = _drawn(0.01)
    for value in (0.1, 0.01, 0.1):
        _report(script, value)
    assert moves == [0.1, 0.01, 0.1]


def test_both_ends_of_the_pages_own_move_are_nobodys_wish() -> None:
    script, moves = _drawn(0.01)
    _put(script, 0.1)
    for value in (0.1, 0.01, 0.1, 0.1):
        _report(script, value)
        assert script.select_slider(key="it").value == 0.1
    assert moves == []
    _report(script, 0.01)
    assert moves == [0.01], "due once: whoever wants that value gets it"


def test_of_several_moves_every_place_may_still_be_reported() -> None:
    script, moves = _drawn(0.01)
    for value in (0.1, 0.5, 0.05):
        _put(script, value)
    for value in (0.5, 0.01, 0.1, 0.05):
        _report(script, value)
    assert moves == []
    _report(script, 0.2)
    assert moves == [0.2]
