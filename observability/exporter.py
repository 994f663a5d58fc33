"""The `/metrics` endpoint of a daemon, served in its own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app

log = structlog.get_logger()

SHUTDOWN_S_MAX = 1
CONNECTIONS_MAX = 64  # a scraper or two; more is abuse


class _SignalFreeServer(uvicorn.Server):
    """A uvicorn server that leaves the daemon's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Exporter:
    """A running endpoint; `address` is what to give to Prometheus."""

    def __init__(self, server: uvicorn.Server, serving: asyncio.Task[None], address: str) -> None:
        self._server = server
        self._serving = serving
        self.address = address

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._serving


async def serve(host: str, port: int, registry: CollectorRegistry) -> Exporter:
    """Serve `registry` at http://host:port/metrics; port 0 takes a free one.

    Raises: OSError when the address cannot be had; the text names it.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(CONNECTIONS_MAX)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"metrics address {host}:{port} cannot be used: {error.strerror}"
        ) from error
    config = uvicorn.Config(
        make_asgi_app(registry),
        log_config=None,
        access_log=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=SHUTDOWN_S_MAX,
        timeout_keep_alive=75,
    )
    server = _SignalFreeServer(config)
    address = f"{host}:{listener.getsockname()[1]}"
    serving = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    log.info("metrics served", url=f"http://{address}/metrics")
    return Exporter(server, serving, address)
