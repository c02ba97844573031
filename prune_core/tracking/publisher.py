"""The process that publishes: ``python -m prune_core.tracking.publisher``. One a home and store at a time."""

from __future__ import annotations

import importlib
import logging
import os
import time

from filelock import Timeout

from prune_core.tracking.home import home, store_url
from prune_core.tracking.publishing import publish_waiting, publisher_lock
from prune_core.tracking.publishing_sweeps import publish_waiting_sweeps
from prune_core.tracking.store import Store
from prune_core.tracking.sweeps import Sweeps

LINGER_S = 10.0  # runs often end one after the other, and starting again costs seconds
POLL_S = 0.5

log = logging.getLogger("prune_core.tracking")


def main() -> None:
    """Publish what waits in the store until nothing has come for a while."""
    url = store_url()
    home().mkdir(parents=True, exist_ok=True)
    load_plugins()
    store = Store(url)
    lock = publisher_lock(url)
    # a run that ended while the lock was held still, for the last time, is seen here
    while store.to_publish() or Sweeps(store).to_publish():
        try:
            with lock.acquire(timeout=0):
                _publish_until_quiet(store)
        except Timeout:
            return  # another process is at it, and looks here once more


def load_plugins() -> None:
    """Import people's own parts: runs with them cannot be read otherwise. A broken one is reported and left out."""
    for name in filter(None, map(str.strip, os.environ.get("PRUNE_LAB_PLUGINS", "").split(","))):
        try:
            importlib.import_module(name)
        except Exception:
            log.exception("PRUNE_LAB_PLUGINS names %s, which cannot be imported:", name)


def _publish_until_quiet(store: Store) -> None:
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < LINGER_S:
        if publish_waiting(store) + publish_waiting_sweeps(store):
            idle_since = time.monotonic()
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
