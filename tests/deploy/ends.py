"""Both ends on loopback, built in and by nginx, before an upstream that notes what reaches it."""

import select
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.front import front_app, service_app, sidecar_app
from deploy.listener import Listener
from deploy.nginx import Proxy, configuration
from deploy.nginx_process import Nginx
from deploy.tls import ClientFiles, ServerFiles
from tests.deploy.certificates_made import SERVER, Authority

PULL = "/v1/fleet/pull-messages"


@dataclass
class Recorder:
    """An ASGI application that notes every request and answers with its body, or as it is told."""

    reached: list[tuple[str, str]] = field(default_factory=list)  # method and target
    headers: dict[str, str] = field(default_factory=dict)  # of the last request
    status: int = 200
    extra: tuple[tuple[bytes, bytes], ...] = ()
    half: bool = False  # break off in the middle of the answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.reached.append((scope["method"], target.decode("latin1")))
        self.headers = {name.decode(): value.decode("latin1") for name, value in scope["headers"]}
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = [(b"content-type", b"application/x-protobuf"), (b"set-cookie", b"a=b"), *self.extra]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.half:
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            return
        await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True)
class End:
    """A proxy under test: where it listens, what lies behind it, and the authority of both."""

    port: int
    behind: Recorder
    authority: Authority
    folder: Path

    def client(self, stem: str | None = "site") -> httpx.Client:
        """Return a client that believes the authority and shows a certificate of the folder, or none."""
        return client(self.port, self.authority.crt, self.folder / stem if stem else None)

    def raw(self, sent: bytes, *, stem: str | None = "site", seconds: float = 5.0) -> bytes:
        """Send bytes over TLS and return all that comes back until the end or the time is over."""
        files = _client_files(self.authority.crt, self.folder / stem if stem else None)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        with files.context().wrap_socket(plain, server_hostname="localhost") as stream:
            stream.sendall(sent)
            return b"".join(_received(stream))


def client(port: int, ca: Path, stem: Path | None) -> httpx.Client:
    """Return an HTTP client for a port of this machine."""
    context = _client_files(ca, stem).context()
    return httpx.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False, timeout=10)


@contextmanager
def listening(app: ASGIApp, files: ServerFiles | None, port: int = 0) -> Iterator[int]:
    """Serve an application in a thread; yield its port."""
    listener = Listener(app, "127.0.0.1", port, files)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        until(lambda: listener.started and bool(listener.servers))
        yield listener.port
    finally:
        listener.should_exit = True
        thread.join()


async def renew(request: Request) -> Response:
    """Answer as a renewal might."""
    return Response(b"renewed: " + await request.body())


RENEWAL = Route("/v1/willis/renew", renew, methods=["POST"])


def certified(folder: Path) -> Authority:
    """Return an authority; the folder has its server's certificate and those of good and bad sites."""
    authority = Authority(folder / "ca")
    authority.issue(folder, "server", SERVER)
    authority.issue(folder, "site")
    authority.issue(folder, "expired", valid=-timedelta(hours=1))
    authority.issue(folder, "server-only", SERVER)
    authority.revoke(authority.issue(folder, "revoked"))
    Authority(folder / "other").issue(folder, "foreign")
    return authority


@contextmanager
def builtin_front(folder: Path, served: ASGIApp | None = None) -> Iterator[End]:
    """Serve the front by ourselves; behind it a recorder, or what is given."""
    authority, behind = certified(folder), Recorder()
    with superlink(authority, served or behind) as port:
        app = front_app(f"https://127.0.0.1:{port}", authority.crt, RENEWAL)
        with listening(app, _server_files(authority, folder)) as front:
            yield End(front, behind, authority, folder)


@contextmanager
def nginx_front(folder: Path) -> Iterator[End]:
    """Serve the front by nginx."""
    authority, behind = certified(folder), Recorder()
    with superlink(authority, behind) as port, listening(service_app(RENEWAL), None) as service:
        proxy = Proxy(
            folder=folder / "nginx",
            listen=f"127.0.0.1:{free_port()}",
            files=_server_files(authority, folder),
            beyond=f"127.0.0.1:{port}",
            beyond_name="localhost",
            towards=ClientFiles(authority.crt),
            own=f"127.0.0.1:{service}",
        )
        with nginx(proxy) as front:
            yield End(front, behind, authority, folder)


