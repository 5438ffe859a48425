"""The centre's renewal service over mutual TLS on loopback, and an outbound proxy as hospitals have them."""

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette

from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.renewal import renewal_route
from deploy.requests import RENEWAL_PATH


@contextmanager
def renewals(home: CoordinatorHome) -> Iterator[None]:
    """Serve renewals at the centre's port, to clients of its CA."""
    app = Starlette(routes=[renewal_route(home)])
    config = uvicorn.Config(
        app,
        port=home.settings.port,
        log_level="critical",
        ws="none",
        ssl_certfile=home.tls / "server.crt",
        ssl_keyfile=str(home.tls / "server.key"),
        ssl_ca_certs=str(home.ca / "ca.crt"),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


def post(home: CoordinatorHome, body: bytes) -> httpx.Response:
    """Return what the centre's renewal service answers, without a network."""
    app = Starlette(routes=[renewal_route(home)])

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centre") as client:
            return await client.post(RENEWAL_PATH, content=body)

    return asyncio.run(ask())


@contextmanager
def proxy() -> Iterator[tuple[int, list[str]]]:
    """Serve as an HTTP proxy that only tunnels; yield its port and where it was asked to go."""
    asked: list[str] = []
    ports, ready, loop = [], threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readuntil(b"\r\n\r\n")).decode().split()
        asked.append(f"{words[0]} {words[1]}")
        host, _, there = words[1].rpartition(":")
        onward_reader, onward_writer = await asyncio.open_connection(host, int(there))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, onward_writer), _pump(onward_reader, writer))

    async def serve() -> None:
        async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0], asked
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()
