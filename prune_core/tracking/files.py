"""Where the files of runs lie: in the lab's home or, with ``PRUNE_LAB_FILES``, where all machines reach them.

A run always writes its checkpoint to its own machine first. Where files are shared, a thread carries it on, so that no
step waits for a network, and what is in the home is a copy: it counts only where it is known to be of what is shared.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Hashable
from pathlib import Path

from prune_core import remote
from prune_core.errors import StoreError, StoreUnavailableError
from prune_core.tracking.home import checkpoint_path, run_folder
from prune_core.tracking.reading import is_sample

FRESH_S = 1.0  # how long what was seen of the shared files is believed: a slider asks many times a second
RETRY_S = 2.0
PATIENCE_S = 15.0  # how long the last checkpoint of a run is tried to be sent where that fails
LONGEST_S = 600.0  # ... and where it is slow

_seen: dict[str, tuple[float, str | None]] = {}


def shared() -> str:
    """The address of the shared files, ``PRUNE_LAB_FILES``; empty where each run's files stay in its machine's home."""
    return os.environ.get("PRUNE_LAB_FILES", "").strip().rstrip("/")


def address(run_id: str) -> str:
    """What another run can start from, on whatever machine: the checkpoint's address, or its path in the home.

    Raises StoreUnavailableError where a sample run has to be sent there and cannot.
    """
    path = checkpoint_path(run_id)
    if not shared():
        return str(path)
    url = _url(run_id)
    if is_sample(run_id) and path.is_file() and remote.mark(url) is None:  # of these every machine has its own
        remote.send(path, url)
    return url


def stamp(run_id: str) -> Hashable | None:
    """What changes whenever a run's checkpoint is written; the same on every machine. None where there is none."""
    if _mine(run_id):
        return _stat(run_id)
    seen, known = _seen.get(run_id, (-FRESH_S, None))
    if time.monotonic() - seen >= FRESH_S:
        known = remote.mark(_url(run_id))
        if len(_seen) > 1000:
            _seen.clear()
        _seen[run_id] = (time.monotonic(), known)
    return known or _stat(run_id)


def checkpoint(run_id: str, *, resume: bool = False) -> Path:
    """A run's checkpoint as a file of this machine, fetched where need be; it is not there where there is none.

    To ``resume``, what this machine wrote last goes first, unless another one has written since. Raises
    StoreUnavailableError.
    """
    own = checkpoint_path(run_id)
    if _mine(run_id):
        return own
    now = remote.mark(_url(run_id))
    if now is None:
        return own
    sent, when = _note(own)
    written = _stat(run_id)
    if sent == now and written is not None and (resume or when == str(written)):
        return own
    copy = run_folder(run_id) / "shared.pt"
    if not (copy.is_file() and _note(copy)[0] == now):
        _write_note(copy, remote.fetch(_url(run_id), copy), "")
    return copy


def listed(run_id: str) -> bool:
    """Whether a run that has made steps may be offered as one with a checkpoint; costs no look at shared files."""
    return not _mine(run_id) or checkpoint_path(run_id).is_file()


def upload(run_id: str) -> None:
    """Send the checkpoint in the home to the shared files, if there are any. Raises StoreUnavailableError."""
    own = checkpoint_path(run_id)
    if _mine(run_id):
        return
    # under a second name what is sent stays the same while the next one is written
    link = own.with_name(f".{own.name}.{os.getpid()}.{threading.get_ident()}.send")
    try:
        link.unlink(missing_ok=True)
        try:
            os.link(own, link)
        except OSError:  # a disk without links
            shutil.copyfile(own, link)
        written = (link.stat().st_mtime_ns, link.stat().st_size)
        _write_note(own, remote.send(link, _url(run_id)), str(written))
    except OSError as error:
        raise StoreUnavailableError(f"The checkpoint {own} cannot be sent: {error.strerror or error}.") from None
    finally:
        link.unlink(missing_ok=True)


def remove(run_id: str) -> None:
    """Remove a run's files here and there. Raises StoreUnavailableError where the shared ones cannot be."""
    shutil.rmtree(run_folder(run_id), ignore_errors=True)
    if not _mine(run_id):
        remote.remove(f"{shared()}/runs/{run_id}")


class Uploads:
    """Carries one run's checkpoints to the shared files in a thread of its own, always the newest.

    ``done`` is told the step of each that has arrived, ``warn`` a sentence when they begin to fail.
    """

    def __init__(self, run_id: str, done: Callable[[int], None], warn: Callable[[str], None]) -> None:
        self._run_id, self._done, self._warn = run_id, done, warn
        self._changed = threading.Condition()
        self._step: int | None = None
        self._until: float | None = None  # when to give up, once the run has ended
        self._failing = False
        self._thread: threading.Thread | None = None

    def note(self, step: int) -> None:
        """A checkpoint was written; returns at once."""
        with self._changed:
            self._step = step
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"uploads {self._run_id}", daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """Wait for the last one: seconds where it fails, minutes where it is slow."""
        with self._changed:
            self._until = time.monotonic() + PATIENCE_S
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(LONGEST_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._step is not None or self._until is not None)
                step, self._step = self._step, None
            if step is None:
                return
            try:
                upload(self._run_id)
            except StoreError as error:
                if not self._failing:
                    self._warn(f"The newest checkpoint is on {platform.node()} only for now or for good: {error}")
                self._failing = True
                with self._changed:
                    self._step = step if self._step is None else self._step
                    if self._until is not None and time.monotonic() > self._until:
                        return
                    self._changed.wait(RETRY_S)
            else:
                self._failing = False
                self._done(step)


def _mine(run_id: str) -> bool:
    """Whether this machine's home is the one place of a run's files."""
    return not shared() or is_sample(run_id)


def _url(run_id: str) -> str:
    return f"{shared()}/runs/{run_id}/checkpoint.pt"


def _stat(run_id: str) -> tuple[int, int] | None:
    try:
        found = checkpoint_path(run_id).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _note(path: Path) -> tuple[str, str]:
    """The mark of what is shared that ``path`` is known to be equal to, and of when it was that."""
    with contextlib.suppress(OSError):
        sent, _, when = path.with_suffix(".mark").read_text(encoding="utf-8").partition("\n")
        return sent, when
    return "", ""


def _write_note(path: Path, mark: str, when: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.mark")
    partial.write_text(f"{mark}\n{when}", encoding="utf-8")
    partial.replace(path.with_suffix(".mark"))
