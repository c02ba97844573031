"""What only a PostgreSQL server does: refuse people, forbid tables, have too many visitors. The rest holds on both."""

from __future__ import annotations

import pytest
from lab_services import Postgres, free_port

import prune_core as pc
from prune_core.tracking import Store, without_password


def test_why_a_server_is_of_no_use_is_a_sentence_without_a_password(postgres: Postgres) -> None:
    url = postgres.database()
    for wrong, why in (
        (url.replace(postgres.password, "guessed-word"), r"refuses this user or password\.$"),
        (url.replace(f":{postgres.port}/", f":{free_port()}/"), r"cannot be reached\.$"),
        (f"{url}_other", r'does not answer: .*database "lab_\w+_other" does not exist'),
    ):
        with pytest.raises(pc.StoreUnavailableError, match=why) as raised:
            Store(wrong)
        assert postgres.password not in str(raised.value)
        assert "guessed-word" not in str(raised.value)
    assert without_password(url) == url.replace(postgres.password, "***")


def test_who_may_not_make_tables_reads_that(postgres: Postgres) -> None:
    url = postgres.database()
    with postgres.connection(url.rpartition("/")[2]) as connection:
        connection.execute("CREATE ROLE visitor LOGIN PASSWORD 'visiting'")
    with pytest.raises(pc.StoreUnavailableError, match="cannot be written to: it is read-only"):
        Store(url.replace(f"lab:{postgres.password}", "visitor:visiting"))
    Store(url).close()  # the owner may


def test_a_run_whose_server_went_away_for_a_moment_is_read_again(postgres: Postgres, experiment: pc.Experiment) -> None:
    store = Store(postgres.database())
    run_id = store.create(experiment)
    with postgres.connection() as connection:  # as a restart does: every connection that lies in a pool is dead
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prune-lab'"
        )
    assert store.run(run_id).status == "queued"
    store.close()
