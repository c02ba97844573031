"""Forms drawn from the settings' own fields, for any registered family: nothing about a field stands here.

What is typed goes into a draft first (``prune_ui.draft``) and becomes a value when it is right; otherwise the sentence
of the ConfigError stands beside the field, and everything typed stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import streamlit as st

from prune_core.models.torchvision_models import torchvision_names
from prune_core.registry import Entry, Registered
from prune_core.settings import FieldSpec, Settings
from prune_ui.draft import NONE, ON, Built, Draft, flatten, is_part, to_text
from prune_ui.fields import (
    Span,
    choice_label,
    entry_help,
    field_help,
    log_options,
    number_label,
    plain,
    slider_span,
    tidy,
)
from prune_ui.options import not_offered

T = TypeVar("T", bound=Settings)

TITLES = {"data": "Data", "model": "Model", "train": "Training", "clip": "Clipping", "prune": "Pruning"}
ABSENT = {"clip": "No clipping", "prune": "No pruning"}
# a text field whose values are a long list that is known: by path, since the list is not the field's own
SUGGESTED: dict[str, Callable[[], tuple[str, ...]]] = {"model:torchvision.architecture": torchvision_names}
WIDEST_INT = 2**53  # beyond it a browser's numbers have gaps


class Form(Generic[T]):
    """The draft of a ``cls`` that a page keeps in the session under ``key``, and the widgets for it.

    ``default`` (a value, or what makes one) fills the draft when the session has none. ``skip`` leaves fields out.
    ``on_choose(form, path)`` is called after another part was chosen, before the script runs again.
    ``closed(form, path)`` says which options of a choice cannot go with what else is chosen, and why: they are named,
    and not offered.
    """

    def __init__(
        self,
        key: str,
        cls: type[T],
        default: T | Callable[[], T] | None = None,
        *,
        skip: frozenset[str] = frozenset(),
        on_choose: Callable[[Form[T], str], None] | None = None,
        closed: Callable[[Form[T], str], Mapping[str, str]] | None = None,
    ) -> None:
        self.key, self.on_choose, self.closed = key, on_choose, closed
        self.fresh = f"{key}/draft" not in st.session_state
        if self.fresh:
            first = default if default is None or isinstance(default, Settings) else default()
            values = dict(flatten(first)) if first is not None else {}
            st.session_state[f"{key}/draft"] = {p: v for p, v in values.items() if p.split(".")[0] not in skip}
        self.draft: Draft[T] = Draft(cls, skip, st.session_state[f"{key}/draft"])
        self._built: Built[T] | None = None

    # --- values -------------------------------------------------------------------------------------------------------
    @property
    def built(self) -> Built[T]:
        """The value, or what is wrong with it."""
        if self._built is None:
            self._built = self.draft.build()
        return self._built

    @property
    def value(self) -> T | None:
        """The value; None while something is wrong."""
        return self.built.value

    def take(self, value: T) -> None:
        """Show ``value`` from now on."""
        self.draft.take(value)
        self.draft.values = {p: v for p, v in self.draft.values.items() if p.split(".")[0] not in self.draft.skip}
        self.commit()

    def read(self, params: Mapping[str, str]) -> list[str]:
        """Take a link; returns a sentence for each part of it that means nothing."""
        wrong = self.draft.read(params)
        self.commit()
        return wrong

    def put(self, path: str, value: Any) -> None:
        """Set one field or choice, as if it had been typed. ``path`` as in a URL: ``clip.threshold``."""
        self.draft.put(self.path(path), value)
        self.commit()

    def path(self, name: str) -> str:
        """The draft's path of what a URL calls ``name``; ``name`` itself where there is no such field now."""
        from prune_ui.draft import short

        return next((p for p, _ in self.draft.walk() if short(p) == name), name)

    def commit(self) -> None:
        """Keep the draft in the session, after changes to ``draft`` itself."""
        st.session_state[f"{self.key}/draft"] = self.draft.values
        self._built = None

    def _spec(self, path: str) -> FieldSpec | None:
        return next((s for p, s in self.draft.walk() if p == path), None)

    # --- widgets ------------------------------------------------------------------------------------------------------
    def part(self, name: str, *, label: str = "", title: bool = True) -> None:
        """Draw a part: its choice, what the choice means, its fields, and what is wrong with it."""
        spec = self._spec(name)
        if spec is None:
            return
        if is_part(spec):
            self._part(name, spec, label or TITLES.get(name, spec.label), title)
        else:
            self.field(name)

    def field(self, path: str) -> None:
        """Draw one field, and what is wrong with it."""
        spec = self._spec(path) or self._spec(self.path(path))
        if spec is not None:
            self._field(path if self._spec(path) else self.path(path), spec)

    def problem(self, path: str) -> None:
        """The sentence of what is wrong at ``path``; nothing where nothing is."""
        if sentence := self.built.problems.get(path):
            st.caption(f":red[:material/error: {plain(sentence)}]")

    def _part(self, path: str, spec: FieldSpec, label: str, title: bool) -> None:
        named = issubclass(spec.type, Registered)
        if named or spec.optional:
            self._choice(path, spec, label, title)
        below = self.draft.part(path, spec)
        if below is None:
            self.problem(path)
            return
        self._fields(*below, label.lower())
        if below[1] != path:
            self.problem(below[1])
        self.problem(path)

    def _choice(self, path: str, spec: FieldSpec, label: str, title: bool) -> None:
        """The choice among registered members; for an unnamed part such as pruning, whether it is there."""
        named = issubclass(spec.type, Registered)
        kind: Any = spec.type
        entries: dict[str, Entry[Any]] = {e.name: e for e in kind.registry} if named else {}
        options = [*([NONE] if spec.optional else []), *entries]
        chosen = self.draft.kind(path, spec)
        closed = self._closed(path, chosen)
        options = [name for name in options if name not in closed]
        if not named:
            widget = self._widget(path, chosen == ON)
            st.toggle(
                label, chosen == ON, key=widget, on_change=self._toggled, args=(path, widget), help=spec.help or None
            )
            return
        place = options.index(chosen) if chosen in options else None
        widget = self._widget(path, chosen if place is not None else None)
        names = {NONE: ABSENT.get(path, f"No {label.lower()}"), **{n: e.label for n, e in entries.items()}}
        entry = entries.get(chosen)
        st.selectbox(
            label,
            options,
            place,
            key=widget,
            format_func=lambda name: names.get(name, name),
            on_change=self._chosen,
            args=(path, widget),
            help=entry_help(entry, spec),
            label_visibility="visible" if title else "collapsed",
        )
        if entry is not None and entry.summary:
            st.caption(entry.summary)
        not_offered({entries[name].label: why for name, why in closed.items() if name in entries})

    def _closed(self, path: str, chosen: str) -> dict[str, str]:
        """Options that are not offered, and why; what is chosen stays, beside its problem."""
        found = self.closed(self, path) if self.closed is not None else {}
        return {name: why for name, why in found.items() if name != chosen}

    def _fields(self, cls: type[Settings], path: str, of: str) -> None:
        """The fields of the chosen member: plain ones, then parts of its own, then the advanced ones behind a fold."""
        specs = [(f"{path}.{s.name}" if path else s.name, s) for s in cls.fields()]
        specs = [(p, s) for p, s in specs if p not in self.draft.skip]
        for p, s in specs:
            if is_part(s):
                self._part(p, s, s.label, True)
            elif not s.advanced:
                self._field(p, s)
        folded = [(p, s) for p, s in specs if s.advanced and not is_part(s)]
        if folded:
            changed = sum(self.draft.changed(p, s) for p, s in folded)
            wrong = any(p in self.built.problems for p, _ in folded)
            with st.expander(f"More {of} settings{f' · {changed} changed' if changed else ''}", expanded=wrong):
                for p, s in folded:
                    self._field(p, s)

    def _field(self, path: str, spec: FieldSpec) -> None:
        label = f"{spec.label} ({spec.unit})" if spec.unit and spec.unit != spec.label.lower() else spec.label
        given, parsed = self.draft.raw(path, spec), self.draft.parsed(path, spec)
        if path in SUGGESTED and str(parsed) in (names := SUGGESTED[path]()):
            self._select(path, spec, label, names, parsed)
        elif spec.choices:
            closed = self._closed(path, str(parsed))
            options = [*([None] if spec.optional else []), *(c for c in spec.choices if c not in closed)]
            self._select(path, spec, label, options, parsed if parsed in options else None)
            not_offered({choice_label(name): why for name, why in closed.items()})
        elif spec.type is bool:
            widget = self._widget(path, bool(parsed))
            st.toggle(
                label, bool(parsed), key=widget, on_change=self._typed, args=(path, widget), help=field_help(spec)
            )
        elif (span := slider_span(spec)) is not None and not spec.advanced:
            self._slider(path, spec, label, given, parsed, span)
        elif spec.type is int and (parsed is None or (isinstance(parsed, int) and abs(parsed) < WIDEST_INT)):
            widget = self._widget(path, parsed)
            st.number_input(
                label, key=widget, value=parsed if parsed is not None or spec.optional else "min", step=1,
                on_change=self._typed, args=(path, widget), help=field_help(spec),
                placeholder="all" if spec.optional else None,
            )  # fmt: skip
        else:
            self._text(path, spec, label, given)
        self.problem(path)

    def _select(self, path: str, spec: FieldSpec, label: str, options: Any, chosen: Any) -> None:
        widget, listed = self._widget(path, chosen), list(options)
        st.selectbox(
            label, listed, listed.index(chosen) if chosen in listed else None, key=widget, format_func=choice_label,
            on_change=self._typed, args=(path, widget), help=field_help(spec),
        )  # fmt: skip

    def _text(self, path: str, spec: FieldSpec, label: str, given: Any, **look: Any) -> None:
        shown = given if isinstance(given, str) else "" if given is None else to_text(given)
        widget = self._widget(f"{path}#text", shown)
        st.text_input(
            label, shown, key=widget, on_change=self._typed, args=(path, widget),
            help=look.pop("help", field_help(spec)), placeholder="all" if spec.optional else None, **look,
        )  # fmt: skip

    def _slider(self, path: str, spec: FieldSpec, label: str, given: Any, parsed: Any, span: Span) -> None:
        """A slider for the hand and a text field for the exact value: two views of one number."""
        usable = isinstance(parsed, int | float) and not isinstance(parsed, bool) and math.isfinite(parsed)
        value = parsed if usable else spec.default
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            if spec.log:
                options = log_options(span, value if usable else None, whole=spec.type is int)
                nearest = min(options, key=lambda o: abs(math.log(o / max(float(value), 1e-300))))
                widget = self._widget(f"{path}#slider", nearest)
                st.select_slider(
                    label, options, nearest, key=widget, format_func=number_label, on_change=self._typed,
                    args=(path, widget), help=field_help(spec),
                )  # fmt: skip
            else:
                held = min(max(float(value), span[0]), span[1])
                widget = self._widget(f"{path}#slider", held)
                st.slider(
                    label, span[0], span[1], held, key=widget, step=0.01, format="%g", on_change=self._typed,
                    args=(path, widget), help=field_help(spec),
                )  # fmt: skip
            self._text(path, spec, f"{label}, exactly", given, label_visibility="collapsed", width=92, help=None)

    # --- what widgets call --------------------------------------------------------------------------------------------
    def _widget(self, path: str, value: Any) -> str:
        """The widget's key; the widget shows ``value``, the draft's, whatever it showed before.

        Every widget also gets ``value`` as its default: a browser that sees only the second of two quick runs (the one
        in which nothing was set anew) starts from the default, and reports it back as if somebody had chosen it.
        """
        key = f"{self.key}/{path}"
        if key not in st.session_state or st.session_state[key] != value:
            st.session_state[key] = value
        return key

    def _typed(self, path: str, widget: str) -> None:
        value = st.session_state[widget]
        self.draft.put(path, tidy(value))
        self.commit()

    def _chosen(self, path: str, widget: str) -> None:
        if (name := st.session_state[widget]) is None:
            return
        self.draft.put(path, name)
        self.commit()
        if self.on_choose is not None:
            self.on_choose(self, path)

    def _toggled(self, path: str, widget: str) -> None:
        self.draft.put(path, ON if st.session_state[widget] else NONE)
        self.commit()
        if self.on_choose is not None:
            self.on_choose(self, path)
