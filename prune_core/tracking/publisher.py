"""The process that publishes: ``python -m prune_core.tracking.publisher STORE``. One a home at a time."""

from __future__ import annotations

import os
import sys
import time

from filelock import FileLock, Timeout

from prune_core.tracking.home import home
from prune_core.tracking.publish import publish_waiting
from prune_core.tracking.store import Store

LINGER_S = 10.0  # runs often end one after the other, and starting again costs seconds


def main(url: str) -> None:
    """Publish what waits until nothing has come for a while."""
    if hasattr(os, "nice"):
        os.nice(19)
    try:
        with FileLock(home() / "publish.lock", timeout=0):
            store, idle_since = Store(url), time.monotonic()
            while time.monotonic() - idle_since < LINGER_S:
                if publish_waiting(store):
                    idle_since = time.monotonic()
                time.sleep(0.5)
    except Timeout:
        return  # another one is at it, and looks once more before it ends


if __name__ == "__main__":
    main(sys.argv[1])
