"""What the columns of a sweep's results mean: which settings vary, which runs are one setting, what it is called.

The results have a row a run: the columns of ``FIXED`` and one more for every swept field, named by its dotted path.
Runs that differ in their seeds alone are one *setting*; a *line* is all settings that differ in sparsity alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from prune_core.comparing.intervals import mean_by

PARTS = ("data", "model", "clip", "threshold", "prune", "scope", "schedule")  # what a run is, in the order of its name
OUTCOMES = ("accuracy", "loss", "sparsity", "kept_bytes", "kept_macs", "latency_ms", "seconds")
FIXED = (
    *("member", "run", "origin", "status", "note", *PARTS, "target", "seed", *OUTCOMES, "n", "parameters", "nonzero"),
    *("dense_bytes", "macs", "latency_low_ms", "latency_high_ms"),
)
FINAL = ("finished", "diverged")  # statuses whose figures are final; a diverged run counts with its last good state
MOST_LINES = 8  # that can be told apart in one chart
ABSENT = {"clip": "no clipping", "prune": "no pruning", "threshold": "", "scope": "", "schedule": ""}
MISSING = "none"


def final_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The runs whose figures are final."""
    return table[table["status"].isin(FINAL) & table["accuracy"].notna()]


def begun(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a run: of the others it is not known yet what they are."""
    return table[table["run"] != ""] if "run" in table else table


def is_seed(column: str) -> bool:
    """Whether runs that differ in this field alone are one setting."""
    return column == "seed" or column.endswith(".seed")


def is_sparsity(column: str) -> bool:
    """Whether a field says how much is removed, and so where on its line a setting stands."""
    return column in ("target", "prune.schedule.final") or column.startswith("prune.layer_sparsity.")


def varying(table: pd.DataFrame) -> list[str]:
    """The settings that are not the same in all rows, seeds left out, each once however many columns say it.

    What the run is comes first, then the swept paths in their order, sparsities last. Only rows that have a run count.
    """
    table = begun(table)
    paths = [c for c in table.columns if c not in FIXED and not is_seed(c)]
    wanted = [*PARTS, *(c for c in paths if not is_sparsity(c)), "target", *(c for c in paths if is_sparsity(c))]
    found: list[str] = []
    known: list[np.ndarray] = []
    for column in wanted:
        if column not in table:
            continue
        codes = _codes(table[column])
        if len(codes) and codes.max() > 0 and not any(np.array_equal(codes, other) for other in known):
            found.append(column)
            known.append(codes)
    return found


def line_fields(table: pd.DataFrame, most: int = MOST_LINES) -> list[str]:
    """The varying settings that tell lines apart: as many as give at most ``most`` lines, the first ones first."""
    chosen: list[str] = []
    table = begun(table)
    for column in [c for c in varying(table) if not is_sparsity(c)]:
        if len(table[[*chosen, column]].drop_duplicates()) <= most:
            chosen.append(column)
    return chosen


def names_of(table: pd.DataFrame, fields: Sequence[str], titles: Mapping[str, str] | None = None) -> pd.Series:
    """What each row is called by ``fields``: "LAMP, threshold 0.1". Empty without fields; ``titles`` name columns."""
    if not fields:
        return pd.Series("", index=table.index, dtype=object)
    kinds = table[list(fields)].drop_duplicates()
    called = [_name(dict(zip(fields, row, strict=True)), titles or {}) for row in kinds.itertuples(index=False)]
    codes = table.groupby(list(fields), dropna=False, sort=False).ngroup().to_numpy()
    first = np.unique(codes, return_index=True)[1]
    order = np.argsort(first)  # kinds are in the order of their first row
    by_code = np.empty(len(called), object)
    by_code[codes[first[order]]] = called
    return pd.Series(by_code[codes], index=table.index)


def value_name(value: Any) -> str:
    """A setting's value as people read it."""
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA or value == "":
        return MISSING
    if isinstance(value, float):
        return f"{value:.4g}"
    return "on" if value is True else "off" if value is False else str(value)


def settings_of(
    table: pd.DataFrame, cost: str, *, by: Sequence[str] | None = None, titles: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """A row a setting, its runs averaged over seeds; only runs whose figures are final.

    Columns: ``line`` (its name by the fields ``by``, default ``line_fields``), ``name`` (by all varying settings but
    sparsity), ``target``, ``x`` (mean of ``cost``), ``accuracy``, ``low``, ``high`` (95 % interval), ``n`` (runs),
    ``run`` (the id of the run nearest to the mean) and ``runs`` (all ids). Sorted by line and x.
    """
    rows = final_rows(table)
    rows = rows[rows[cost].notna()]
    fields = varying(table)
    told = line_fields(table) if by is None else list(by)
    columns = ["line", "name", "target", "x", "accuracy", "low", "high", "n", "run", "runs"]
    if not len(rows):
        return pd.DataFrame(
            {c: pd.Series(dtype=object if c in ("line", "name", "run", "runs") else float) for c in columns}
        )
    keys = pd.Series(0, index=rows.index) if not fields else rows.groupby(fields, dropna=False, sort=False).ngroup()
    work = pd.DataFrame(
        {
            "setting": keys,
            "line": names_of(rows, told, titles),
            "name": names_of(rows, [f for f in fields if not is_sparsity(f)], titles),
            "target": rows["target"].fillna(0.0).astype(float),
            "x": rows[cost].astype(float),
            "accuracy": rows["accuracy"].astype(float),
            "run": rows["run"],
        }
    )
    found = mean_by(work, ["setting"], "accuracy").set_index("setting")
    groups = work.groupby("setting", sort=True)
    found["x"] = groups["x"].mean()
    found[["line", "name", "target"]] = groups[["line", "name", "target"]].first()
    away = (work["accuracy"] - work["setting"].map(found["mean"])).abs()
    found["run"] = work["run"].loc[away.groupby(work["setting"]).idxmin()].to_numpy()
    found["runs"] = groups["run"].agg(list)
    found = found.rename(columns={"mean": "accuracy"}).sort_values(["line", "x", "target"], kind="stable")
    return found[columns].reset_index(drop=True)


def _codes(values: pd.Series) -> np.ndarray:
    if values.dtype == object:
        values = values.map(lambda v: str(v) if isinstance(v, list | tuple | dict) else v)
    codes: np.ndarray = pd.factorize(values, use_na_sentinel=False)[0]
    return codes


def _name(values: dict[str, Any], titles: Mapping[str, str]) -> str:
    words = []
    for field, value in values.items():
        text = value_name(value)
        if text == MISSING and field in ABSENT:
            words.append(ABSENT[field])
        elif field in PARTS and field != "threshold" and field not in titles:
            words.append(text)
        else:
            words.append(f"{titles.get(field) or field.rpartition('.')[2].replace('_', ' ')} {text}".strip())
    return ", ".join(w for w in words if w)
