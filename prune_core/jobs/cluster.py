"""Use a running Dask cluster as the engine: the same supervisor, on its scheduler."""

from __future__ import annotations

from distributed import Client

from prune_core.errors import EngineError
from prune_core.jobs import place
from prune_core.jobs.local import CONNECT_S, ask
from prune_core.tracking import without_password


def connect(address: str, store: str) -> Client:
    """A connection to the scheduler at ``address`` with our supervisor on it.

    Certificates for tls:// come from Dask's configuration. Raises EngineError where it cannot be reached, where a
    machine runs other versions than this one, or where the cluster works for another store already.
    """
    from prune_core.jobs.supervisor import Supervisor

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise EngineError(
            f"No Dask scheduler could be reached at {address}: {error}. Check the address, and for tls:// the "
            "certificates in Dask's configuration (distributed.comm.tls)."
        ) from None
    try:
        _check_versions(client)
        client.register_plugin(Supervisor(store))
        if (found := ask(client, "status")["store"]) != store:
            raise EngineError(
                f"This cluster works for the store {without_password(found)}, not for {without_password(store)}."
            )
    except BaseException:
        client.close(timeout=2)
        raise
    return client


def check_previews(client: Client) -> None:
    """Raise EngineError where no worker is kept free for previews, which must not wait behind training."""
    if not any(worker["role"] == "preview" for worker in ask(client, "status")["workers"]):
        raise EngineError("This cluster has no worker for previews: start one with --resources preview=1.")


def _check_versions(client: Client) -> None:
    """Raise EngineError naming the first scheduler or worker that has another prune_core, Python or torch."""
    mine = place.version()
    try:
        theirs = {"the scheduler": client.run_on_scheduler(place.version), **client.run(place.version)}
    except Exception as error:
        raise EngineError(f"Every machine of the cluster needs {mine}: {type(error).__name__}: {error}") from None
    for who, version in theirs.items():
        if version != mine:
            raise EngineError(f"{who} has {version}, but this is {mine}; install the same everywhere.")
