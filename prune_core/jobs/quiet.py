"""Dask's scheduler and worker without the web servers they bring along."""

from __future__ import annotations

from typing import Any

from distributed import Scheduler, Worker


class _NoHttp:
    """Dask opens a web server on every node, on all interfaces and without a login; here none is opened at all."""

    def start_http_server(self, *arguments: Any, **more: Any) -> None:
        """Open nothing."""


class QuietScheduler(_NoHttp, Scheduler):
    """A scheduler without a web server."""


class QuietWorker(_NoHttp, Worker):
    """A worker without a web server."""