@contextmanager
def builtin_sidecar(front: End, stem: str = "site", proxy: str = "") -> Iterator[End]:
    """Serve a sidecar by ourselves, with a certificate from the front's folder."""
    towards, local, authority = _sidecar_files(front, stem)
    app = sidecar_app(f"https://localhost:{front.port}", towards, proxy)
    with listening(app, local) as port:
        yield End(port, front.behind, authority, front.folder)


@contextmanager
def nginx_sidecar(front: End, stem: str = "site") -> Iterator[End]:
    """Serve a sidecar by nginx, with a certificate from the front's folder."""
    towards, local, authority = _sidecar_files(front, stem)
    with tempfile.TemporaryDirectory(prefix="willis-nginx-") as name:
        proxy = Proxy(
            folder=Path(name),
            listen=f"127.0.0.1:{free_port()}",
            files=local,
            beyond=f"localhost:{front.port}",
            beyond_name="localhost",
            towards=towards,
        )
        with nginx(proxy) as port:
            yield End(port, front.behind, authority, front.folder)


@contextmanager
def tunnels(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Iterator[tuple[int, list[str]]]:
    """Run a proxy that makes tunnels (RFC 9110, 9.3.6) or refuses to; yield its port, and what it was asked."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_tunnel, args=(server, asked, answer))
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _tunnel(server: socket.socket, asked: list[str], answer: bytes) -> None:
    """Serve one connection after another."""
    while True:
        try:
            near, _ = server.accept()
        except OSError:
            return
        with near, suppress(ConnectionError):
            head = near.recv(65536).decode()
            asked.extend(head.splitlines()[:1])
            if not head:
                continue  # who only looks whether somebody listens
            near.sendall(answer)
            host, _, port = head.split()[1].rpartition(":")
            if b" 200 " in answer:
                with socket.create_connection((host, int(port))) as far:
                    _join({near: far, far: near})


def _join(ways: dict[socket.socket, socket.socket]) -> None:
    while True:
        for readable in select.select(list(ways), [], [])[0]:
            piece = readable.recv(65536)
            if not piece:
                return
            ways[readable].sendall(piece)


@contextmanager
def nginx(proxy: Proxy) -> Iterator[int]:
    """Run nginx; yield its port."""
    port = int(proxy.listen.rpartition(":")[2])
    with Nginx(proxy.folder, configuration(proxy), proxy.paths):
        until(lambda: listens(port))
        yield port


@contextmanager
def superlink(authority: Authority, behind: ASGIApp) -> Iterator[int]:
    """Serve an application with a loopback certificate, as the SuperLink is served; yield its port."""
    folder = authority.folder / "behind"
    authority.issue(folder, "loopback", SERVER)
    with listening(behind, ServerFiles(folder / "loopback.crt", folder / "loopback.key")) as port:
        yield port


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is true; fail when it does not become so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def answers(client: httpx.Client) -> bool:
    """Return whether a call of a node is answered."""
    try:
        return client.post(PULL, content=b"").status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    """Return a port nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether somebody listens at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _server_files(authority: Authority, folder: Path) -> ServerFiles:
    return ServerFiles(folder / "server.crt", folder / "server.key", authority.crt, authority.crl)


def _sidecar_files(front: End, stem: str) -> tuple[ClientFiles, ServerFiles, Authority]:
    """Return what a sidecar shows the front, what it shows the node, and whom the node believes."""
    local = Authority(front.folder / "local")
    local.issue(local.folder, "local", SERVER)
    towards = ClientFiles(front.authority.crt, front.folder / f"{stem}.crt", front.folder / f"{stem}.key")
    return towards, ServerFiles(local.folder / "local.crt", local.folder / "local.key"), local


def _client_files(ca: Path, stem: Path | None) -> ClientFiles:
    return ClientFiles(ca, stem.with_suffix(".crt"), stem.with_suffix(".key")) if stem else ClientFiles(ca)


def _received(stream: ssl.SSLSocket) -> Iterator[bytes]:
    with suppress(TimeoutError, ssl.SSLError, ConnectionError):
        while piece := stream.recv(65536):
            yield piece
