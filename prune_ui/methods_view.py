"""The Methods page: every registered way to clip and to prune, made from the registries alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from prune_core.clipping import ClipStrategy
from prune_core.pruning import Criterion, Granularity, Regrowth, Schedule
from prune_core.registry import Entry, Registered
from prune_core.settings import MISSING, FieldSpec, Settings
from prune_ui import session, theme
from prune_ui.fields import plain
from prune_ui.formulas import line
from prune_ui.methods_pictures import picture
from prune_ui.session import Key

PAGE = "methods"
COLUMNS = 2


@dataclass(frozen=True)
class Family:
    """A registry as people meet it. ``title`` is its heading, ``about`` what its members do."""

    name: str
    title: str
    about: str
    base: type[Registered]


FAMILIES = (
    Family("clipping", "Clipping", "limits an update; every parameter stays.", ClipStrategy),
    Family("criteria", "Pruning: which weights", "says how much a weight matters.", Criterion),
    Family("granularity", "Pruning: what goes at once", "says which weights go together.", Granularity),
    Family("schedules", "Pruning: when", "says how much is gone after how many steps.", Schedule),
    Family("regrowth", "Pruning: back again", "lets removed weights return while as many others go.", Regrowth),
)
ALL = "all"
NEEDS = {
    frozenset(): "Looks at the weights alone.",
    frozenset({"model"}): "Looks at the whole model, at no data.",
    frozenset({"model", "data"}): "Looks at training examples.",
    frozenset({"training"}): "Follows the weights through training.",
}

TEXT: Key[str] = Key("methods/text", "")
FAMILY: Key[str] = Key("methods/family", ALL)


def open_link() -> None:
    """Take what the URL says; what means nothing is left as it is."""
    params = session.read_link(PAGE)
    if params is None:
        return
    TEXT.set(params.get("find", "")[:60])
    wanted = params.get("family", ALL)
    FAMILY.set(wanted if wanted in (f.name for f in FAMILIES) else ALL)


def show() -> None:
    """Draw the page."""
    for key in (TEXT, FAMILY):
        key.set(key.get())  # a widget's value is forgotten when the visitor looks at another page
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.text_input(
            "Find", key=TEXT.name, placeholder="a name, an idea, an author ...", icon=":material/search:", width=320
        )
        titles = {ALL: "All", **{f.name: f.title for f in FAMILIES}}
        st.pills(
            "What", list(titles), key=FAMILY.name, required=True, wrap=True,
            format_func=lambda name: titles.get(name, name),
        )  # fmt: skip
    session.write_link(PAGE, {"find": TEXT.get(), "family": "" if FAMILY.get() == ALL else FAMILY.get()})
    found = [(family, entries) for family in FAMILIES if (entries := matching(family, TEXT.get(), FAMILY.get()))]
    if not found:
        st.info(f"No method has “{plain(TEXT.get())}” in its name, idea or source.", icon=":material/search_off:")
    for family, entries in found:
        st.subheader(family.title, anchor=False)
        st.caption(f"Each {family.about}")
        for first in range(0, len(entries), COLUMNS):
            for column, entry in zip(st.columns(COLUMNS), entries[first : first + COLUMNS], strict=False):
                with column, st.container(border=True, height="stretch"):
                    _card(family, entry)


def matching(family: Family, text: str, wanted: str = ALL) -> list[Entry[Any]]:
    """The members of a family that ``wanted`` names and that have every word of ``text`` somewhere."""
    if wanted not in (ALL, family.name):
        return []
    words = text.lower().split()
    return [e for e in family.base.registry if all(w in _searched(e) for w in words)]


def _searched(entry: Entry[Any]) -> str:
    return " ".join((entry.name, entry.label, entry.summary, entry.reference, entry.cls.__name__)).lower()


def _card(family: Family, entry: Entry[Any]) -> None:
    st.markdown(f"**{plain(entry.label)}**")
    drawn = picture(entry.cls)
    if drawn.svg:
        st.html(drawn.html(theme.current()))
    st.markdown(plain(entry.summary))
    if entry.formula:
        st.latex(entry.formula)
    if drawn.filled:
        with st.container(key=f"formula_method_{family.name}_{entry.name}"):
            st.markdown("\n\n".join(("In numbers, as drawn above", line(drawn.filled))))
    st.caption(_source(entry.reference))
    with st.expander("Picture, settings, code"):
        st.caption(plain(drawn.words))
        if family.name == "criteria":
            st.caption(NEEDS.get(entry.cls.needs, f"Looks at {', '.join(sorted(entry.cls.needs))}."))
            if entry.cls.before_training:
                st.caption("Defined before training: the schedule is one shot at step 0.")
        _settings(entry.cls)
        st.code(_code(entry.cls), language="python", wrap_lines=True)


def _source(reference: str) -> str:
    """The reference with its arXiv numbers as links."""
    text = plain(reference) if reference else "no source given"
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def _settings(cls: type[Settings]) -> None:
    """The fields as a table; plain html, as forty data frames would take seconds to draw."""
    rows = [
        {"setting": _named(s), "default": _default(s), "may be": _bounds(s), "meaning": s.help} for s in cls.fields()
    ]
    if rows:
        st.html(pd.DataFrame(rows).to_html(index=False, border=0, classes="lab-fields", escape=True))
    else:
        st.caption("It has no settings.")


def _named(spec: FieldSpec) -> str:
    return f"{spec.label} ({spec.unit})" if spec.unit else spec.label


def _default(spec: FieldSpec) -> str:
    if spec.default is MISSING:
        return "must be given"
    if isinstance(spec.default, Registered):
        entry = type(spec.default).registry.entry_of(type(spec.default))
        return entry.label if entry is not None else type(spec.default).__name__
    return f"{spec.default:g}" if isinstance(spec.default, float) else str(spec.default)


def _bounds(spec: FieldSpec) -> str:
    return ", ".join(map(str, spec.choices)) if spec.choices else spec.bounds


def _code(cls: type[Settings]) -> str:
    """The line that makes it, with its plain settings at their defaults."""
    given = [
        f"{s.name}={s.default!r}"
        for s in cls.fields()
        if not s.advanced and s.default is not MISSING and not isinstance(s.default, Settings)
    ]
    return f"pc.{escape(cls.__name__, quote=False)}({', '.join(given)})"
