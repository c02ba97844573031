"""Two servers of the lab behind nginx, on one store and one cluster; one of them is killed while somebody looks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import psutil
import pytest
from lab_browser_tools import until
from lab_cluster import tls_cluster
from lab_services import HOST, Postgres, free_port, leashed, listens, nginx_program, ready

from prune_core.tracking import Store

pytestmark = pytest.mark.browser
RECIPE = Path(__file__).resolve().parents[2] / "docs" / "recipes" / "nginx.conf"


@dataclass(frozen=True)
class Site:
    """One address, and what is behind it."""

    url: str
    servers: list[int]
    store: Store

    def connected(self) -> int:
        """The port of the server that the proxy is connected to; 0 where that is none, or both."""
        found = {
            port
            for port in self.servers
            for connection in psutil.net_connections("tcp")
            if connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        }
        return found.pop() if len(found) == 1 else 0

    def kill(self, port: int) -> None:
        """As a machine that fails."""
        listening = [
            c for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == psutil.CONN_LISTEN
        ]
        psutil.Process(listening[0].pid).kill()


@pytest.fixture(scope="module")
def site(postgres: Postgres, serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    nginx, database = nginx_program(), postgres.database()
    folder = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(tls_cluster(folder))
        cluster.worker("one", "train=1")
        variables = {
            "PRUNE_LAB_STORE": database,
            "PRUNE_LAB_SCHEDULER": cluster.address,
            "DASK_CONFIG": cluster.environment["DASK_CONFIG"],
        }
        homes = [tmp_path_factory.mktemp("server") for _ in range(2)]  # nothing but store and cluster is shared
        with ThreadPoolExecutor() as starters:
            urls = list(starters.map(lambda home: stack.enter_context(serve(home, **variables)), homes))
        ports = [urlparse(url).port or 0 for url in urls]
        port = free_port()
        text = RECIPE.read_text().replace("/var/log/nginx", str(folder)).replace("listen 80;", f"listen {HOST}:{port};")
        for example, real in zip(("8501", "8502"), ports, strict=True):
            text = text.replace(f"{HOST}:{example}", f"{HOST}:{real}")
        parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        own = "".join(f"    {part}_temp_path {folder}/{part};\n" for part in parts)
        (folder / "nginx.conf").write_text(text.replace("http {\n", f"http {{\n{own}", 1))
        command = [nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
        stack.enter_context(leashed([*command, "-g", f"daemon off; pid {folder}/pid;"], folder / "nginx.log", "QUIT"))
        ready(listens(port), folder / "nginx.log")
        store = Store(database)
        stack.callback(store.close)
        yield Site(f"http://{HOST}:{port}", ports, store)


def shown(page: Any) -> int:
    """The step that the page says the run is at."""
    found = re.search(r"Step (\d[\d\s]*) of", page.get_by_test_id("stMain").inner_text())  # 11 091, with a thin space
    return int(re.sub(r"\s", "", found[1])) if found else 0


def test_a_run_goes_on_where_it_was_when_its_server_dies(site: Site, visit_other: Any) -> None:
    with visit_other(site.url) as visit:
        page = visit("/train?train.steps=5000000&model=mlp")
        button = page.get_by_test_id("stMain").get_by_role
        button("button", name="Train", exact=True).click()
        page.wait_for_url(re.compile(r"[?&]run="))
        run_id = re.search(r"[?&]run=([^&]+)", page.url)[1]
        page.get_by_text(re.compile(r"Step [1-9]")).first.wait_for()
        assert site.store.run(run_id).worker == "one"  # the cluster's, not one of the server's own
        url, first = page.url, site.connected()
        assert first in site.servers
        site.kill(first)
        until(page, lambda: site.connected() not in (0, first), "the other server took over")
        at = site.store.run(run_id).step
        until(page, lambda: shown(page) > at, "the page shows how the run goes on")
        assert page.url == url
        page.reload()  # as does who opens the link anew
        button("button", name="Stop", exact=True).click()  # it is still this visitor's
        until(page, lambda: site.store.run(run_id).status == "stopped", "the run is stopped")
        page.get_by_text("Stopped", exact=False).first.wait_for()
        assert run_id in page.url
        # what a page that redraws itself says in the moment without a server
        visit.wrong[:] = [line for line in visit.wrong if "disconnected from server" not in line]
