"""One connection pool, its two kinds of transactions, and database errors as sentences.

What is particular to SQLite or PostgreSQL stands here and nowhere else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, insert, inspect, make_url, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, ProgrammingError

from prune_core.errors import StoreUnavailableError
from prune_core.tracking import schema

BUSY_S = 30.0  # how long to wait for another writer
CAUSES = (  # words of the drivers, in lower case, and what they mean to people
    (("readonly", "read-only", "permission denied"), "cannot be written to: it is read-only"),
    (("disk is full", "no space left"), "has no room left: the disk is full"),
    (("database is locked", "busy"), f"was locked by another program for over {BUSY_S:g} s"),
    (("not a database", "malformed", "corrupt"), "is damaged; move the file away and a new one is made"),
    (("unable to open",), "cannot be opened: its folder is missing or may not be used"),
    (("password authentication failed", "no password supplied"), "refuses this user or password"),
    (("connection refused", "could not translate", "failed to resolve", "timeout expired"), "cannot be reached"),
    (("too many clients", "remaining connection slots"), "has no connection left: raise PostgreSQL's max_connections"),
)
CONNECT = {"connect_timeout": 10, "application_name": "prune-lab"}  # of PostgreSQL; what the address says goes first


class Database:
    """An open database with the lab's tables in it. May be used from many threads at once.

    Raises StoreUnavailableError, a sentence, where it cannot be opened, and later from every transaction that fails
    because of the database and not because of us.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise StoreUnavailableError(
                f"PRUNE_LAB_STORE must be an address such as sqlite:////folder/lab.db or "
                f"postgresql://user@host/database, got {url!r}."
            ) from None
        self.lite = parsed.get_backend_name() == "sqlite"
        self.name = str(parsed.database) if self.lite else without_password(url)
        connect = {key: value for key, value in CONNECT.items() if key not in parsed.query}
        options: dict[str, Any] = {"pool_pre_ping": True, "connect_args": connect}
        if self.lite:  # the pool gives a connection to one thread at a time, though not always to the same
            options = {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}
        try:
            if self.lite and "mode" not in parsed.query:
                Path(self.name).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(parsed, poolclass=QueuePool, **options)
        except OSError as error:
            raise StoreUnavailableError(f"The store {self.name} cannot be made: {error.strerror or error}.") from None
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise StoreUnavailableError(_no_driver(parsed.get_backend_name(), error)) from None
        self._reader: Engine = self._engine
        self._writer: Engine = self._engine
        if self.lite:
            _tame(self._engine)
            self._writer = self._engine.execution_options(lab_write=True)
        else:  # several reads in one transaction must see one moment, as they do in SQLite
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._prepare()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Reads that all see the same moment."""
        with self._sentences(), self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Writes that all happen or none."""
        with self._sentences(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give the connections back; the next transaction opens new ones."""
        self._engine.dispose()

    # --- opening ------------------------------------------------------------------------------------------------------
    def _prepare(self) -> None:
        """Make the tables where there are none. Several processes may do so at once."""
        if self._version() is None:
            if self.lite:
                self._use_wal()
            try:
                with self.writing() as connection:
                    if not inspect(connection).has_table(schema.about.name):
                        schema.metadata.create_all(connection)
                        connection.execute(insert(schema.about).values(key="schema", value=schema.SCHEMA))
            except (IntegrityError, ProgrammingError) as error:
                # where another process was a moment faster its tables are found now
                if self._version() is None:
                    raise StoreUnavailableError(self._sentence(error.orig or error)) from error
        if self._version() in (1, 2):
            with contextlib.suppress(IntegrityError, ProgrammingError), self.writing() as connection:
                self._modernise(connection)
        if (version := self._version()) != schema.SCHEMA:
            raise StoreUnavailableError(
                f"The store {self.name} has format {version}; this version of the lab reads format {schema.SCHEMA}. "
                "Give PRUNE_LAB_STORE another address."
            )

    def _modernise(self, connection: Connection) -> None:
        """Make an older store like a new one. Of several processes that try, each waits for the one before."""
        ours = schema.about.c.key == "schema"
        connection.execute(select(schema.about.c.value).where(ours).with_for_update())
        schema.metadata.create_all(connection)  # what is missing: sweeps in version 1, trials in both
        for index in schema.runs.indexes:
            index.create(connection, checkfirst=True)
        there = {column["name"] for column in inspect(connection).get_columns(schema.sweeps.name)}
        for column in (schema.sweeps.c.published, schema.sweeps.c.publishing):  # version 2 published no sweeps
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(
                    f"ALTER TABLE {schema.sweeps.name} ADD COLUMN {column.name} {kind} DEFAULT '' NOT NULL"
                )
        connection.execute(update(schema.about).where(ours).values(value=schema.SCHEMA))

    def _version(self) -> int | None:
        with self.reading() as connection:
            if not inspect(connection).has_table(schema.about.name):
                return None
            return connection.execute(select(schema.about.c.value).where(schema.about.c.key == "schema")).scalar()

    def _use_wal(self) -> None:
        """Readers and the writer no longer wait for each other; the file remembers it."""
        with self._sentences():
            raw = self._engine.raw_connection()
            try:
                deadline = time.monotonic() + BUSY_S
                while True:  # SQLite itself does not wait here for another process that does the same
                    try:
                        raw.cursor().execute("PRAGMA journal_mode=WAL")
                        return
                    except Exception as error:
                        if "locked" not in str(error) or time.monotonic() > deadline:
                            raise StoreUnavailableError(self._sentence(error)) from None
                    time.sleep(0.02)
            finally:
                raw.close()

    # --- errors -------------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise  # ours
        except DBAPIError as error:
            raise StoreUnavailableError(self._sentence(error.orig or error)) from error

    def _sentence(self, error: BaseException) -> str:
        text = " ".join(str(error).split())
        for words, meaning in CAUSES:
            if any(word in text.lower() for word in words):
                return f"The store {self.name} {meaning}."
        return f"The store {self.name} does not answer: {text[:200]}."


def without_password(url: str) -> str:
    """A store's address as everybody may see it."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _tame(engine: Engine) -> None:
    """Have SQLite begin transactions when told to, and not as Python's driver guesses."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=NORMAL")  # with WAL a power cut costs the last moments, never the file

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a writer that first reads could not wait for its turn any more: it takes it at the start
        write = connection.get_execution_options().get("lab_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _no_driver(backend: str, error: Exception) -> str:
    if backend == "postgresql":
        return "PostgreSQL needs a driver that is not installed: pip install 'psycopg[binary]'."
    return f"There is no driver for a store of the kind {backend!r} ({error}); use sqlite or postgresql."
