"""A lab for the Prune page whose preview worker is this process, and what tests read off the page."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from streamlit.testing.v1 import AppTest

import prune_core as pc
from prune_core.errors import LabError
from prune_core.jobs import PreviewReply, PreviewRequest, ScanRequest
from prune_core.jobs.bench import preview
from prune_core.jobs.cells import Opening, cell, opening
from prune_core.jobs.prober import answer as probe
from prune_ui import session

Open = Callable[..., AppTest]
DENSE, PRUNED = "sample-dense", "sample-clipped-and-pruned"


class Bench:
    """A lab whose preview worker is this process; ``failing`` is raised instead of an answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[PreviewRequest, str]] = []
        self.launched: list[pc.Experiment] = []
        self.scans: list[Filling] = []
        self.probes: list[Coming] = []
        self.at_once = 10**6  # replies of a question that come by themselves
        self.failing: Exception | None = None

    def preview(self, request: PreviewRequest, *, session: str = "", timeout: float = 0) -> PreviewReply:
        self.asked.append((request, session))
        if self.failing is not None:
            raise self.failing
        reply = preview(store_url(), request)
        if isinstance(reply, LabError):
            raise reply
        return reply

    def curve(self, request: PreviewRequest, sparsities: Any) -> Any:
        return Growing(self, request, list(sparsities))

    def sensitivity(self, request: ScanRequest, *, known: Any = ()) -> Any:
        if self.failing is not None:
            raise self.failing
        self.scans.append(Filling(request, known))
        return self.scans[-1]

    def ask(self, questions: Any) -> Any:
        if self.failing is not None:
            raise self.failing
        self.probes.append(Coming(list(questions), self.at_once))
        return self.probes[-1]

    def launch(self, experiment: pc.Experiment, name: str = "", owner: str = "") -> Any:
        self.launched.append(experiment)
        return SimpleNamespace(id="aaaabbbbcccc")


class Growing:
    """A curve with one more point each time somebody looks."""

    def __init__(self, bench: Bench, request: PreviewRequest, sparsities: list[float]) -> None:
        self.bench, self.request, self.sparsities, self.seen = bench, request, sparsities, 0

    def points(self) -> list[tuple[float, PreviewReply]]:
        self.seen = min(self.seen + 1, len(self.sparsities))
        asked = self.sparsities[: self.seen]
        return [(s, self.bench.preview(self.request.replace(sparsity=s, picture=False))) for s in asked]

    @property
    def done(self) -> bool:
        return self.seen == len(self.sparsities)

    def cancel(self) -> None:
        """Nothing goes on behind it."""


class Coming:
    """Answers, as many of them as it is told; the worker is this process."""

    def __init__(self, questions: list[Any], ready: int) -> None:
        self.questions, self.ready, self.cancelled, self.known = questions, ready, False, dict[int, Any]()

    def replies(self) -> dict[int, Any]:
        for i in range(len(self.known), min(self.ready, len(self.questions))):
            self.known[i] = probe(store_url(), self.questions[i])
            if isinstance(self.known[i], LabError):
                raise self.known[i]
        return dict(self.known)

    @property
    def done(self) -> bool:
        return self.cancelled or self.ready >= len(self.questions)

    def wait(self, timeout: float) -> bool:
        return self.done

    def cancel(self) -> None:
        self.cancelled, self.ready = True, len(self.known)


class Filling:
    """A scan that has as many more cells as it is told."""

    def __init__(self, request: ScanRequest, known: Any) -> None:
        self.request, self.known, self.error, self.done = request, tuple(known), None, False
        found = opening(store_url(), request)
        assert isinstance(found, Opening), found
        self.layers, self.dense = found.layers, found.dense
        self._every = [(name, s) for name in found.layers for s in request.sparsities]
        self._stamp, self.total, self.cells, self.seconds_left = found.stamp, len(self._every), self.known, 4.0

    def fill(self, n: int) -> None:
        for layer, sparsity in self._every[len(self.cells) :][:n]:
            self.cells = (*self.cells, cell(store_url(), self.request, self._stamp, layer, sparsity))
        self.done = len(self.cells) == self.total

    def cancel(self) -> None:
        self.done = True


def store_url() -> str:
    return str(session.store().url)


def slider(page: AppTest, label: str) -> Any:
    return next(s for s in page.slider if s.label.startswith(label))


def lesson(page: AppTest) -> str:
    """The sentence at the top, without its marks."""
    return (
        next(h.proto.body for h in page.get("html") if "lab-lesson" in h.proto.body)
        .replace("\u202f", "")
        .replace("\u00a0", " ")
    )


def errors(page: AppTest) -> str:
    assert not page.exception, [e.value for e in page.exception]
    return " ".join(e.value for e in page.error)


def url(page: AppTest) -> dict[str, str]:
    found = {name: page.query_params[name] for name in page.query_params}
    return {name: value if isinstance(value, str) else value[-1] for name, value in found.items()}


def answer(**fields: Any) -> PreviewReply:
    reply = preview(store_url(), PreviewRequest(**fields))
    assert isinstance(reply, PreviewReply), reply
    return reply


def button(page: AppTest, label: str) -> Any:
    return next((b for b in page.button if b.label == label), None)


def charts(page: AppTest) -> dict[str, Any]:
    """Charts on the page by the last part of their key, each the message that goes to the browser."""
    found = {}
    for element in page.get("bidi_component"):
        found[str(element.proto.id).rpartition("prune/")[2]] = element
    return found


def said(page: AppTest) -> str:
    """All running text."""
    return " ".join(str(e.value) for kind in (page.markdown, page.caption, page.info) for e in kind)
