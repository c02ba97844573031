"""Files beyond this machine, through fsspec: what is there, bring it here, send it there. Errors are sentences.

An address is whatever fsspec knows: s3://bucket/folder/file (with s3fs installed), or a path.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prune_core.errors import StoreUnavailableError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}


def is_remote(path: Path | str) -> bool:
    """Whether ``path`` is an address and not a file of this machine."""
    return "://" in str(path)


def mark(url: str) -> str | None:
    """What changes whenever the file at ``url`` does; None where there is none. Raises StoreUnavailableError."""
    with _sentences(url):
        system, path = _system(url)
        try:
            found = system.info(path)
        except FileNotFoundError:
            return None
        if found.get("type") == "directory":
            return None
        # S3 has an ETag, disks have a time
        return str(found.get("ETag") or f"{found.get('mtime') or found.get('created')} {found.get('size')}")


def fetch(url: str, target: Path) -> str:
    """Bring a file here, whole or not at all; returns the mark of what came. Raises StoreUnavailableError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        while True:
            before = mark(url)
            with _sentences(url):
                system, path = _system(url)
                system.get_file(path, str(partial))
            # large files come in parts: all must be of the same one
            if before is not None and mark(url) == before:
                partial.replace(target)
                return before
    finally:
        partial.unlink(missing_ok=True)


def send(source: Path, url: str) -> str:
    """Write a file of this machine to ``url``; readers see the old or the new. Returns its mark.

    Raises StoreUnavailableError, also where what is there cannot be written over.
    """
    with _sentences(url):
        system, path = _system(url)
        # a disk shows a file while it is being written; S3 shows it when it is whole
        if "file" in system.protocol or "local" in system.protocol:
            system.makedirs(system._parent(path), exist_ok=True)
            partial = f"{path}.{os.getpid()}.{threading.get_ident()}"
            system.put_file(str(source), partial)
            Path(partial).replace(path)
        else:
            system.put_file(str(source), path)
    return mark(url) or ""


def remove(url: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
    with _sentences(url), contextlib.suppress(FileNotFoundError):
        system, path = _system(url)
        system.rm(path, recursive=True)


def read(url: str) -> bytes:
    """The content of the file at ``url``. Raises StoreUnavailableError, also where there is none."""
    with _sentences(url):
        system, path = _system(url)
        content: bytes = system.cat_file(path)
        return content


def _system(url: str) -> tuple[AbstractFileSystem, str]:
    scheme, found, rest = url.partition("://")
    system = _opened(scheme if found else "file", os.getpid())
    return system, system._strip_protocol(url if found else str(Path(rest or url).expanduser().absolute()))


@functools.lru_cache(maxsize=8)
def _opened(scheme: str, pid: int) -> AbstractFileSystem:
    """One client a process: a forked one must not use its parent's connections."""
    import fsspec

    # nothing is remembered of what is there: other machines write too
    return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)


@contextlib.contextmanager
def _sentences(url: str) -> Iterator[None]:
    scheme = url.partition("://")[0]
    try:
        yield
    except (ImportError, ValueError) as error:
        if isinstance(error, ImportError) or scheme not in PACKAGES:
            what = f"pip install {PACKAGES[scheme]}" if scheme in PACKAGES else "use a folder or s3://bucket/folder"
            raise StoreUnavailableError(f"Files at {url} need a package that is not installed: {what}.") from None
        raise StoreUnavailableError(_failed(url, error)) from error
    except Exception as error:  # every kind of store has errors of its own
        if isinstance(error, StoreUnavailableError):
            raise
        raise StoreUnavailableError(_failed(url, error)) from error


def _failed(url: str, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__name__ == "NoCredentialsError":
        text = "no credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials)"
    return f"Files at {url} cannot be read or written: {text[:200].rstrip('.')}."
