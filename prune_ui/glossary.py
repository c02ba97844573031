"""The glossary: words of the field as pop-ups, the same words on every page, from assets/glossary.yaml.

A pop-up is the browser's own: it opens by click, by Enter and by Space, closes by Escape or a click elsewhere, and
needs no rerun of the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from html import escape

import streamlit as st
import yaml

from prune_core.errors import UnknownNameError
from prune_ui.theme import ASSETS

TITLE = "Words on this page"
WORDS: dict[str, tuple[str, ...]] = {
    "race": ("clipping", "pruning", "gradient", "threshold", "sparsity", "parameter", "MACs", "seed", "interval"),
    "clipping": ("gradient", "norm", "value clipping", "norm clipping", "cosine", "threshold", "exploding gradients"),
    "prune": ("pruning", "mask", "criterion", "magnitude", "sparsity", "scope", "granularity", "layer collapse"),
    "train": ("step", "batch", "loss", "learning rate", "momentum", "schedule", "checkpoint", "divergence"),
    "trade_offs": ("accuracy", "sparsity", "MACs", "latency", "seed", "interval", "schedule"),
    "claims": ("parameter", "interval", "seed", "latency", "rewinding", "fine-tuning", "divergence"),
    "lessons": ("gradient", "norm", "cosine", "exploding gradients", "magnitude", "sparsity", "latency"),
    "runs": ("accuracy", "loss", "sparsity", "checkpoint", "divergence"),
    "methods": ("clipping", "criterion", "granularity", "schedule", "N:M sparsity", "rewinding"),
}


@dataclass(frozen=True)
class Word:
    """One entry. ``formula`` is LaTeX or empty; ``see`` are other words; ``source`` says where it comes from."""

    name: str
    says: str
    formula: str = ""
    see: tuple[str, ...] = ()
    source: str = ""

    @property
    def anchor(self) -> str:
        """The id of its pop-up."""
        return "lab-word-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@cache
def words() -> dict[str, Word]:
    """All entries by name, in alphabetical order."""
    content = yaml.safe_load((ASSETS / "glossary.yaml").read_text(encoding="utf-8"))
    made = [
        Word(name, " ".join(e["says"].split()), e.get("formula", ""), tuple(e.get("see", ())), e.get("source", ""))
        for name, e in content.items()
    ]
    return {word.name: word for word in sorted(made, key=lambda w: w.name.lower())}


def word(name: str) -> Word:
    """The entry of that name. Raises UnknownNameError, which names the nearest."""
    if name not in words():
        raise UnknownNameError("word of the glossary", name, list(words()))
    return words()[name]


def row(names: tuple[str, ...]) -> str:
    """HTML of a row of words, each with its pop-up."""
    entries = [word(name) for name in names]
    buttons = "".join(
        f'<button type="button" class="lab-word" popovertarget="{e.anchor}">{escape(e.name)}</button>' for e in entries
    )
    return f'<div class="lab-words"><span>{TITLE}</span>{buttons}</div>{"".join(map(_popup, entries))}'


def _popup(entry: Word) -> str:
    source = f'<p class="lab-source">{escape(entry.source)}</p>' if entry.source else ""
    return (
        f'<div popover id="{entry.anchor}" class="lab-popup" role="note" aria-label="{escape(entry.name)}">'
        f"<p><b>{escape(entry.name)}</b></p><p>{escape(entry.says)}</p>{source}</div>"
    )


def show(page: str) -> None:
    """Draw the words of a page at its foot, with a way to all of them."""
    if page not in WORDS:
        return
    with st.container(key="lab_words"):
        st.html(row(WORDS[page]))


def all_words(find: str = "") -> None:
    """Draw the whole glossary, or the entries that have every word of ``find`` somewhere."""
    wanted = find.lower().split()
    found = [e for e in words().values() if all(w in f"{e.name} {e.says} {e.source}".lower() for w in wanted)]
    if not found:
        st.info("No entry has these words.", icon=":material/search_off:")
    for first in range(0, len(found), 2):
        for column, entry in zip(st.columns(2, gap="small"), found[first : first + 2], strict=False):
            with column, st.container(border=True, height="stretch"):
                st.markdown(f"**{entry.name}**")
                st.markdown(entry.says)
                if entry.formula:
                    st.latex(entry.formula)
                if entry.source or entry.see:
                    more = [entry.source] if entry.source else []
                    more += [f"See also {', '.join(entry.see)}."] if entry.see else []
                    st.caption(" · ".join(more))
