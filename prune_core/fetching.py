"""Fetch one file over the network: whole or not at all, and quickly refused where there is no network."""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

Progress = Callable[[str, int, int], None]
"""Called with the file's name, bytes so far and bytes in all (0 when the server does not say)."""

CONNECT_S = 6.0


def fetch(
    url: str,
    target: Path,
    *,
    digest: str = "",
    algorithm: Literal["md5", "sha256"] = "md5",
    progress: Progress | None = None,
) -> None:
    """Download ``url`` to ``target``; its folder is made, and nothing is left there unless the file is whole.

    ``digest`` is the beginning of the file's hexadecimal checksum. Raises OSError when the server cannot be reached
    within ``CONNECT_S`` seconds, stops sending for as long, or sends something else.
    """
    report = progress or print_progress
    with _open(url) as response:  # before any folder is made: without a network nothing on disk changes
        total = int(response.headers.get("Content-Length") or 0)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".download-", dir=target.parent)
        part = Path(name)
        try:
            checksum, done = hashlib.new(algorithm, usedforsecurity=False), 0
            with os.fdopen(handle, "wb") as out:
                while block := response.read(1 << 18):
                    out.write(block)
                    checksum.update(block)
                    done += len(block)
                    report(target.name, done, total)
            if total and done != total:
                raise OSError(f"{url} ended after {done} of {total} bytes")
            if not checksum.hexdigest().startswith(digest):
                raise OSError(f"{url} has the checksum {checksum.hexdigest()}, not {digest}")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def print_progress(name: str, done: int, total: int) -> None:
    """One line on the terminal, rewritten as bytes arrive; silent where standard error is no terminal."""
    if sys.stderr.isatty():
        share = f"{100 * done / total:3.0f} %" if total else ""
        end = "\n" if total and done >= total else ""
        sys.stderr.write(f"\rDownloading {name}: {done / 1e6:.1f} MB {share}{end}")
        sys.stderr.flush()


def _open(url: str) -> Any:
    # in a thread: a socket's timeout does not cover the name look-up, which offline can hang for half a minute
    answer: queue.Queue[Any] = queue.Queue()

    def connect() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=CONNECT_S))
        except (OSError, HTTPException, ValueError) as error:
            answer.put(error)

    threading.Thread(target=connect, daemon=True, name="fetch").start()
    try:
        found = answer.get(timeout=CONNECT_S)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_S:g} s") from None
    if isinstance(found, OSError):
        raise found
    if isinstance(found, Exception):  # http.client has errors that are no OSErrors
        raise OSError(str(found)) from found
    return found
