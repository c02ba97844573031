"""Use a running Dask cluster as the engine: the same supervisor, on its scheduler."""

from __future__ import annotations

from distributed import Client

from prune_core.errors import EngineError
from prune_core.jobs import place
from prune_core.jobs.local import CONNECT_S, ask
from prune_core.jobs.meeting import differs
from prune_core.tracking import without_password


def connect(address: str, store: str) -> Client:
    """A connection to the scheduler at ``address`` with our supervisor on it.

    Certificates for tls:// come from Dask's configuration. Raises EngineError where it cannot be reached, where the
    scheduler or all of its workers run other versions than this process, or where the cluster works for another store
    already. Of workers that differ the supervisor takes no notice but to say so.
    """
    from prune_core.jobs.supervisor import Supervisor

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:  # TypeError: tls:// without any certificate
        raise EngineError(
            f"No Dask scheduler could be reached at {address}: {_cause(error)}. Check the address, and for tls:// the "
            "certificates in Dask's configuration (distributed.comm.tls): whoever has none is refused."
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
    workers = ask(client, "status")["workers"]
    if not any(worker["role"] == "preview" and not worker["problem"] for worker in workers):
        raise EngineError("This cluster has no worker for previews: start one with --resources preview=1.")


def _check_versions(client: Client) -> None:
    """Raise EngineError where the scheduler, or every worker there is, has another prune_core, Python or torch."""
    mine = place.about()
    try:
        scheduler: object = client.run_on_scheduler(place.about)
    except Exception as error:  # prune_core is not there, or not the same
        scheduler = error
    if problem := differs("The scheduler", scheduler, "this process", mine):
        raise EngineError(problem)
    answers = client.run(place.about, on_error="return")
    problems = [differs(f"Worker {who}", answer, "this process", mine) for who, answer in answers.items()]
    if problems and all(problems):
        raise EngineError(problems[0])


def _cause(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:300].rstrip(".") or type(error).__name__
