"""The metrics endpoint over a real socket."""

import asyncio
import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Counter

from observability.exporter import serve


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()


async def scrape(registry: CollectorRegistry) -> str:
    exporter = await serve("127.0.0.1", 0, registry)
    try:
        return await asyncio.to_thread(fetch, f"http://{exporter.address}/metrics")
    finally:
        await exporter.stop()


def test_exporter_serves_its_registry() -> None:
    registry = CollectorRegistry()
    Counter("quorate_example", "An example.", registry=registry).inc(3)
    assert "quorate_example_total 3.0" in asyncio.run(scrape(registry))


def test_exporter_names_an_address_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"metrics address 127.0.0.1:{port} cannot be used"):
            asyncio.run(serve("127.0.0.1", port, CollectorRegistry()))
