"""What is now taken for what: the pairs of classes that are confused more often than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prune_core.figures.drawing import Plain, drawing, empty, frame
from prune_core.figures.palette import Palette
from prune_core.figures.words import plural

TITLE = "What is taken for what: mistakes that became more"
LIMIT = 10  # pairs shown


@dataclass(frozen=True, eq=False)
class ConfusionChange:
    """``pairs``, most increased first, with ``before`` and ``after`` (test examples); ``more`` are left out."""

    pairs: tuple[str, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    more: int


def confusion_change_data(confusions: Any, class_names: Sequence[str]) -> ConfusionChange:
    """From ``Forgotten.confusions``: those that increased."""
    table = pd.DataFrame(confusions, columns=None if len(confusions) else ["label", "predicted", "before", "after",
                                                                           "increase"])  # fmt: skip
    grown = table.loc[table["increase"] > 0]
    shown = grown.head(LIMIT).to_dict("records")
    return ConfusionChange(
        tuple(f"{class_names[int(r['label'])]} → {class_names[int(r['predicted'])]}" for r in shown),
        tuple(int(r["before"]) for r in shown),
        tuple(int(r["after"]) for r in shown),
        len(grown) - len(shown),
    )


def alt_confusion_change(data: ConfusionChange) -> str:
    """The picture in words."""
    if not data.pairs:
        return f"{TITLE}. No pair of classes is confused more often than before."
    first = (f"{p} from {b} to {a}" for p, b, a in zip(data.pairs[:3], data.before[:3], data.after[:3], strict=True))
    return f"{TITLE}. Most: {'; '.join(first)}."


@drawing
def draw_confusion_change(data: ConfusionChange, colours: Palette) -> Plain:
    """Two bars a pair: grey before, teal after."""
    if not data.pairs:
        return empty(TITLE, "No pair is confused more often than before.", x="test examples", y="true → predicted")
    bars = [
        {"type": "bar", "orientation": "h", "name": name, "x": list(values), "y": list(data.pairs),
         "marker": {"color": colour, "line": {"width": 0}, "pattern": {"shape": shape, "size": 5, "solidity": 0.25}},
         "text": [str(v) for v in values], "textposition": "outside", "cliponaxis": False, "textangle": 0,
         "hovertemplate": f"%{{y}}, {name}: %{{x}}<extra></extra>"}
        for name, values, colour, shape in (("before", data.before, colours.baseline, ""),
                                            ("after", data.after, colours.pruning, ""))
    ]  # fmt: skip
    more = f"; {plural(data.more, 'other pair')} grew too" if data.more else ""
    return frame(
        bars, title=TITLE, subtitle=f"True class → predicted class, test examples{more}", x="test examples",
        y="true → predicted", alt=alt_confusion_change(data), hovermode="closest", barmode="group", bargap=0.28,
        height=150 + 38 * max(len(data.pairs), 2),
        xaxis={"range": [0, 1.12 * max(*data.after, *data.before, 1)], "showgrid": True, "rangemode": "tozero"},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "nticks": len(data.pairs),
               "tickfont": {"size": 12.5, "color": colours.ink}},
    )  # fmt: skip
