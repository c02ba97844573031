"""What is sent to the browser: small, exact where it counts, and valid JSON; and what comes back is held to bounds."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from prune_core import figures
from prune_core.errors import ConfigError
from prune_ui.chart import component, library
from prune_ui.chart.payload import encode


def read(message: bytes) -> dict[str, Any]:
    return json.loads(message)


def values(packed: Any) -> np.ndarray:
    found = np.frombuffer(base64.b64decode(packed["bdata"]), f"<{packed['dtype']}")
    return found.reshape([int(n) for n in packed["shape"].split(",")]) if "shape" in packed else found


def test_arrays_travel_in_the_smallest_type_that_holds_them() -> None:
    x, y = np.arange(1, 1001), np.linspace(0, 1, 1000)
    trace = read(encode({"data": [{"x": x, "y": y}], "layout": {}}))["data"][0]
    assert trace["x"]["dtype"] == "i2" and (values(trace["x"]) == x).all()
    assert trace["y"]["dtype"] == "f4" and np.allclose(values(trace["y"]), y, atol=1e-7)
    assert read(encode({"data": [{"x": np.array([0, 200] * 9)}], "layout": {}}))["data"][0]["x"]["dtype"] == "u1"


def test_two_dimensions_keep_their_shape() -> None:
    z = np.arange(12, dtype=float).reshape(3, 4)
    packed = read(encode({"data": [{"z": z}], "layout": {}}))["data"][0]["z"]
    assert packed["shape"] == "3,4" and (values(packed) == z).all()


def test_lines_that_share_their_x_send_it_once() -> None:
    x = np.arange(500)
    first, second = read(encode({"data": [{"x": x, "y": x * 0.5}, {"x": x, "y": x * 0.25}]}))["data"]
    assert second["x"] == {"same": first["x"]["as"]} and second["y"]["as"] != first["y"]["as"]
    lists = read(encode({"data": [{"x": [float(i)] * 9} for i in range(50)]}))["data"]
    assert [values(t["x"])[0] for t in lists] == list(range(50))  # short-lived arrays are not taken for one another


def test_numbers_that_json_cannot_hold_become_gaps() -> None:
    message = encode({"data": [{"y": [1.0, math.nan, math.inf]}], "layout": {"width": math.nan}})
    assert read(message)["data"][0]["y"] == [1.0, None, None]
    assert np.isnan(values(read(encode({"data": [{"y": np.array([math.nan] * 9)}]}))["data"][0]["y"])).all()
    huge = read(encode({"data": [{"y": np.full(9, 1e300)}]}))["data"][0]["y"]
    assert (values(huge) == 1e300).all()


def test_a_plotly_figure_and_its_plain_form_are_one_message() -> None:
    import pandas as pd

    history = pd.DataFrame({"step": np.arange(1, 3001), "sparsity": np.linspace(0, 0.9, 3000)})
    data = figures.sparsity_data(history)
    plain, drawn = encode(figures.draw_sparsity.plain(data)), encode(figures.draw_sparsity(data))
    assert {k: v for k, v in read(plain)["layout"].items() if v != []} == read(drawn)["layout"]
    assert (values(read(plain)["data"][0]["x"]) == values(read(drawn)["data"][0]["x"])).all()
    assert "template" not in read(drawn)["layout"] and read(drawn)["theme"] == "light"
    assert len(plain) < 12_000


def test_a_strange_figure_keeps_its_own_template() -> None:
    message = read(encode(go.Figure(go.Scatter(x=[1, 2], y=[3, 4]), layout={"template": "plotly_dark"})))
    assert message["theme"] == "" and message["layout"]["template"]["layout"]


def test_the_id_changes_with_the_content_only() -> None:
    one = read(encode({"data": [{"y": [1, 2]}]}))["id"]
    assert one == read(encode({"data": [{"y": [1, 2]}]}))["id"]
    assert one != read(encode({"data": [{"y": [1, 3]}]}))["id"]
    assert one != read(encode({"data": [{"y": [1, 2]}]}, drag={"value": 1}))["id"]


@pytest.mark.parametrize(
    ("sent", "value"),
    [(0.5, 0.5), (7, 1.0), (-3, 0.1), ("0.5", None), (True, None), (math.nan, None), (math.inf, None), (None, None)],
)
def test_a_drag_is_held_to_its_bounds_here(sent: Any, value: float | None) -> None:
    event = component._drag_event({"value": sent, "final": True}, {"min": 0.1, "max": 1.0})
    assert (event.value if event else None) == value


@pytest.mark.parametrize(
    ("row", "taken"), [(1, 1), (0, 0), (2, None), (-1, None), (True, None), ("0", None), (None, None)]
)
def test_a_drag_of_rows_says_which_row(row: Any, taken: int | None) -> None:
    event = component._drag_event({"value": 0.5, "row": row}, {"rows": [{"value": 0.1}, {"value": 0.2}]})
    assert (event.row if event else None) == taken


def test_a_drag_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="'axis'"):
        component._drag({"value": 1}, "light")
    with pytest.raises(ConfigError, match=r"no \['colour'\]"):
        component._drag({"axis": "x", "value": 1, "colour": "red"}, "light")
    assert (
        component._drag({"axis": "x", "value": 1, "color": "pruning"}, "dark")["color"]
        == figures.palette("dark").pruning
    )


def test_the_module_has_its_constants_and_stays_small() -> None:
    text = library.source("chart").decode()
    assert "__CONSTANTS__" not in text and figures.palette("dark").clipping in text
    assert text.count("export function draw") == 1
    assert len(library._packed("chart")) < 20_000
    assert library.path("plotly").startswith("/lab/plotly-") and library.source("plotly").startswith(b"/**")
