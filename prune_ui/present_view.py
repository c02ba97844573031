"""Presenter mode: one slide fills the window; the arrow keys turn it, Escape leaves. No forms.

The link holds what is shown and which slide, so that a refresh in mid-talk comes back to it. All slides of a
presentation are made from what the store or the samples hold; nothing is asked of the engine.
"""

from __future__ import annotations

import streamlit as st

from prune_core.errors import LabError
from prune_core.figures.words import count
from prune_ui import session, theme
from prune_ui.chart import chart
from prune_ui.present_slides import Slide, enlarged, slides_of
from prune_ui.session import Key

PAGE = "present"
SLIDE = "slide"
ABOUT = ("race", "run", "runs", "sweep")
HEIGHT = 560  # px
BACK: dict[str, str] = {
    "race": "pages/race.py",
    "run": "pages/runs.py",
    "runs": "pages/runs.py",
    "sweep": "pages/trade_offs.py",
}
_AT: Key[int] = Key("present/at", 0)
_ABOUT: Key[dict[str, str]] = Key("present/about", {})


def link_to(**about: str) -> None:
    """Draw the way here from a page: ``race=ID``, ``run=ID``, ``runs=ID,ID`` or ``sweep=ID``."""
    st.page_link(
        "pages/present.py", label="Present", icon=":material/slideshow:", query_params=about,
        help="One chart at a time, large, with the arrow keys.",
    )  # fmt: skip


def show() -> None:
    """Draw the slide whose turn it is."""
    theme.only_here("slide")
    _open()
    about = _ABOUT.get()
    try:
        slides = slides_of(about)
    except LabError as error:
        st.warning(f"{error} The samples are shown instead.", icon=":material/link_off:")
        slides = slides_of({})
    at = min(max(_AT.get(), 0), len(slides) - 1)
    with st.container(key="present_slide"):
        _slide(slides[at])
    _buttons(at, slides, about)
    session.write_link(PAGE, {**about, SLIDE: str(at + 1) if at else ""})


def _open() -> None:
    params = session.read_link(PAGE)
    if params is None:
        return
    _ABOUT.set({name: params[name] for name in ABOUT if params.get(name)})
    wanted = params.get(SLIDE, "1")
    _AT.set(int(wanted) - 1 if wanted.isdigit() and wanted != "0" else 0)


def _slide(slide: Slide) -> None:
    st.html(f'<div class="lab-slide">{slide.html}</div>')
    if slide.figure is not None:
        figure = enlarged(slide.figure())
        # one key for all: the next slide's chart takes the place of the last one's, without an empty moment
        figure["layout"]["uirevision"] = slide.name
        chart(figure, key="present/chart", height=HEIGHT, alt=figure["layout"]["meta"].get("alt", ""))


def _buttons(at: int, slides: list[Slide], about: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="present_buttons"):
        st.button(
            "Back", key="present/back", icon=":material/arrow_back:", shortcut="Left", disabled=at == 0,
            on_click=_AT.set, args=(at - 1,),
        )  # fmt: skip
        st.button(
            "Next", key="present/next", icon=":material/arrow_forward:", shortcut="Right",
            disabled=at == len(slides) - 1, on_click=_AT.set, args=(at + 1,),
        )  # fmt: skip
        st.caption(f"{count(at + 1)} of {count(len(slides))} · {slides[at].name}", width="content")
        if st.button("Leave", key="present/leave", icon=":material/close:", shortcut="Escape", type="tertiary"):
            page = next((page for name, page in BACK.items() if name in about), "pages/race.py")
            st.switch_page(page, query_params={k: v for k, v in about.items() if BACK.get(k) == page})
