"""A store that is read-only, full, damaged, foreign or away says so in a sentence; nothing half is read as whole."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prune_core as pc
from prune_core.events import EvalEvent, InterventionEvent
from prune_core.tracking import Store, home, store_url

Rows = Callable[[int, int], np.ndarray]


def write_much(store: Store, run_id: str, token: str, rows: Rows) -> None:
    """Something of everything, far more than a page."""
    store.append(
        run_id,
        token,
        steps=rows(101, 5000),
        evals=[EvalEvent(101, 0.5, 1.0, 10, ())],
        snapshots=[(101, b"x" * 50_000)],
        marks=[InterventionEvent(101, "lr", 0.5)],
        status="paused",
        checkpoint=101,
    )


@pytest.mark.parametrize(
    ("what", "words"), [("full", "has no room left: the disk is full"), ("read_only", "it is read-only")]
)
def test_what_does_not_fit_is_not_written_at_all(
    store: Store, claimed: tuple[str, str], rows: Rows, trouble: Any, what: str, words: str
) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=rows(1, 100))
    seen = store.live(run_id)
    getattr(trouble, what)()
    for _ in range(2):
        with pytest.raises(pc.StoreUnavailableError, match=words) as caught:
            write_much(store, run_id, token, rows)
        assert str(home() / "lab.db") in str(caught.value)
    for reader in (store, Store(store.url)):  # the file itself, too
        after = reader.run(run_id)
        assert (after.step, after.status, after.checkpoint) == (100, "running", 0)
        assert np.array_equal(reader.history(run_id).to_numpy(), rows(1, 100))
        assert reader.evals(run_id).empty
        assert reader.marks(run_id).empty
        assert reader.snapshot_steps(run_id) == []
    assert store.live(run_id, seen.cursor).cursor == seen.cursor
    trouble.over()
    write_much(store, run_id, token, rows)
    assert np.array_equal(store.history(run_id).to_numpy(), rows(1, 5000))
    assert store.run(run_id).status == "paused"


def test_a_file_that_may_only_be_read_can_be_read(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=rows(1, 10))
    reader = Store(f"sqlite:///file:{home() / 'lab.db'}?mode=ro&uri=true")
    assert np.array_equal(reader.history(run_id).to_numpy(), rows(1, 10))
    assert len(reader.runs()) == 1
    with pytest.raises(pc.StoreUnavailableError, match="cannot be written to: it is read-only"):
        reader.create(store.run(run_id).experiment)


def test_a_write_cut_off_in_the_middle_was_never_made(store: Store, claimed: tuple[str, str], rows: Rows) -> None:
    run_id, token = claimed
    store.append(run_id, token, steps=rows(1, 10))

    class Broken(EvalEvent):
        @property
        def accuracy(self) -> float:  # type: ignore[override]
            raise RuntimeError("in the middle of the transaction")

    event = Broken.__new__(Broken)
    object.__setattr__(event, "step", 3)
    with pytest.raises(RuntimeError):
        store.append(run_id, token, steps=rows(11, 20), marks=[InterventionEvent(11, "lr", 0.5)], evals=[event])
    assert np.array_equal(store.history(run_id).to_numpy(), rows(1, 10))
    assert store.marks(run_id).empty


@pytest.mark.parametrize(
    "content", [b"this is no database, though it is long enough\n" * 100, b"SQLite format 3\0" * 90]
)
def test_a_file_that_is_no_database_is_named(home: Path, content: bytes) -> None:
    (home / "lab.db").write_bytes(content)
    with pytest.raises(pc.StoreUnavailableError, match="is damaged; move the file away") as caught:
        Store()
    assert str(home / "lab.db") in str(caught.value)
    assert (home / "lab.db").read_bytes() == content


def test_a_store_of_another_format_is_left_alone(store: Store, home: Path) -> None:
    store.close()
    with sqlite3.connect(home / "lab.db") as raw:
        raw.execute("UPDATE lab_about SET value = 99")
    with pytest.raises(pc.StoreUnavailableError, match=r"has format 99; .* reads format 3\. Give PRUNE_LAB_STORE"):
        Store()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(pc.StoreUnavailableError, match="cannot be made: "):
        Store(f"sqlite:///{tmp_path}/file/lab.db")
    (tmp_path / "lab.db").mkdir()
    with pytest.raises(pc.StoreUnavailableError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path}/lab.db")


def test_another_program_that_holds_the_file_is_waited_for_and_then_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, experiment: pc.Experiment
) -> None:
    monkeypatch.setattr("prune_core.tracking.database.BUSY_S", 0.1)
    store = Store()
    with sqlite3.connect(home / "lab.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(pc.StoreUnavailableError, match="was locked by another program"):
            store.create(experiment)
        assert store.runs().empty  # readers never wait
        other.execute("ROLLBACK")
    other.close()
    assert store.create(experiment)
    store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("lab.db", "PRUNE_LAB_STORE must be an address such as sqlite:"),
        ("nosuch://host/lab", "no driver for a store of the kind 'nosuch'"),
        ("oracle://host/lab", "no driver for a store of the kind 'oracle'"),
    ],
)
def test_an_address_that_is_none_is_a_sentence(
    url: str, words: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNE_LAB_STORE", url)
    assert store_url() == url
    with pytest.raises(pc.StoreUnavailableError, match=words):
        Store()


def test_postgresql_without_its_driver_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(pc.StoreUnavailableError, match=r"pip install 'psycopg\[binary\]'") as caught:
        Store("postgresql://ann:secret@localhost/lab")
    assert "secret" not in str(caught.value)
