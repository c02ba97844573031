"""The pages' looks: css and logo from assets/, and the theme a visitor has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from prune_core.figures.palette import IDEAS, Idea, Theme, palette

ASSETS = Path(__file__).resolve().parent.parent / "assets"
ICON = ASSETS / "icon.png"
BACK = """<script>
// a page writes into its address whatever a slider does: without this, Back would go through every move of it
if (!window.labBack) {
  window.labBack = true;
  const push = history.pushState.bind(history);
  // a lesson is a page of its own: Back leads from it to the list
  const place = (url) => url.pathname + "?" + (url.searchParams.get("lesson") ?? "");
  history.pushState = (state, title, url) =>
    place(new URL(url ?? location.href, location.href)) === place(new URL(location.href))
      ? history.replaceState(state, title, url)
      : push(state, title, url);
}
</script>"""
LABELS: dict[Idea, str] = {"baseline": "baseline", "clipping": "clipping", "pruning": "pruning", "both": "both"}


def current() -> Theme:
    """The visitor's theme. Charts need not ask: they turn themselves."""
    try:
        return "dark" if st.context.theme.type == "dark" else "light"
    except (AttributeError, RuntimeError):  # no visitor: a test, or a bare script
        return "light"


@cache
def _css() -> str:
    """The pages' css with both sets of colours: the browser takes those of the theme it shows, and turns at once."""
    light, dark = palette("light"), palette("dark")

    def both(name: str) -> str:
        return f"light-dark({getattr(light, name)}, {getattr(dark, name)})"

    ideas = "".join(f".{idea} {{ --lab-idea: {both(idea)}; }}\n" for idea in IDEAS)
    named = {name: name for name in (*IDEAS, "bad", "good", "surface", "background", "ink", "muted")} | {"edge": "axis"}
    ideas += f":root {{ {' '.join(f'--lab-{n}: {both(colour)};' for n, colour in named.items())} }}\n"
    # the dark primary colour is light, so that it is seen on the page: white on it would not be read
    on_primary = '[data-testid^="stBaseButton-primary"], .stMultiSelect span[title]'
    ideas += f"{on_primary} {{ color: light-dark(#ffffff, {dark.background}); }}\n"
    return f"<style>\n{(ASSETS / 'lab.css').read_text(encoding='utf-8')}\n{ideas}</style>"


def apply() -> None:
    """Put css and logo on the page; once, at the top of app.py, after ``st.set_page_config``."""
    theme = current()
    st.html(_css())
    st.html(BACK, unsafe_allow_javascript=True)
    st.logo(str(ASSETS / f"logo-{theme}.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")


def only_here(name: str) -> None:
    """Put a css file of assets/ on this page alone, for what would cost all others time."""
    st.html(f"<style>\n{_read(name)}\n</style>")


@cache
def _read(name: str) -> str:
    return (ASSETS / f"{name}.css").read_text(encoding="utf-8")


def dot(idea: Idea, text: str = "") -> str:
    """A coloured dot and a word, as html for ``st.html``: a legend in running text."""
    return f'<span class="lab-dot {idea}" aria-hidden="true"></span>{text or LABELS[idea]}'
