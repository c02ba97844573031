"""Programs of the system that tests start. Each ends with the process of the tests, however that ends."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
HOST = "127.0.0.1"
START_S = 60.0
# the shell waits for the end of its input, which comes when the tests are gone, even killed; then ends all it started
LEASH = '"$@" </dev/null & child=$!; read -r _; kill -$0 $child; wait $child; kill -KILL 0'


def missing(what: str, package: str) -> NoReturn:
    """Skip on a person's machine, fail where CI is set."""
    why = f"no {what}: install it (Debian: apt-get install {package})"
    pytest.fail(why, pytrace=False) if IN_CI else pytest.skip(why)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def leashed(command: list[str], log: Path, ending: str = "TERM", **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the background; ``ending`` is the signal that ends it. Its output goes to ``log``."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["sh", "-c", LEASH, ending, *command],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
            **options,
        )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def ready(answers: Callable[[], object], log: Path, timeout: float = START_S) -> None:
    """Wait until a program answers; fails with its log where it does not."""
    deadline = time.monotonic() + timeout
    while True:
        with contextlib.suppress(OSError):
            if answers():
                return
        if time.monotonic() > deadline:
            pytest.fail(f"no answer within {timeout:g} s:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.05)


def until(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    """Wait for ``condition``; fails with ``what`` where it never comes."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"in {timeout:g} s it never came to this: {what}")
        time.sleep(0.02)


def listens(port: int) -> Callable[[], bool]:
    """Whether somebody answers at ``port``."""

    def asked() -> bool:
        with socket.create_connection((HOST, port), timeout=1):
            return True

    return asked


# --- PostgreSQL ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Postgres:
    """A running server of its own; every test takes a database of its own."""

    port: int
    password: str

    def url(self, database: str) -> str:
        """The address of a database as people give it."""
        return f"postgresql://lab:{self.password}@{HOST}:{self.port}/{database}"

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"lab_{secrets.token_hex(4)}"
        with self.connection() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def connection(self, database: str = "postgres") -> Any:
        """A connection that commits every statement."""
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server from the system's package, on loopback, with a password; it is gone afterwards."""
    programs = postgres_programs()
    if programs is None:
        missing("PostgreSQL", "postgresql")
    folder = Path(tempfile.mkdtemp(prefix="lab-postgres-"))  # not below a folder that its user may not enter
    given = Postgres(free_port(), secrets.token_hex(8))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        them = pwd.getpwnam("postgres")
        os.chown(folder, them.pw_uid, them.pw_gid)
        user = {"user": them.pw_uid, "group": them.pw_gid, "extra_groups": []}
    try:
        secret = folder / "password"
        secret.write_text(given.password)
        if user:
            os.chown(secret, user["user"], user["group"])
        data, log = str(folder / "data"), folder / "log"
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "lab", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync",
             "-E", "UTF8", "--locale=C", "--no-instructions"],
            cwd=folder, capture_output=True, text=True, check=False, **user,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        settings = [f"port={given.port}", f"listen_addresses={HOST}", f"unix_socket_directories={folder}"]
        settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60"]
        command = [str(programs / "postgres"), "-D", data, *(part for one in settings for part in ("-c", one))]
        with leashed(command, log, "INT", cwd=folder, **user):  # INT: it does not wait for who is connected
            ready(lambda: _answers(given), log)
            yield given
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def postgres_programs() -> Path | None:
    """Where initdb and postgres are: on the PATH, or where Debian keeps every version's; the newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda path: int(path.parent.name), default=None)


# --- nginx -----------------------------------------------------------------------------------------------------------
def nginx_program() -> str:
    """The path of nginx; Debian keeps it where not everybody looks."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    return found or missing("nginx", "nginx-light")


# --- S3 --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3, on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=HOST, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """PRUNE_LAB_FILES in an empty bucket: ``s3://bucket/lab``; this process and those it starts may use it."""
    import s3fs

    from prune_core import remote
    from prune_core.tracking import files

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "lab")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-use")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"lab-{secrets.token_hex(4)}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
    monkeypatch.setenv("PRUNE_LAB_FILES", f"s3://{name}/lab")
    remote._opened.cache_clear()
    files._seen.clear()
    yield f"s3://{name}/lab"
    remote._opened.cache_clear()
    files._seen.clear()


def _answers(server: Postgres) -> bool:
    import psycopg

    try:
        server.connection().close()
    except psycopg.OperationalError:
        return False
    return True
